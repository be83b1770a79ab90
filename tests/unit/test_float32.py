from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from ance_ir.float32 import exact_float32
from ance_ir.indexes.search import products
from ance_ir.models import CrossEncoder, DenseEncoder
from tests.tiny import cross_encoder, encoder


def told() -> str:
    """What products are computed in, as torch keeps it for GPUs and for oneDNN: float32 ones, and sums of float16 ones."""
    places = (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul)
    return " ".join([*(place.fp32_precision for place in places), str(torch.backends.cuda.matmul.allow_fp16_accumulation)])


EXACT = "ieee ieee False"


@pytest.fixture(params=["medium", "high"])
def allowed(request: pytest.FixtureRequest) -> Iterator[str]:
    torch.set_float32_matmul_precision(request.param)
    torch.backends.cuda.matmul.allow_fp16_accumulation = True
    assert EXACT.split()[0] not in told() and EXACT.split()[2] not in told()
    yield request.param
    torch.set_float32_matmul_precision("highest")
    torch.backends.cuda.matmul.allow_fp16_accumulation = False


def test_the_users_setting_is_put_back(allowed: str) -> None:
    before = told()
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with exact_float32():
            entered.set()
            leave.wait()

    thread = threading.Thread(target=other)
    with exact_float32(), exact_float32():
        thread.start()
        entered.wait()
    assert told() == EXACT, "another thread is still in it"
    leave.set()
    thread.join()
    assert told() == before
    assert torch.get_float32_matmul_precision() == allowed
    with pytest.raises(ZeroDivisionError), exact_float32():
        _ = 1 / 0
    assert told() == before


def test_encoding_scoring_and_searching_are_float32(allowed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    dense: DenseEncoder = encoder()
    cross: CrossEncoder = cross_encoder()
    for module in (dense.query_tower.backbone, cross.classifier):
        module.register_forward_hook(lambda *_: seen.append(told()))
    dense.encode_queries(["cat"])
    cross.score(["cat"], ["dog"])
    monkeypatch.setattr(products, "onednn", lambda: seen.append(told()))
    products.inner_products(torch.ones((2, 3)), torch.ones((4, 3)))
    assert seen == [EXACT] * 3


def test_products_are_float32_under_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "onednn", lambda: False)
    generator = torch.Generator().manual_seed(0)
    queries, block = (torch.randn((rows, 64), generator=generator) for rows in (3, 50))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = products.inner_products(queries, block)
    np.testing.assert_allclose(found.numpy(), queries.numpy() @ block.numpy().T, atol=1e-4)
    assert found.dtype == torch.float32
