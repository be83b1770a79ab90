"""Which differences between systems are more than chance: paired t-tests over queries, Holm's correction over all of a table."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import ttest_rel
from statsmodels.stats.multitest import multipletests

from ance_ir.errors import EvaluationError

_COLUMNS = ["system", "measure", "difference", "p", "p_corrected", "wins", "losses", "ties"]


def compare(per_query: Mapping[str, pd.DataFrame], baseline: str) -> pd.DataFrame:
    """Compare each system with the baseline by a two-sided paired t-test.

    Args:
        per_query: by system, a frame as ``evaluate`` returns it; all over the same queries.
        baseline: one of the systems.

    Returns:
        A row for each other system and measure: ``difference`` of the means (positive where the system is better), ``p``,
        ``p_corrected`` (Holm, over all rows), and on how many queries the system wins, loses and ties.

    Raises:
        EvaluationError: no such baseline, or the systems differ in queries or measures.
    """
    if baseline not in per_query:
        raise EvaluationError(f"the baseline {baseline!r} is none of the systems: {', '.join(per_query)}")
    reference = per_query[baseline]
    rows = []
    for system, values in per_query.items():
        if system == baseline:
            continue
        if set(values.index) != set(reference.index) or list(values.columns) != list(reference.columns):
            raise EvaluationError(f"{system} and {baseline} were not evaluated on the same queries and measures")
        for measure, differences in (values - reference).items():
            rows.append((system, measure, differences.mean(), _p(differences.to_numpy()), *_counts(differences)))
    table = pd.DataFrame(rows, columns=[column for column in _COLUMNS if column != "p_corrected"])
    corrected = multipletests(table["p"], method="holm")[1] if rows else np.array([])
    return table.assign(p_corrected=corrected)[_COLUMNS]


def _p(differences: np.ndarray) -> float:
    """Probability of differences as large as these by chance; 1 where there is nothing to tell from."""
    if len(differences) < 2 or not differences.any():
        return 1.0
    with warnings.catch_warnings():
        # differences that are all the same: p = 0
        warnings.simplefilter("ignore", RuntimeWarning)
        return float(ttest_rel(differences, np.zeros_like(differences)).pvalue)


def _counts(differences: pd.Series[float]) -> tuple[int, int, int]:
    wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
    return wins, losses, len(differences) - wins - losses


def compare_pairs(per_query: Mapping[str, pd.DataFrame], pairs: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """Compare systems two by two by two-sided paired t-tests.

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
    return table.assign(p_corrected=multipletests(table["p"], method="holm")[1])
