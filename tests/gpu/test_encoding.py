"""Vectors from a GPU are those from a CPU, however texts are batched, and nothing waits for the GPU in between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import ance_ir.indexes.store.corpus as corpus
import ance_ir.models.compute.inference as inference
import ance_ir.models.dense.encoding as encoding
from ance_ir.datasets import Dataset
from ance_ir.errors import DeviceMemoryError
from ance_ir.indexes import FirstP, SlidingWindow
from ance_ir.models import DenseEncoder
from ance_ir.models.dense.unpadded import unpads
from ance_ir.models.dense.workers import workers_for
from tests.tiny import WORDS, cross_encoder, encoder

RNG = np.random.default_rng(0)
TEXTS = [" ".join(RNG.choice(WORDS, size=RNG.integers(1, 40))) for _ in range(120)]


@pytest.fixture(autouse=True)
def many_windows(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few thousand tokens are several windows of several batches."""
    monkeypatch.setitem(encoding.WINDOW_TOKENS, device.type, 900)
    monkeypatch.setitem(inference.TOKEN_BUDGET, device.type, 400)


def cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    found: np.ndarray = (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    return found


def too_full(tokens: int) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    """A hook of a model that has room for batches of so many tokens."""

    def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if inputs[0].numel() > tokens:
            raise torch.OutOfMemoryError("out of memory. Tried to allocate 2.00 GiB.")

    return hook


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_float32_is_that_of_the_cpu(device: torch.device, kind: str) -> None:
    expected = encoder(kind).encode_passages(TEXTS)  # type: ignore[arg-type]
    model = encoder(kind).to(device)  # type: ignore[arg-type]
    found = model.encode_passages(TEXTS)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    assert np.array_equal(model.encode_passages(TEXTS), found)
    vectors, counts = model.encode_documents(TEXTS, SlidingWindow(8, 4))
    expected, expected_counts = encoder(kind).encode_documents(TEXTS, SlidingWindow(8, 4))  # type: ignore[arg-type]
    np.testing.assert_allclose(vectors, expected, atol=1e-5 * np.abs(expected).max())
    assert np.array_equal(counts, expected_counts)


def test_bfloat16_is_near_and_repeats_and_needs_no_padding(device: torch.device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder(normalize=True).save(tmp_path)
    expected = encoder(normalize=True).encode_passages(TEXTS)
    model = DenseEncoder.from_pretrained(tmp_path, device=device, precision="bfloat16")
    found = model.encode_passages(TEXTS)
    assert cosines(found, expected).min() > 0.995
    assert np.array_equal(model.encode_passages(TEXTS), found)
    if device.type == "cuda":
        assert unpads(model.passage_tower, np.array([3, 5])), "flash attention is there, and right"
        monkeypatch.setattr(encoding, "unpads", lambda tower, lengths: False)
        assert cosines(found, model.encode_passages(TEXTS)).min() > 0.999


def test_a_batch_that_does_not_fit_is_made_smaller(device: torch.device, caplog: pytest.LogCaptureFixture) -> None:
    model = encoder().to(device)
    expected = model.encode_passages(TEXTS)

    done: list[int] = []
    with model.passage_tower.register_forward_pre_hook(too_full(120)):
        np.testing.assert_allclose(model.encode_passages(TEXTS, done.append), expected, atol=1e-5)
    assert sum(done) == len(TEXTS)
    assert sum("batches of 400 tokens" in record.message for record in caplog.records) == 1, "once"
    with model.passage_tower.register_forward_pre_hook(too_full(0)), pytest.raises(DeviceMemoryError):
        model.encode_passages(TEXTS)


def test_pairs_that_do_not_fit_are_read_in_parts(device: torch.device, caplog: pytest.LogCaptureFixture) -> None:
    model = cross_encoder().to(device)
    queries = ["cat dog"] * len(TEXTS)
    expected = model.score(queries, TEXTS)

    with model.register_forward_pre_hook(too_full(120)):
        np.testing.assert_allclose(model.score(queries, TEXTS), expected, atol=1e-5)
    assert "400 tokens" in caplog.text


@pytest.mark.gpu
@pytest.mark.parametrize("device", [torch.device("cuda")])
def test_memory_that_runs_out(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    model = encoder().to("cuda")
    expected = model.encode_passages(TEXTS)
    for sizes in (encoding.WINDOW_TOKENS, inference.TOKEN_BUDGET):
        monkeypatch.setitem(sizes, "cuda", 1 << 30)  # all in one batch
    torch.cuda.empty_cache()
    allowed = torch.cuda.memory_reserved() + (256 << 20)
    torch.cuda.set_per_process_memory_fraction(allowed / torch.cuda.get_device_properties(0).total_memory)
    try:
        found = model.encode_passages(TEXTS * 100)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    np.testing.assert_allclose(found, np.tile(expected, (100, 1)), atol=1e-5)
    assert "out of memory" in caplog.text


@pytest.mark.gpu
@pytest.mark.parametrize("device", [torch.device("cuda")])
def test_nothing_waits_for_a_batch(tmp_path: Path) -> None:
    encoder().save(tmp_path)
    model = DenseEncoder.from_pretrained(tmp_path, device="cuda", precision="bfloat16")
    model.encode_passages(TEXTS)
    torch.cuda.set_sync_debug_mode("error")
    try:
        model.encode_passages(TEXTS)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_processes_tokenise_for_a_gpu_alone(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    alone = workers_for(device, 10**6)
    assert (alone > 0) == (device.type == "cuda")
    assert workers_for(device, 100) == 0, "which takes less time than to start processes"
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert workers_for(device, 10**6) == alone // 2


@pytest.mark.parametrize("workers", [None, 0])
def test_a_corpus_is_tokenised_by_as_many(
    device: torch.device, workers: int | None, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[torch.device] = []
    monkeypatch.setattr(corpus, "workers_for", lambda device, texts: asked.append(device) or 1)
    model, store = encoder().to(device), dataset.store()
    started: list[int] = []
    monkeypatch.setattr(corpus, "Workers", lambda cut, count: started.append(count))
    corpus.CorpusEncoding(tmp_path / "x.ance", store, model, FirstP(), workers=workers)
    assert (asked, started) == (([model.device], [1]) if workers is None else ([], []))
