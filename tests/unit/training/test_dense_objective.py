"""What a dense encoder is trained with: scores, in-batch negatives, Matryoshka, distillation, GradCache."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from ance_ir.datasets import Dataset
from ance_ir.errors import UsageError
from ance_ir.indexes import FirstP, MaxP
from ance_ir.models import DenseEncoder
from ance_ir.training import LOSSES, DenseObjective, RandomNegatives, TrainingQueries, TrainingSettings
from ance_ir.training.batches import Batch, Batches
from ance_ir.training.objectives import scoring
from ance_ir.training.objectives.scoring import document_scores, read_batch
from ance_ir.world import ALONE
from tests.tiny import cross_encoder, encoder


def draw(queries: TrainingQueries, **settings: int) -> Batch:
    told = TrainingSettings(**{"steps": 100, "batch_size": 5, "negatives": 2, **settings})
    return Batches(queries, RandomNegatives(queries), told).of_step(0)[0]


def by_hand(model: DenseEncoder, batch: Batch, dataset: Dataset, queries: TrainingQueries, scheme: Any, dimension: int) -> dict[Any, float]:
    """Scores of queries and documents, by number, from whole vectors made one at a time."""
    store = dataset.store()
    scores = {}
    for query in batch.queries.tolist():
        vector = model.encode_queries([queries.texts[query]])[0, :dimension]
        for document in {*batch.positives.tolist(), *batch.negatives.ravel().tolist()}:
            passages = model.encode_documents([store[document]["text"]], scheme)[0][:, :dimension]
            if model.similarity == "cosine":
                passages = passages / np.linalg.norm(passages, axis=1, keepdims=True)
                vector = vector / np.linalg.norm(vector)
            scores[query, document] = float((passages @ vector).max())
    return scores


def expected_loss(
    batch: Batch, queries: TrainingQueries, scores: dict[Any, float], name: Any, temperature: float, margin: float | None = None
) -> float:
    rows = []
    documents = sorted({document for _, document in scores})
    for query, positive, drawn in zip(batch.queries.tolist(), batch.positives.tolist(), batch.negatives.tolist(), strict=True):
        others = [document for document in documents if document not in queries.excluded[query]]
        if margin is not None:
            others = [one for one in others if one in drawn or scores[query, one] <= scores[query, positive] - margin]
        found = {
            "none": drawn,
            "all": others,
            "hardest": drawn + ([max(others, key=lambda document: scores[query, document])] if others else []),
        }[batch.in_batch]
        rows.append((scores[query, positive], [scores[query, document] for document in found]))
    most = max(len(negatives) for _, negatives in rows)
    positive_B = torch.tensor([positive for positive, _ in rows]) / temperature
    negative_BN = torch.tensor([negatives + [-torch.inf] * (most - len(negatives)) for _, negatives in rows]) / temperature
    return float(LOSSES[name](positive_B, negative_BN))


@pytest.mark.parametrize(
    ("scheme", "in_batch", "name", "shared", "normalize"),
    [  # each loss with each way of taking negatives from the batch, and both with either scheme
        (FirstP() if (row + column) % 2 else MaxP(5, 3), in_batch, *told)
        for row, in_batch in enumerate(("none", "all", "hardest"))
        for column, told in enumerate((("pairwise-nll", True, False), ("nll", False, True), ("hinge", True, True)))
    ],
)
def test_losses_are_those_of_the_vectors(
    dataset: Dataset, queries: TrainingQueries, scheme: Any, in_batch: Any, name: Any, shared: bool, normalize: bool
) -> None:
    model = encoder(shared=shared, normalize=normalize)
    batch = dataclasses.replace(draw(queries), in_batch=in_batch)
    loss, _ = DenseObjective(model, queries, dataset.store(), scheme, loss=name).backward(batch, 2.0, 1.0)
    scores = by_hand(model, batch, dataset, queries, scheme, model.dimension)
    assert loss == pytest.approx(expected_loss(batch, queries, scores, name, 2.0), rel=1e-4)


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize(("in_batch", "name"), [("all", "nll"), ("hardest", "pairwise-nll")])
@pytest.mark.parametrize("margin", [0.0, 0.1, -0.1])
def test_documents_of_the_batch_that_score_near_the_positive_are_no_negatives(
    dataset: Dataset, queries: TrainingQueries, in_batch: Any, name: Any, margin: float, cached: bool
) -> None:
    model = encoder(normalize=True)
    batch = dataclasses.replace(draw(queries), in_batch=in_batch)
    objective = DenseObjective(model, queries, dataset.store(), FirstP(), loss=name, in_batch_margin=margin, grad_cache=cached)
    loss, _ = objective.backward(batch, 0.5, 1.0)
    scores = by_hand(model, batch, dataset, queries, FirstP(), model.dimension)
    assert loss == pytest.approx(expected_loss(batch, queries, scores, name, 0.5, margin), rel=1e-4)
    assert loss != pytest.approx(expected_loss(batch, queries, scores, name, 0.5), rel=1e-3), "some must be masked"
    if margin > 0:
        drawn = zip(batch.queries.tolist(), batch.positives.tolist(), batch.negatives.tolist(), strict=True)
        near = [scores[query, one] > scores[query, positive] - margin for query, positive, found in drawn for one in found]
        assert any(near), "drawn ones that score near must stay"


def test_vectors_that_are_cut_are_masked_by_the_whole_ones(dataset: Dataset, queries: TrainingQueries) -> None:
    model = encoder(normalize=True)
    batch = dataclasses.replace(draw(queries), in_batch="all")
    loss, _ = DenseObjective(model, queries, dataset.store(), FirstP(), loss="nll", dimensions=(8,), in_batch_margin=0.05).backward(
        batch, 1.0, 1.0
    )
    whole = by_hand(model, batch, dataset, queries, FirstP(), model.dimension)
    cut = by_hand(model, batch, dataset, queries, FirstP(), 8)
    kept = {
        (query, one): score
        for (query, one), score in whole.items()
        if one in batch.negatives[batch.queries.tolist().index(query)]
        or score <= whole[query, int(batch.positives[batch.queries.tolist().index(query)])] - 0.05
    }
    masked = {key: (score if key in kept or key[1] in batch.positives[batch.queries == key[0]] else -np.inf) for key, score in cut.items()}
    expected = (expected_loss(batch, queries, whole, "nll", 1.0, 0.05) + expected_loss(batch, queries, masked, "nll", 1.0)) / 2
    assert loss == pytest.approx(expected, rel=1e-4)


def test_a_query_without_negatives_left_in_the_batch_learns_nothing(dataset: Dataset, queries: TrainingQueries) -> None:
    model = encoder(normalize=True)
    batch = dataclasses.replace(draw(queries, negatives=0), in_batch="all")
    objective = DenseObjective(model, queries, dataset.store(), FirstP(), loss="nll", in_batch_margin=9.0)
    loss, _ = objective.backward(batch, 1.0, 1.0)
    assert loss == 0
    assert all(torch.isfinite(weight.grad).all() for weight in model.parameters() if weight.grad is not None)


def test_positives_of_a_query_and_their_twins_are_never_its_negatives_in_the_batch(dataset: Dataset, queries: TrainingQueries) -> None:
    twin = len(dataset.store()) - 2
    assert twin in queries.excluded[0]
    batch = Batch(queries=np.array([0]), positives=np.array([0]), negatives=np.array([[twin]]), in_batch="all")
    loss, _ = DenseObjective(encoder(), queries, dataset.store(), FirstP(), loss="nll").backward(batch, 1.0, 1.0)
    assert loss == 0


def gradients(objective: DenseObjective, batch: Batch, **options: float) -> list[torch.Tensor]:
    objective.model.zero_grad()
    objective.backward(batch, options.get("temperature", 1.0), options.get("share", 1.0))
    return [weight.grad.clone() for weight in objective.model.parameters() if weight.grad is not None]


@pytest.mark.parametrize("in_batch", ["none", "all", "hardest"])
@pytest.mark.parametrize("temperature", [0.05, 1.0])
@pytest.mark.parametrize(("shared", "normalize", "scheme"), [(True, True, FirstP()), (False, False, MaxP(5, 3))], ids=str)
def test_grad_cache_gives_the_same_gradients(
    dataset: Dataset,
    queries: TrainingQueries,
    monkeypatch: pytest.MonkeyPatch,
    in_batch: Any,
    temperature: float,
    shared: bool,
    normalize: bool,
    scheme: Any,
) -> None:
    monkeypatch.setitem(scoring._TOKEN_BUDGET, "cpu", 20)  # many parts
    model = encoder(shared=shared, normalize=normalize).eval()
    batch = dataclasses.replace(draw(queries), in_batch=in_batch)
    told: dict[str, Any] = {"loss": "nll", "dimensions": (8,)}
    whole, parts = (
        gradients(
            DenseObjective(model, queries, dataset.store(), scheme, **told, grad_cache=cached), batch, temperature=temperature, share=0.5
        )
        for cached in (False, True)
    )
    assert len(whole) == len(parts) > 10
    largest = max(float(gradient.abs().max()) for gradient in whole)
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-5 * largest)


def test_grad_cache_trains_all_layers_in_bfloat16(dataset: Dataset, queries: TrainingQueries) -> None:
    """Autocast keeps the weights that it converted, those without a graph, too."""
    model = encoder().eval()
    norms = []
    for cached in (False, True):
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            DenseObjective(model, queries, dataset.store(), FirstP(), loss="nll", grad_cache=cached).backward(draw(queries), 1.0, 1.0)
        norms.append({name: float(weight.grad.norm()) for name, weight in model.named_parameters() if weight.grad is not None})
    assert norms[1] == pytest.approx(norms[0], rel=0.1, abs=1e-2 * max(norms[0].values()))


def test_grad_cache_meets_the_same_dropout_twice(dataset: Dataset, queries: TrainingQueries) -> None:
    model = encoder().train()
    objective = DenseObjective(model, queries, dataset.store(), FirstP(), grad_cache=True)
    seen: list[torch.Tensor] = []
    model.query_tower.register_forward_hook(lambda module, inputs, output: seen.append(output.detach()))
    torch.manual_seed(1)
    objective.backward(draw(queries), 1.0, 1.0)
    half = len(seen) // 2
    assert half >= 2
    for first, again in zip(seen[:half], seen[half:], strict=True):
        torch.testing.assert_close(first, again)
    model.eval()
    objective.backward(draw(queries), 1.0, 1.0)
    assert not torch.allclose(seen[0], seen[2 * half]), "the dropout was on"


@pytest.mark.parametrize("normalize", [False, True])
def test_matryoshka_averages_the_losses_of_cut_vectors(dataset: Dataset, queries: TrainingQueries, normalize: bool) -> None:
    model, batch = encoder(normalize=normalize), draw(queries)
    loss, _ = DenseObjective(model, queries, dataset.store(), FirstP(), dimensions=(16, 4)).backward(batch, 1.0, 1.0)
    expected = [
        expected_loss(batch, queries, by_hand(model, batch, dataset, queries, FirstP(), dimension), "pairwise-nll", 1.0)
        for dimension in (4, 16, 32)
    ]
    assert loss == pytest.approx(float(np.mean(expected)), rel=1e-4)


@pytest.mark.parametrize("name", ["margin-mse", "kl"])
def test_a_teacher_is_asked_about_positives_and_drawn_negatives(dataset: Dataset, queries: TrainingQueries, name: Any) -> None:
    from ance_ir.training import DISTILLATIONS

    model, teacher, batch, store = encoder(), cross_encoder(), draw(queries), dataset.store()
    loss, _ = DenseObjective(model, queries, store, FirstP(), loss=name, teacher=teacher).backward(batch, 1.0, 1.0)
    scores = by_hand(model, batch, dataset, queries, FirstP(), model.dimension)

    def both(documents: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        pairs = [(query, document) for query, row in zip(batch.queries, documents, strict=True) for document in np.atleast_1d(row)]
        taught = teacher.score([queries.texts[query] for query, _ in pairs], [store[int(document)]["text"] for _, document in pairs])
        own = [scores[query, document] for query, document in pairs]
        return torch.tensor(own).view(documents.shape), torch.from_numpy(taught).view(documents.shape)

    (positive, taught_positive), (negative, taught_negative) = both(batch.positives), both(batch.negatives)
    assert loss == pytest.approx(float(DISTILLATIONS[name](positive, negative, taught_positive, taught_negative)), rel=1e-4)
    assert all(weight.grad is None for weight in teacher.parameters())


def test_what_does_not_fit_together_is_refused(dataset: Dataset, queries: TrainingQueries) -> None:
    store = dataset.store()
    with pytest.raises(UsageError, match=r"'mse'.*pairwise-nll"):
        DenseObjective(encoder(), queries, store, FirstP(), loss="mse")
    with pytest.raises(UsageError, match=r"teacher.*kl"):
        DenseObjective(encoder(), queries, store, FirstP(), loss="kl")
    with pytest.raises(UsageError, match="the loss is nll"):
        DenseObjective(encoder(), queries, store, FirstP(), loss="nll", teacher=cross_encoder())
    for dimension in (0, 33, 99):
        with pytest.raises(UsageError, match=f"32.*{dimension}"):
            DenseObjective(encoder(), queries, store, FirstP(), dimensions=(dimension,))
    with pytest.raises(UsageError, match=r"in_batch_margin .* nan"):
        DenseObjective(encoder(), queries, store, FirstP(), in_batch_margin=float("nan"))
    assert "in_batch_margin" not in DenseObjective(encoder(), queries, store, FirstP()).manifest, "runs from before it are resumed"
    objective = DenseObjective(encoder(), queries, store, FirstP(), loss="kl", teacher=cross_encoder())
    with pytest.raises(UsageError, match="learns from drawn negatives"):
        objective.backward(draw(queries, negatives=0), 1.0, 1.0)


def test_each_text_is_read_once(dataset: Dataset, queries: TrainingQueries) -> None:
    model, store = encoder(), dataset.store()
    batch = Batch(queries=np.array([0, 1]), positives=np.array([0, 1]), negatives=np.array([[7, 7, 1], [7, 0, 8]]))
    texts = [store[number]["text"] for number in (0, 1, 7, 8)]
    expected = sum(map(len, model.tokenizer.passages(texts))) + sum(map(len, model.tokenizer.queries(queries.texts[:2])))
    assert read_batch(model, batch, queries, store, FirstP(), ALONE).tokens == expected
    assert DenseObjective(model, queries, store, FirstP()).backward(batch, 1.0, 1.0)[1] == expected


def test_gradients_reach_both_towers(dataset: Dataset, queries: TrainingQueries) -> None:
    model = encoder(shared=False)
    DenseObjective(model, queries, dataset.store(), FirstP()).backward(draw(queries), 1.0, 1.0)
    for tower in (model.query_tower, model.passage_tower):
        found = [weight.grad for weight in tower.parameters() if weight.requires_grad]
        assert any(gradient is not None and torch.linalg.norm(gradient) > 0 for gradient in found)


def test_a_document_scores_as_its_best_passage() -> None:
    query_BD = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    passage_PD = torch.tensor([[1.0, 5.0], [3.0, 2.0], [-4.0, 1.0]])
    scores = document_scores(query_BD, passage_PD, torch.tensor([0, 0, 1]), 2)
    assert scores.tolist() == [[3.0, -4.0], [5.0, 1.0]]


def test_scores_stay_in_float32_under_autocast() -> None:
    query_BD, passage_PD = torch.full((1, 4), 13.01), torch.tensor([[13.02] * 4, [13.03] * 4])
    with torch.autocast("cpu", torch.bfloat16):
        scores = document_scores(query_BD, passage_PD, torch.tensor([0, 1]), 2)
    assert scores.dtype == torch.float32
    assert scores[0].tolist() == pytest.approx([4 * 13.01 * 13.02, 4 * 13.01 * 13.03], rel=1e-6)


def test_a_teacher_is_asked_outside_autocast(dataset: Dataset, queries: TrainingQueries) -> None:
    model, teacher, batch = encoder(), cross_encoder(), draw(queries, negatives=4)
    objective = DenseObjective(model, queries, dataset.store(), FirstP(), loss="kl", teacher=teacher)
    expected = objective._taught(batch)
    with torch.autocast("cpu", torch.bfloat16):
        found = objective._taught(batch)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)


def test_a_scheme_that_the_teacher_cannot_take_is_refused(dataset: Dataset, queries: TrainingQueries) -> None:
    with pytest.raises(UsageError, match="pairs of 4 tokens leave no room"):
        DenseObjective(encoder(), queries, dataset.store(), FirstP(4), loss="kl", teacher=cross_encoder())
