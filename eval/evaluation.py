"""What an experiment found: as a frame, as text, as JSON, as a folder."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from ance_ir.eval.measures import mean_values
from ance_ir.eval.runs.kept import KeptRuns
from ance_ir.eval.significance import CONFIDENCE, TESTS, Correction, Test
from ance_ir.eval.tables import NOTHING, Table
from ance_ir.files import as_path, atomic_open, write_json

SIGNIFICANT = 0.05
_MARK = "†"
_TIME = "ms/query"


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """Systems on one set of queries.

    Attributes:
        qrels: what was judged, of the queries asked; empty where no measure needs any.
        runs: by system, ``qid docno score rank``.
        per_query: by system, index ``qid``, a column for each measure, NaN where it is not defined for a query.
        ms_per_query: by system, milliseconds of wall-clock time; not of runs from elsewhere.
        baseline: the system with which the others are compared.
        comparison: as ``compare`` returns it, where there is a baseline.
        intervals: as ``significance.intervals`` returns them.
        test: of the comparison.
        correction: of the comparison.
        keys: by system, what made its run (see ``KeptRuns``); ``None`` where that cannot be told.
        counts_itself: whether results counted whose docno is the query's qid.
        reused: the systems whose runs were kept from before and not made again.
        notices: what was left out, cut, assumed or replaced on the way, in words.
    """

    qrels: pd.DataFrame
    runs: Mapping[str, pd.DataFrame]
    per_query: Mapping[str, pd.DataFrame]
    ms_per_query: Mapping[str, float]
    baseline: str | None
    comparison: pd.DataFrame | None
    intervals: pd.DataFrame
    test: Test = "t"
    correction: Correction = "holm"
    keys: Mapping[str, str | None] = field(default_factory=dict)
    reused: tuple[str, ...] = ()
    counts_itself: bool = True
    notices: tuple[str, ...] = ()

    @property
    def measures(self) -> list[str]:
        """Names of the measures."""
        return list(next(iter(self.per_query.values())).columns)

    def table(self) -> pd.DataFrame:
        """Means: a row for each system, a column for each measure, and ``ms/query``, NaN for a run from elsewhere; all float."""
        table = pd.DataFrame({system: mean_values(values, self.runs[system]) for system, values in self.per_query.items()}).T
        return table.assign(**{_TIME: pd.Series(self.ms_per_query)}).rename_axis("system")

    def significant(self) -> set[tuple[str, str]]:
        """Pairs of a system and a measure in which it differs from the baseline, better or worse, by more than chance."""
        if self.comparison is None:
            return set()
        found = self.comparison[self.comparison["p_corrected"] < SIGNIFICANT]
        return set(zip(found["system"], found["measure"], strict=True))

    def interval(self, system: str, measure: str, of: Literal["", "difference_"] = "") -> list[float]:
        """The confidence limits of a system's mean, or of its difference from the baseline's."""
        row = self.intervals[(self.intervals["system"] == system) & (self.intervals["measure"] == measure)]
        return [float(row[f"{of}{limit}"].iloc[0]) for limit in ("low", "high")]

    def __repr__(self) -> str:
        return self.to_text()

    def to_text(self) -> str:
        """The table for a terminal, with a legend."""
        marked = self.significant()
        rows = []
        for system, values in self.table().iterrows():
            name = str(system)
            cells = [f"{values[measure]:.4f}{_MARK if (name, measure) in marked else ' '}" for measure in self.measures]
            rows.append([name, *cells, f"{self.ms_per_query[name]:.1f}" if name in self.ms_per_query else NOTHING])
        table = Table(header=["system", *(f"{measure} " for measure in self.measures), _TIME], rows=rows)
        return f"{table.to_text()}\n{self.legend()}"

    def comparison_text(self) -> str:
        """Each system beside the baseline, measure by measure, for a terminal; empty without a baseline."""
        if self.comparison is None or self.comparison.empty:
            return ""
        rows = []
        for row in self.comparison.itertuples(index=False):
            low, high = self.interval(str(row.system), str(row.measure), "difference_")
            counts = f"{row.wins}/{row.losses}/{row.ties}"
            figures = [f"{row.difference:+.4f}", f"[{low:+.4f}, {high:+.4f}]", _probability(row.p_corrected)]
            rows.append([str(row.system), str(row.measure), *figures, counts])
        header = ["system", "measure", f"less {self.baseline}", f"{CONFIDENCE:.0%} interval", "p", "wins/losses/ties"]
        return Table(header=header, rows=rows, left=2).to_text()

    def legend(self) -> str:
        """What is to be said beneath the table: of how many queries, and what the mark means."""
        values = next(iter(self.per_query.values()))
        queries = f"{len(values):,} queries"
        for measure, count in values.count().items():
            if count < len(values):
                queries += f", {measure} over {count:,} of them"
        if not self.counts_itself:
            queries += "; results whose docno is the query's qid do not count (BEIR)"
        if self.comparison is None:
            return queries
        test = f"{TESTS[self.test]}, {self.correction.capitalize()}-corrected over {len(self.comparison)} tests, p < {SIGNIFICANT}"
        return f"{queries}; {_MARK} differs from {self.baseline} ({test})"

    def to_json(self) -> dict[str, Any]:
        """All but the runs and the single queries, in what JSON can hold."""
        systems: dict[str, dict[str, Any]] = {
            system: {
                "measures": mean_values(values, self.runs[system]).to_dict(),
                "intervals": {measure: self.interval(system, measure) for measure in self.measures},
                "ms_per_query": self.ms_per_query.get(system),
            }
            for system, values in self.per_query.items()
        }
        if self.comparison is not None:
            for system, rows in self.comparison.groupby("system"):
                told = rows.drop(columns="system").set_index("measure").to_dict("index")
                compared = {
                    name: {**values, "interval": self.interval(str(system), str(name), "difference_")} for name, values in told.items()
                }
                systems[str(system)]["comparison"] = compared
        queries = len(next(iter(self.per_query.values())))
        tests = {"test": self.test, "correction": self.correction}
        whole = {
            "queries": queries,
            "measures": self.measures,
            "baseline": self.baseline,
            **tests,
            "notices": list(self.notices),
            "systems": systems,
        }
        found: dict[str, Any] = _without_nan(whole)
        return found

    def save(self, folder: Path | str, settings: Mapping[str, Any] | None = None) -> None:
        """Write ``runs/NAME.txt.gz``, ``per_query.tsv`` and, last, ``results.json``.

        Args:
            folder: made if need be; a character in a system's name that a file name or a run's tag cannot hold is written as ``%xx``.
            settings: what the results were made with, for ``results.json``.
        """
        folder = as_path(folder)
        kept = KeptRuns(folder / "runs")
        for system, run in self.runs.items():
            if not kept.holds(system, self.keys.get(system)):
                kept.put(system, self.keys.get(system), run, self.ms_per_query.get(system))
        values = pd.concat(self.per_query, names=["system"]).reset_index()
        values = values[["qid", "system", *self.measures]]
        with atomic_open(folder / "per_query.tsv") as stream:
            values.to_csv(stream, sep="\t", index=False, lineterminator="\n")
        write_json(folder / "results.json", {"settings": dict(settings or {}), **self.to_json()})


def _probability(p: Any) -> str:
    return f"{p:.4f}" if p >= 0.0001 else "<0.0001"


def _without_nan(value: Any) -> Any:
    """The same with ``None`` for NaN, which JSON does not know."""
    if isinstance(value, dict):
        return {name: _without_nan(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
