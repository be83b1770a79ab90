"""Training a reader: its loss, its loop, its runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

from ance_ir.answers import Answers
from ance_ir.datasets import Dataset
from ance_ir.errors import TrainingError
from ance_ir.models import Reader
from ance_ir.models.reader.text import Layout
from ance_ir.training import NegativeSource, RandomNegatives, ReaderObjective, Trainer, TrainingQueries, TrainingSettings
from ance_ir.training.batches import Batch
from tests.breaking import Breaking, Interrupted, timeless_lines
from tests.tiny import reader

LAYOUTS = get_args(Layout)


@pytest.fixture(scope="module")
def answers(queries: TrainingQueries, dataset: Dataset) -> list[Answers]:
    """The colour of what each query asks for."""
    store = dataset.store()
    return [Answers([store[int(positives[0])]["text"].split()[1]]) for positives in queries.positives]


@pytest.fixture
def make(dataset: Dataset, queries: TrainingQueries, answers: list[Answers]) -> Callable[..., Trainer[Reader]]:
    def made(folder: Path, source: NegativeSource | None = None, model: Reader | None = None, **settings: Any) -> Trainer[Reader]:
        told = {"steps": 8, "batch_size": 4, "learning_rate": 1e-3, "checkpoint_every": 4, "negatives": 2, **settings}
        objective = ReaderObjective(model or reader(), queries, answers, dataset.store())
        return Trainer(objective, source or RandomNegatives(queries), TrainingSettings(**told), folder, dataset={"name": "tiny"})

    return made


def log_softmax(values: Sequence[float]) -> np.ndarray:
    return np.array(values) - np.log(np.exp(values).sum())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_loss_is_that_of_all_right_spans_and_of_relevance(dataset: Dataset, queries: TrainingQueries, layout: Layout) -> None:
    model, store = reader(layout), dataset.store()
    texts = [document["text"] for document in store]
    answers = [Answers(["red", "red model", "green"]) for _ in range(len(queries))]
    batch = Batch(queries=np.array([0, 5, 7]), positives=np.array([0, 5, 7]), negatives=np.array([[4, 8], [2, 3], [9, 11]]))
    spans, relevance = [], []
    for query, positive, negatives in zip(batch.queries, batch.positives, batch.negatives, strict=True):
        scores = []
        for number in (positive, *negatives):
            ((window,),) = model.tokenizer.windows([queries.texts[query]], [""], [texts[number]])
            with torch.no_grad():
                start, end, relevant = (logits[0].numpy() for logits in model(*model.tokenizer.pad([window])))
            words = texts[number].split()
            places = range(window.begin, window.begin + len(words))
            start, end = (log_softmax(logits[list(places)]) for logits in (start, end))
            right = [
                (i, j)
                for i in range(len(words))
                for j in range(i, len(words))
                if " ".join(words[i : j + 1]) in ("red", "red model", "green")
            ]
            if number == positive:
                scores.append(relevant / 2)
                if right:
                    spans.append(np.log(sum(np.exp(start[i] + end[j]) for i, j in right)))
            elif not right:
                scores.append(relevant / 2)
        relevance.append(log_softmax(scores)[0])
    assert len(spans) == 2
    assert any("red" in texts[number] or "green" in texts[number] for number in batch.negatives.ravel()), "one is left out"
    loss, tokens = ReaderObjective(model, queries, answers, store).backward(batch, 2.0, 1.0)
    assert loss == pytest.approx(-np.mean(relevance) - np.mean(spans), rel=1e-4)
    assert tokens > 9 * 8
    assert all(weight.grad is None or torch.isfinite(weight.grad).all() for weight in model.parameters())
    assert model.model.get_submodule("span_predictor.qa_outputs" if layout == "dpr" else "qa_outputs").weight.grad.abs().max() > 0


def test_a_share_scales_the_gradients(dataset: Dataset, queries: TrainingQueries, answers: list[Answers]) -> None:
    batch = Batch(queries=np.arange(3), positives=np.arange(3), negatives=np.array([[30], [31], [32]]))
    gradients = []
    for share in (1.0, 0.5):
        model = reader()
        ReaderObjective(model, queries, answers, dataset.store()).backward(batch, 1.0, share)
        gradients.append(torch.cat([weight.grad.flatten() for weight in model.parameters() if weight.grad is not None]))
    torch.testing.assert_close(gradients[0] * 0.5, gradients[1])


def test_a_long_passage_is_read_where_its_answer_stands(tmp_path: Path, queries: TrainingQueries) -> None:
    text = "the cat sleeps " * 20 + "the king"
    store = [{"docno": "d", "text": text}, {"docno": "e", "text": "a dog " * 30}]
    objective = ReaderObjective(reader("qa", pair_length=24), queries, [Answers(["king"])] * len(queries), store)  # type: ignore[arg-type]
    windows, spans, held = objective._windows(np.array([0]), np.array([[0, 1]]))
    assert held.tolist() == [[True, False]]
    assert [len(found) for found in spans] == [1, 0]
    assert windows[0].characters[-1].tolist() == [len(text) - 4, len(text)]
    assert windows[1].characters[0].tolist() == [0, 1]
    cut = ReaderObjective(reader("dpr", pair_length=24), queries, [Answers(["king"])] * len(queries), store)  # type: ignore[arg-type]
    _, spans, held = cut._windows(np.array([0]), np.array([[0, 1]]))
    assert (held.tolist(), spans) == ([[True, False]], [[], []])
    batch = Batch(queries=np.array([0]), positives=np.array([0]), negatives=np.array([[1]]))
    loss, _ = cut.backward(batch, 1.0, 1.0)
    assert np.isfinite(loss)


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_reader_learns(
    make: Callable[..., Trainer[Reader]], tmp_path: Path, queries: TrainingQueries, dataset: Dataset, layout: Layout
) -> None:
    model = reader(layout)
    make(tmp_path / "run", model=model, steps=60, dropout=False, learning_rate=3e-3).train()
    losses = [line["loss"] for line in timeless_lines(tmp_path / "run")]
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])
    texts = [dataset.store()[int(positives[0])]["text"] for positives in queries.positives]
    found = Reader.from_pretrained(tmp_path / "run", device="cpu").read(queries.texts, texts)
    assert np.mean([answer == text.split()[1] for answer, text in zip(found.answers, texts, strict=True)]) > 0.8


@pytest.mark.parametrize("dropout", [True, False])
def test_a_run_that_was_broken_off_ends_the_same(
    make: Callable[..., Trainer[Reader]], tmp_path: Path, queries: TrainingQueries, dropout: bool
) -> None:
    unbroken = make(tmp_path / "a", dropout=dropout).train()
    with pytest.raises(Interrupted):
        make(tmp_path / "b", Breaking(queries, 6), dropout=dropout).train()
    resumed = make(tmp_path / "b", dropout=dropout).train()
    assert timeless_lines(tmp_path / "a") == timeless_lines(tmp_path / "b")
    assert unbroken.fingerprint() == resumed.fingerprint()
    assert Reader.from_pretrained(tmp_path / "b", device="cpu").fingerprint() == resumed.fingerprint()
    with pytest.raises(TrainingError, match=r"model\.settings\.max_answer_length was 10, is 3"):
        make(tmp_path / "b", model=reader(max_answer_length=3), dropout=dropout)
