"""Towers that OpenVINO computes: torch's vectors, the weights of the moment, and torch where OpenVINO cannot."""

from __future__ import annotations

import copy
import gc
import logging
import math
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

import ance_ir.models.dense.accelerated as accelerated
from ance_ir.errors import BrokenDependencyError
from ance_ir.models import DenseEncoder
from ance_ir.models.compute.inference import TOKEN_BUDGET
from ance_ir.models.compute.openvino import Compiled
from ance_ir.models.compute.precision import Precision
from ance_ir.models.dense.encoding import encode
from tests.tiny import WORDS, Kind, encoder
from tests.unit.models.test_precision import BACKBONES, of_kind

pytest.importorskip("openvino")

RNG = np.random.default_rng(0)
TEXTS = [" ".join(RNG.choice(WORDS, size=RNG.integers(0, 30))) for _ in range(60)]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerated, "COMPILE_FROM", 100)
    monkeypatch.setitem(TOKEN_BUDGET, "cpu", 64)


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Shapes that compiled towers were given, those of the trials included."""
    shapes: list[tuple[int, int]] = []
    compute = Compiled.__call__

    def counted(self: Compiled, ids_BL: torch.Tensor, mask_BL: torch.Tensor | None) -> torch.Tensor:
        shapes.append((ids_BL.shape[0], ids_BL.shape[1]))
        return compute(self, ids_BL, mask_BL)

    monkeypatch.setattr(Compiled, "__call__", counted)
    return shapes


def by_torch(model: DenseEncoder, texts: list[str]) -> np.ndarray:
    """Each text alone, without padding, in float32."""
    tower = copy.deepcopy(model.passage_tower).float()
    with torch.inference_mode():
        return np.concatenate([tower(torch.tensor([ids]), None).numpy() for ids in model.tokenizer.passages(texts)])


@pytest.mark.parametrize(
    ("kind", "options"),
    [("bert", {}), ("roberta", {"pooling": "cls", "head": 16}), ("bert", {"normalize": True}), ("roberta", {"shared": False})],
    ids=str,
)
def test_vectors_are_those_of_torch(kind: Kind, options: dict[str, Any], used: list[tuple[int, int]]) -> None:
    model = encoder(kind, **options)
    np.testing.assert_allclose(model.encode_passages(TEXTS), by_torch(model, TEXTS), atol=1e-5)
    assert sum(rows for rows, _ in used) >= len(TEXTS), "torch computed them"


@pytest.mark.parametrize("kind", BACKBONES)
def test_every_backbone_has_the_vectors_of_torch(kind: str) -> None:
    model = of_kind(kind)
    expected = by_torch(model, TEXTS)
    np.testing.assert_allclose(model.encode_passages(TEXTS), expected, atol=1e-5 * np.abs(expected).max())


def test_bfloat16(used: list[tuple[int, int]]) -> None:
    model = encoder(normalize=True).at_precision("bfloat16")
    cosines = (model.encode_passages(TEXTS) * by_torch(model, TEXTS)).sum(1)
    assert cosines.min() > 0.999
    assert used


@pytest.mark.slow
def test_what_was_trained_since_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    model = encoder(head=16)
    made: list[object] = []
    compile_tower = accelerated._compile
    monkeypatch.setattr(accelerated, "_compile", lambda tower: made.append(tower) or compile_tower(tower))
    before = model.encode_passages(TEXTS)
    np.testing.assert_array_equal(model.encode_passages(TEXTS), before)
    assert len(made) == 1, "the same weights are compiled once"
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    model.passage_tower(torch.tensor([[2, 90, 3]]), None).sum().backward()
    optimiser.step()
    after = model.encode_passages(TEXTS)
    assert np.abs(after - before).max() > 1e-3
    np.testing.assert_allclose(after, by_torch(model, TEXTS), atol=1e-5)
    model.passage_tower.head.linear.bias.data.add_(1)  # which torch counts as no change
    np.testing.assert_allclose(model.encode_passages(TEXTS), by_torch(model, TEXTS), atol=1e-5)
    model.passage_tower(torch.tensor([[2, 90, 3]]), None).sum().backward()  # it is the tower's own forward again


def test_a_hook_is_called_once_for_each_batch() -> None:
    model = encoder()
    rows: list[int] = []
    with model.passage_tower.register_forward_pre_hook(lambda module, inputs: rows.append(len(inputs[0]))):
        model.encode_passages(TEXTS)
    assert sum(rows) == len(TEXTS)


def test_a_hook_within_is_called_and_its_output_counts(used: list[tuple[int, int]]) -> None:
    model = encoder()
    before = model.encode_passages(TEXTS)
    used.clear()
    with model.passage_tower.backbone.encoder.layer[0].output.register_forward_hook(lambda module, inputs, output: 2 * output):
        changed = model.encode_passages(TEXTS)
        np.testing.assert_allclose(changed, by_torch(model, TEXTS), atol=1e-5)
    assert not used
    assert np.abs(changed - before).max() > 0.01
    np.testing.assert_array_equal(model.encode_passages(TEXTS), before)


@pytest.mark.slow
def test_a_compiled_tower_is_gone_with_its_weights_and_with_the_model() -> None:
    model = encoder()
    model.encode_passages(TEXTS)
    first = weakref.ref(accelerated._compiled[model.passage_tower][1])
    model.passage_tower.backbone.embeddings.word_embeddings.weight.data.add_(1)
    model.encode_passages(TEXTS)
    second = weakref.ref(accelerated._compiled[model.passage_tower][1])
    gc.collect()
    assert first() is None
    assert second() is not None
    accelerated.forget_compiled(model.passage_tower)
    gc.collect()
    assert second() is None
    model.encode_passages(TEXTS)
    third = weakref.ref(accelerated._compiled[model.passage_tower][1])
    del model
    gc.collect()
    assert third() is None


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_broken_openvino_is_not_needed(precision: Precision, monkeypatch: pytest.MonkeyPatch) -> None:
    model = encoder().at_precision(precision)

    def broken(*_: object, **__: object) -> Compiled:
        raise BrokenDependencyError("openvino", "OpenVINO", ImportError("libtbb.so"))

    monkeypatch.setattr(accelerated, "Compiled", broken)
    expected = by_torch(model, TEXTS)
    np.testing.assert_allclose(model.encode_passages(TEXTS), expected, atol=0.05 * np.abs(expected).max())


def test_a_conversion_traces_once() -> None:
    """A second trace, by which torch checks the first one, takes as long, and what torch keeps of it is never freed."""
    calls: list[int] = []

    class Twice(torch.nn.Module):
        def forward(self, ids_BL: torch.Tensor, mask_BL: torch.Tensor) -> torch.Tensor:
            calls.append(len(ids_BL))
            return 2.0 * ids_BL * mask_BL

    ones = torch.ones((2, 3), dtype=torch.int64)
    compiled = Compiled(Twice().eval(), bfloat16=False)
    assert calls == [2]
    np.testing.assert_array_equal(compiled(ones, None), 2 * ones)


def test_a_text_without_any_token_has_the_same_vector_in_every_batch() -> None:
    tower = encoder(pooling="cls").passage_tower
    tokens = [[2, *range(40, 40 + length), 3] for length in range(1, 30)]
    alone = encode(tower, [""], lambda texts: [[]], 0)
    found = encode(tower, [""] * 30, lambda texts: [*tokens, []], 0)
    np.testing.assert_allclose(found[-1], alone[0], atol=1e-5)


def test_few_texts_compile_nothing(used: list[tuple[int, int]]) -> None:
    encoder().encode_passages(TEXTS[:3])
    assert not used


def test_without_openvino_torch_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr(accelerated.importlib.util, "find_spec", lambda name: None)
    model = encoder()
    np.testing.assert_allclose(model.encode_passages(TEXTS), by_torch(model, TEXTS), atol=1e-5)


@pytest.mark.parametrize("fault", ["fails", "wrong", "NaN"])
def test_what_does_not_compile_is_computed_by_torch(fault: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    asked: list[object] = []

    class Faulty(Compiled):
        def __init__(self, module: Any, **options: Any) -> None:
            asked.append(module)
            if fault == "fails":
                raise RuntimeError("no such operation")
            super().__init__(module, **options)

        def __call__(self, ids_BL: torch.Tensor, mask_BL: torch.Tensor | None) -> torch.Tensor:
            return super().__call__(ids_BL, mask_BL) + (0 if ids_BL.shape[1] <= 12 else 1e-3 if fault == "wrong" else math.nan)

    monkeypatch.setattr(accelerated, "Compiled", Faulty)
    model = encoder()
    with caplog.at_level(logging.INFO, accelerated.__name__):
        for _ in range(2):
            np.testing.assert_allclose(model.encode_passages(TEXTS), by_torch(model, TEXTS), atol=1e-5)
    assert len(asked) == 1, "it is tried once"
    assert "bert" in caplog.text


@pytest.mark.slow
def test_threads_share_a_compiled_tower_and_do_not_see_each_other() -> None:
    model = encoder()
    texts = {len(one): one for one in (TEXTS, TEXTS[:3])}  # those of OpenVINO and of torch
    alone = {size: model.encode_passages(one) for size, one in texts.items()}
    with ThreadPoolExecutor(4) as threads:
        found = threads.map(model.encode_passages, [*texts.values()] * 30)
        copied = copy.deepcopy(model)
        for vectors in found:
            np.testing.assert_array_equal(vectors, alone[len(vectors)])
    np.testing.assert_array_equal(copied.encode_passages(TEXTS), alone[len(TEXTS)])
