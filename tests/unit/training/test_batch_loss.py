"""The loss of a batch against values computed in numpy from its vectors: both directions, weighted dimensions, a teacher's temperature."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ance_ir.errors import UsageError
from ance_ir.training.objectives.batch_loss import BatchLoss
from ance_ir.training.objectives.scoring import BatchTexts

GENERATOR = np.random.default_rng(11)
QUERY_BD, PASSAGE_PD = (GENERATOR.normal(size=shape).astype(np.float32) for shape in ((3, 6), (7, 6)))
OWNER_P = [0, 0, 1, 2, 3, 4, 4]
"""Documents 0 and 4 have two passages."""
POSITIVE_B = [1, 0, 4]
NEGATIVE_BN = [[2], [3], [3]]
ALLOWED_BU = np.ones((3, 5), dtype=bool)
ALLOWED_BU[range(3), POSITIVE_B] = False
ALLOWED_BU[0, 4] = False  # relevant for query 0 as well


def loss(in_batch: Any, temperature: float = 0.7, taught: np.ndarray | None = None, similarity: Any = "dot", **options: Any) -> float:
    usual = {"loss": "nll", "teacher_temperature": 1.0, "dimensions": (), "dimension_weights": (), "in_batch_margin": None}
    made = BatchLoss(6, similarity, **{**usual, "symmetric": False, "taught": taught is not None, **options})  # type: ignore[arg-type]
    texts = BatchTexts(
        queries=[],
        passages=[],
        passages_U=np.bincount(OWNER_P),
        positive_B=np.array(POSITIVE_B),
        negative_BN=np.array(NEGATIVE_BN),
        allowed_BU=ALLOWED_BU,
    )
    teacher = None if taught is None else torch.from_numpy(taught)
    return float(made(texts, torch.from_numpy(QUERY_BD), torch.from_numpy(PASSAGE_PD), temperature, in_batch, teacher))


def scores(dimension: int = 6, unit: bool = False) -> np.ndarray:
    """Of queries and documents, float64 ``[3, 5]``."""
    query_BE, passage_PE = QUERY_BD[:, :dimension].astype(float), PASSAGE_PD[:, :dimension].astype(float)
    if unit:
        query_BE, passage_PE = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (query_BE, passage_PE))
    scores_BP = query_BE @ passage_PE.T
    return np.stack([scores_BP[:, np.array(OWNER_P) == document].max(1) for document in range(5)], axis=1)


def nll(positive: float, others: list[float]) -> float:
    return float(np.logaddexp.reduce([positive, *others]) - positive)


def forward(scores_BU: np.ndarray, temperature: float = 0.7) -> float:
    scores_BU = scores_BU / temperature
    rows = [nll(row[positive], list(row[allowed])) for row, positive, allowed in zip(scores_BU, POSITIVE_B, ALLOWED_BU, strict=True)]
    return float(np.mean(rows))


def backward(scores_BU: np.ndarray, temperature: float = 0.7, hardest: bool = False) -> float:
    """For each query's positive, the query among those queries that do not exclude it."""
    scores_BU = scores_BU / temperature
    rows = []
    for query, positive in enumerate(POSITIVE_B):
        others = [float(scores_BU[other, positive]) for other in range(3) if ALLOWED_BU[other, positive]]
        rows.append(nll(scores_BU[query, positive], [max(others)] if hardest else others))
    return float(np.mean(rows))


def test_symmetric_is_the_mean_of_both_directions() -> None:
    assert loss("all") == pytest.approx(forward(scores()), rel=1e-6)
    assert loss("all", symmetric=True) == pytest.approx((forward(scores()) + backward(scores())) / 2, rel=1e-6)


def test_symmetric_with_the_hardest_of_the_batch() -> None:
    both, one = loss("hardest", symmetric=True), loss("hardest")
    assert both == pytest.approx((one + backward(scores(), hardest=True)) / 2, rel=1e-6)


def test_symmetric_changes_nothing_where_only_drawn_documents_are_negatives() -> None:
    assert loss("none", symmetric=True) == loss("none")


def test_a_pair_within_the_margin_counts_in_neither_direction() -> None:
    allowed_BU = ALLOWED_BU.copy()
    positive_B1 = scores()[range(3), POSITIVE_B][:, None]
    near_BU = scores() > positive_B1 - 0.5
    near_BU[range(3), np.ravel(NEGATIVE_BN)] = False
    assert (near_BU & allowed_BU)[:, POSITIVE_B].any(), "a pair of both directions must be near"
    masked = np.where(near_BU, -np.inf, scores())
    masked[range(3), POSITIVE_B] = scores()[range(3), POSITIVE_B]
    expected = (forward(masked) + backward(masked)) / 2
    assert loss("all", symmetric=True, in_batch_margin=0.5) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("similarity", ["dot", "cosine"])
@pytest.mark.parametrize(("dimensions", "weights", "expected"), [((4, 2), (0.5, 3), {2: 3, 4: 0.5, 6: 1}), ((6, 2), (2, 1), {2: 1, 6: 2})])
def test_losses_of_cut_vectors_are_weighted(similarity: Any, dimensions: Any, weights: Any, expected: dict[int, float]) -> None:
    found = loss("all", similarity=similarity, dimensions=dimensions, dimension_weights=weights)
    each = {one: forward(scores(one, unit=similarity == "cosine" and one < 6)) for one in expected}
    assert found == pytest.approx(sum(expected[one] * each[one] for one in expected) / sum(expected.values()), rel=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_teacher_has_its_own_temperature(temperature: float) -> None:
    taught = np.array([[3.0, -1.0], [0.5, 2.0], [8.0, 0.0]])
    total = 0.0
    for row, positive, negative, teacher in zip(scores(), POSITIVE_B, NEGATIVE_BN, taught, strict=True):
        student = np.exp(row[[positive, *negative]] / 0.7)
        target = np.exp(teacher / temperature)
        student, target = student / student.sum(), target / target.sum()
        total += float((target * np.log(target / student)).sum())
    assert loss("none", loss="kl", taught=taught, teacher_temperature=temperature) == pytest.approx(total / 3, rel=1e-6)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"dimensions": (4, 4)}, "4, 4"),
        ({"dimensions": (7,)}, "7"),
        ({"dimensions": (4, 2), "dimension_weights": (1,)}, "4, 2"),
        ({"dimension_weights": (1,)}, "none"),
        ({"dimensions": (4,), "dimension_weights": (0,)}, "0"),
        ({"dimensions": (4,), "dimension_weights": (float("nan"),)}, "nan"),
        ({"teacher_temperature": 2.0}, "nll"),
        ({"loss": "kl", "taught": np.zeros((3, 2)), "teacher_temperature": 0.0}, "0.0"),
        ({"loss": "kl", "taught": np.zeros((3, 2)), "symmetric": True}, "kl"),
    ],
)
def test_what_does_not_fit_is_refused(options: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        loss("all", **options)
