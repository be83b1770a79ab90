"""Losses and gradients are those of sentence-transformers' losses, on the same weights and texts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ance_ir.datasets import Dataset, load_dataset
from ance_ir.indexes import FirstP
from ance_ir.models import DenseEncoder
from ance_ir.training import DenseObjective, TrainingQueries
from ance_ir.training.batches import Batch
from tests.tiny import WORDS, encoder

sentence_transformers = pytest.importorskip("sentence_transformers")
losses = pytest.importorskip("sentence_transformers.losses")

pytestmark = pytest.mark.integration

QUERIES = np.array([0, 2, 3, 5])
NEGATIVES = np.array([[8, 9], [10, 11], [12, 13], [14, 15]])


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Each query asks for the document of its number."""
    texts = [" ".join(WORDS[3 * i : 3 * i + 2 + i % 5]) for i in range(16)]
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps({"docno": f"d{i}", "text": text}) + "\n" for i, text in enumerate(texts)))
    (tmp_path / "queries.train.tsv").write_text("".join(f"q{i}\twho is {WORDS[3 * i]}\n" for i in range(8)))
    (tmp_path / "qrels.train.txt").write_text("".join(f"q{i} 0 d{i} 1\n" for i in range(8)))
    return load_dataset(tmp_path)


class Given:
    """A teacher whose scores are there."""

    def __init__(self) -> None:
        self.manifest: Mapping[str, Any] = {"name": "given"}

    def scores(self, queries_B: np.ndarray, documents_BK: np.ndarray) -> np.ndarray:
        return np.random.default_rng(7).normal(scale=3, size=documents_BK.shape).astype(np.float32)


def ours(model: DenseEncoder, dataset: Dataset, in_batch: Any, temperature: float, **options: Any) -> tuple[float, dict[str, torch.Tensor]]:
    objective = DenseObjective(model, TrainingQueries.load(dataset, dataset.store()), dataset.store(), FirstP(), **options)
    batch = Batch(queries=QUERIES, positives=QUERIES, negatives=NEGATIVES, in_batch=in_batch)
    loss, _ = objective.backward(batch, temperature, 1.0)
    weights = model.query_tower.backbone.named_parameters()
    return loss, {name: weight.grad for name, weight in weights if weight.grad is not None}


def theirs(
    model: DenseEncoder, dataset: Dataset, make: Callable[[Any], Any], labels: torch.Tensor | None = None
) -> tuple[float, dict[str, torch.Tensor]]:
    other = model.as_sentence_transformer().eval()
    queries, store = TrainingQueries.load(dataset, dataset.store()), dataset.store()
    columns = [[queries.texts[query] for query in QUERIES]]
    columns += [[store[int(number)]["text"] for number in column] for column in (QUERIES, *NEGATIVES.T)]
    loss = make(other)([other.preprocess(column) for column in columns], labels)
    loss.backward()
    return float(loss.detach()), {name: weight.grad for name, weight in other[0].model.named_parameters() if weight.grad is not None}


def check(one: tuple[float, dict[str, torch.Tensor]], other: tuple[float, dict[str, torch.Tensor]], factor: float = 1.0) -> None:
    """The losses are equal to 1e-6, and so are the gradients over all weights, by their distance."""
    assert one[0] * factor == pytest.approx(other[0], rel=1e-6)
    assert one[1].keys() == other[1].keys()
    found, expected = (torch.cat([given[name].double().ravel() for name in other[1]]) for given in (one[1], other[1]))
    assert float((found * factor - expected).norm() / expected.norm()) < 1e-6


@pytest.mark.parametrize(("normalize", "temperature"), [(True, 0.05), (False, 20.0)])
@pytest.mark.parametrize("symmetric", [False, True])
def test_contrast_within_the_batch(dataset: Dataset, symmetric: bool, normalize: bool, temperature: float) -> None:
    model = encoder(normalize=normalize)
    kind = losses.MultipleNegativesSymmetricRankingLoss if symmetric else losses.MultipleNegativesRankingLoss
    similarity = sentence_transformers.util.cos_sim if normalize else sentence_transformers.util.dot_score
    other = theirs(model, dataset, lambda own: kind(own, scale=1 / temperature, similarity_fct=similarity))
    check(ours(model, dataset, "all", temperature, loss="nll", symmetric=symmetric), other)


@pytest.mark.parametrize("temperatures", [(1.0, 1.0), (2.0, 0.5)])
def test_listwise_distillation(dataset: Dataset, temperatures: tuple[float, float]) -> None:
    student, teacher = temperatures
    model = encoder(normalize=True)
    labels = torch.from_numpy(Given().scores(QUERIES, np.zeros((4, 3))))
    other = theirs(
        model,
        dataset,
        lambda own: losses.DistillKLDivLoss(
            own,
            student_temperature=student,
            teacher_temperature=teacher,
            similarity_fct=sentence_transformers.util.pairwise_cos_sim,
        ),
        labels,
    )
    check(ours(model, dataset, "none", student, loss="kl", teacher=Given(), teacher_temperature=teacher), other, factor=student**2)


@pytest.mark.parametrize("grad_cache", [False, True])
@pytest.mark.parametrize("weights", [(), (1.0, 0.25, 3.0)])
def test_matryoshka(dataset: Dataset, weights: tuple[float, ...], grad_cache: bool) -> None:
    model, dimensions = encoder(normalize=True), (32, 16, 4)  # cut vectors always have unit length there

    def make(own: Any) -> Any:
        inner = losses.MultipleNegativesRankingLoss(own, scale=1 / 0.05)
        return losses.MatryoshkaLoss(own, inner, dimensions, list(weights) or None)

    options = {"loss": "nll", "dimensions": dimensions, "dimension_weights": weights, "grad_cache": grad_cache}
    check(ours(model, dataset, "all", 0.05, **options), theirs(model, dataset, make), factor=sum(weights) or 3.0)


def test_vectors_of_a_saved_model_can_be_cut(tmp_path: Path) -> None:
    model = encoder(normalize=True)
    model.save(tmp_path / "m")
    whole = model.encode_passages(["the red cat", "a king"])
    cut = sentence_transformers.SentenceTransformer(str(tmp_path / "m"), device="cpu", truncate_dim=8)
    assert cut.encode(["the red cat", "a king"]) == pytest.approx(whole[:, :8], abs=1e-5)
    cut.save(str(tmp_path / "cut"))
    again = DenseEncoder.from_pretrained(tmp_path / "cut")
    expected = whole[:, :8] / np.linalg.norm(whole[:, :8], axis=1, keepdims=True)
    assert again.encode_passages(["the red cat", "a king"]) == pytest.approx(expected, abs=1e-5)
