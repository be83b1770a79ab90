"""Records of training files that are parts of one, as triplets are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from ance_ir.datasets.layouts._sample import Sample


def joined(samples: Iterable[Sample]) -> Iterator[Sample]:
    """Samples, with those in one that follow each other, are of one query, and differ in negatives alone or in positives alone.

    Args:
        samples: their lists are extended.
    """
    return _joined(_joined(samples, _with_negatives), _with_positives)


def _joined(samples: Iterable[Sample], join: Callable[[Sample, Sample], bool]) -> Iterator[Sample]:
    """Samples, with those in one that follow each other and that ``join`` puts into the first of them."""
    held: Sample | None = None
    for sample in samples:
        if held is None or not join(held, sample):
            if held is not None:
                yield held
            held = sample
    if held is not None:
        yield held


def _with_negatives(held: Sample, sample: Sample) -> bool:
    """Add the negatives of a sample with the same positive to those before it, and a sample of one side, as labelled pairs are."""
    same = bool(sample.negatives) and (sample.positives, sample.positive_scores) == (held.positives, held.positive_scores)
    one_side = not (sample.positives and sample.negatives) and _is_scored(sample) == _is_scored(held)
    if (sample.query, sample.qid) != (held.query, held.qid) or not (same or one_side):
        return False
    _extend(held.negatives, sample.negatives)
    _extend(held.negative_scores, sample.negative_scores)
    if not same:
        _extend(held.positives, sample.positives)
        _extend(held.positive_scores, sample.positive_scores)
    return True


def _with_positives(held: Sample, sample: Sample) -> bool:
    """Add the positive of a row with the same negatives to those before it."""
    if (sample.query, sample.qid) != (held.query, held.qid) or (sample.negatives, sample.negative_scores) != (
        held.negatives,
        held.negative_scores,
    ):
        return False
    if bool(sample.positive_scores) != bool(held.positive_scores):
        return False
    _extend(held.positives, sample.positives)
    _extend(held.positive_scores, sample.positive_scores)
    return True


def _extend(before: Sequence[Any], added: Sequence[Any]) -> None:
    """Add to a list of a sample's own."""
    assert isinstance(before, list)
    before.extend(added)


def _is_scored(sample: Sample) -> bool:
    return bool(sample.positive_scores or sample.negative_scores)
