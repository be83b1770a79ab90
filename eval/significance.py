"""Significance of differences between systems: paired tests over queries, corrected for a whole table, and bootstrap intervals."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Literal, TypeVar, get_args

import numpy as np
import pandas as pd

from ance_ir.choices import check_choice
from ance_ir.errors import EvaluationError
from ance_ir.eval.measures.own import OWN_MEASURES

logger = logging.getLogger(__name__)

Test = Literal["t", "randomisation", "wilcoxon"]
Correction = Literal["holm", "bonferroni"]

TESTS: Mapping[str, str] = {
    "t": "paired t-test, two-sided",
    "randomisation": "paired randomisation test, two-sided",
    "wilcoxon": "Wilcoxon signed-rank test, two-sided",
}
CONFIDENCE = 0.95

_RESAMPLES = 9999
_BATCH = 4_000_000
"""Numbers that a resampling holds at a time."""

_NOISE = 9
"""Decimals of a measure's largest value to which differences are rounded: 0.1 + 0.2 does not differ from 0.3."""

Numbers = TypeVar("Numbers", "pd.Series[float]", np.ndarray)

_COLUMNS = ["system", "measure", "difference", "p", "p_corrected", "wins", "losses", "ties"]


def compare(
    per_query: Mapping[str, pd.DataFrame],
    baseline: str,
    *,
    weights: Mapping[str, pd.DataFrame] | None = None,
    test: Test = "t",
    correction: Correction = "holm",
    seed: int = 0,
) -> pd.DataFrame:
    """Compare each system with the baseline by a two-sided paired test over queries.

    Values that differ by less than a billionth of the measure's largest value are equal: differences are rounded there.
    Where queries count differently in a mean, what is tested is each query's share in the difference of the means (its value,
    linearised around the weighted mean), so that the table's figures, this difference, its interval and its test are of one quantity.

    Args:
        per_query: by system, a frame as ``evaluate`` returns it; all over the same queries.
        baseline: one of the systems.
        weights: by system, how much each query counts in the mean of each measure, as ``query_weights`` returns it; by default all that
            have a value count the same.
        test: ``"t"``; ``"randomisation"``, of the mean difference's sign, with 9,999 resamples, or exact where there are fewer ways;
            ``"wilcoxon"``, which leaves out queries without a difference.
        correction: for as many tests as the table has rows: ``"holm"`` or ``"bonferroni"``.
        seed: of the randomisation.

    Returns:
        A row for each other system and measure: ``difference`` of the means (positive where the system is better), ``p`` (1 where
        the two do not differ anywhere), ``p_corrected``, and on how many queries the system wins, loses and ties.

    Raises:
        EvaluationError: no such baseline, or the systems differ in queries or measures.
        UsageError: no such test or correction.
    """
    check_test(test, correction)
    if baseline not in per_query:
        raise EvaluationError(f"the baseline {baseline!r} is none of the systems: {', '.join(per_query)}")
    _check_values(per_query, weights)
    reference = per_query[baseline]
    rows = []
    for system, values in per_query.items():
        if system == baseline:
            continue
        if set(values.index) != set(reference.index) or list(values.columns) != list(reference.columns):
            raise EvaluationError(f"{system} and {baseline} were not evaluated on the same queries and measures")
        for measure in values:
            both = pd.DataFrame({"ours": values[measure].reindex(reference.index), "theirs": reference[measure]}).dropna()
            scale = float(both.abs().to_numpy().max(initial=0.0))
            counts = _counts(rounded(both["ours"] - both["theirs"], scale))
            if weights is not None:
                both["ours"] = _shares(both["ours"], weights[system][measure])
                both["theirs"] = _shares(both["theirs"], weights[baseline][measure])
            differences = rounded(both["ours"] - both["theirs"], scale)
            rows.append((system, measure, differences.mean(), _p(differences.to_numpy(), test, seed), *counts))
    table = pd.DataFrame(rows, columns=[column for column in _COLUMNS if column != "p_corrected"])
    return table.assign(p_corrected=_corrected(table["p"], correction))[_COLUMNS]


def _corrected(p: pd.Series[float], correction: Correction) -> np.ndarray:
    """Corrected for as many tests as there are; Holm's steps down from the smallest (Scandinavian Journal of Statistics 6, 1979)."""
    values = p.to_numpy(dtype=float)
    corrected: np.ndarray = values * len(values)
    if correction == "holm":
        order = np.argsort(values)
        corrected[order] = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    np.minimum(corrected, 1.0, out=corrected)
    return corrected


def _check_values(per_query: Mapping[str, pd.DataFrame], weights: Mapping[str, pd.DataFrame] | None) -> None:
    """Refuse invalid values of queries; warn of pooled measures without weights.

    Raises:
        EvaluationError: a query comes twice, or a value is no finite number; NaN says that there is none.
    """
    for system, values in per_query.items():
        if values.index.has_duplicates:
            raise EvaluationError(f"{system}: query {values.index[values.index.duplicated()][0]!r} comes twice")
        for measure, column in values.items():
            if not pd.api.types.is_numeric_dtype(column) or np.isinf(column.to_numpy(dtype=float, na_value=np.nan)).any():
                raise EvaluationError(f"{system}: the values of {measure} must be finite numbers, or NaN where there is none")
    pooled = tuple(measure.NAME for measure in OWN_MEASURES.values() if measure.POOLED)
    unweighted = [str(measure) for measure in next(iter(per_query.values()), []) if str(measure).startswith(pooled)]
    if unweighted and weights is None:
        message = "%s: plain means over queries are compared, while tables pool the documents; weights=, from query_weights, pools here too"
        logger.warning(message, ", ".join(unweighted))


def check_test(test: str, correction: str) -> None:
    """Refuse names that ``compare`` does not know.

    Raises:
        UsageError: one of them.
    """
    check_choice("test", test, get_args(Test))
    check_choice("correction", correction, get_args(Correction))


def intervals(
    per_query: Mapping[str, pd.DataFrame],
    baseline: str | None = None,
    *,
    weights: Mapping[str, pd.DataFrame] | None = None,
    resamples: int = _RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """Confidence intervals (95 %) of the means over queries, and of their differences from the baseline's: percentile bootstrap.

    All systems and measures are seen on the same resampled queries, so that the intervals of differences are paired.

    Args:
        per_query: by system, a frame as ``evaluate`` returns it; all over the same queries.
        baseline: one of the systems.
        weights: by system, how much each query counts in the mean of each measure, a frame like that of ``per_query``; by default all that
            have a value count the same.
        resamples: how many times as many queries are drawn with replacement as there are.
        seed: of the draws.

    Returns:
        A row for each system and measure: ``system measure low high``, and with a baseline ``difference_low difference_high``, NaN
        for the baseline itself.
    """
    _check_values(per_query, weights)
    values = pd.concat({system: frame.sort_index() for system, frame in per_query.items()}, axis=1)
    counting = values.notna() if weights is None else pd.concat({system: weights[system].sort_index() for system in per_query}, axis=1)
    weights_QM = counting.to_numpy(dtype=np.float64)
    means = _resampled_means(values.to_numpy(dtype=np.float64), weights_QM, resamples, np.random.default_rng(seed))
    share = np.array([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    low, high = _quantiles(means, share)
    table = pd.DataFrame(
        {"system": values.columns.get_level_values(0), "measure": values.columns.get_level_values(1), "low": low, "high": high}
    )
    if baseline is None:
        return table
    columns = np.flatnonzero(table["system"] == baseline)
    reference = np.tile(columns, len(per_query))
    scales = values.abs().max().fillna(0.0)
    differences = np.column_stack([rounded(one, scale) for one, scale in zip((means - means[:, reference]).T, scales, strict=True)])
    table["difference_low"], table["difference_high"] = _quantiles(differences, share)
    table.loc[table["system"] == baseline, ["difference_low", "difference_high"]] = np.nan
    return table


def rounded(differences: Numbers, scale: float) -> Numbers:
    """Differences of values of at most ``scale``, rounded to hide the noise of floating point."""
    return differences.round(_NOISE - math.ceil(math.log10(scale))) if scale else differences


def _quantiles(means: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Quantiles of the columns without their NaN; NaN, with no warning, for a column of NaN."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        found: np.ndarray = np.nanquantile(means, share, axis=0)
    return found


def _resampled_means(values_QM: np.ndarray, weights_QM: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Weighted means of the columns over queries drawn with replacement, float64 ``[resamples, M]``; NaN where none drawn counts."""
    weighted_QM = np.where(weights_QM > 0, values_QM * weights_QM, 0.0)
    queries = len(values_QM)
    step = max(1, _BATCH // queries)
    means = []
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        drawn = rng.integers(queries, size=(count, queries)) + queries * np.arange(count)[:, None]
        times = np.bincount(drawn.ravel(), minlength=count * queries).reshape(count, queries).astype(np.float64)
        sums = times @ weights_QM
        means.append(np.divide(times @ weighted_QM, sums, out=np.full_like(sums, np.nan), where=sums > 0))
    return np.concatenate(means)


def _shares(values: pd.Series[float], weights: pd.Series[float]) -> pd.Series[float]:
    """Values of queries whose plain mean is the weighted one, and whose spread is its: linearised around it, as for a ratio estimator."""
    weights = weights.reindex(values.index)
    if not len(weights) or (weights == weights.iloc[0]).all():
        return values
    mean = float((values * weights).sum() / weights.sum())
    return mean + (values - mean) * weights / weights.mean()


def _p(differences: np.ndarray, test: Test, seed: int) -> float:
    """Probability of differences as large as these by chance; 1 where there is no difference."""
    if len(differences) < 2 or not differences.any():
        return 1.0
    from scipy.stats import permutation_test, ttest_1samp, wilcoxon

    if test == "randomisation":
        batch = max(1, _BATCH // len(differences))
        rng = np.random.default_rng(seed)
        found = permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=_RESAMPLES, batch=batch, rng=rng)
        return float(found.pvalue)
    with warnings.catch_warnings():
        # differences that are all the same: p = 0
        warnings.simplefilter("ignore", RuntimeWarning)
        return float((ttest_1samp(differences, 0) if test == "t" else wilcoxon(differences[differences != 0])).pvalue)


def _counts(differences: pd.Series[float]) -> tuple[int, int, int]:
    wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
    return wins, losses, len(differences) - wins - losses


def compare_pairs(per_query: Mapping[str, pd.DataFrame], pairs: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """Compare pairs of systems by two-sided paired t-tests.

    Args:
        per_query: by system, a frame as ``evaluate`` returns it; all over the same queries.
        pairs: a system, and the one that it is compared with.

    Returns:
        As ``compare``, with a column ``baseline``; a row for each pair and measure, in this order; Holm's correction is over all of them.

    Raises:
        EvaluationError: a system of a pair is none of the systems, or they differ in queries or measures.
    """
    tables = []
    for system, baseline in pairs:
        if system not in per_query:
            raise EvaluationError(f"{system!r} is none of the systems: {', '.join(per_query)}")
        tables.append(
            compare({name: per_query[name] for name in (system, baseline) if name in per_query}, baseline).assign(baseline=baseline)
        )
    if not tables:
        return pd.DataFrame(columns=[*_COLUMNS, "baseline"])
    table = pd.concat(tables, ignore_index=True)
    return table.assign(p_corrected=_corrected(table["p"], "holm"))
