"""The result of an experiment: shown as a frame, text or HTML; saved as ``results.json``, ``per_query.tsv`` and ``runs/``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from ance_ir.eval.grid import MARK, Cell, Column, Grid, GridRow
from ance_ir.eval.measures import mean_values
from ance_ir.eval.runs.kept import KeptRuns
from ance_ir.eval.significance import CONFIDENCE, TESTS, Correction, Test
from ance_ir.eval.tables import NOTHING, Table
from ance_ir.files import as_path, atomic_open, write_json

SIGNIFICANT = 0.05
TIME = "ms/query"


@dataclass(frozen=True, kw_only=True)
class Mean:
    """A cell of the table: a system's mean of a measure.

    Attributes:
        value: NaN where the measure is not defined for any query.
        differs: whether it differs from the baseline's by more than chance, for better or worse.
        best: whether no other of several systems has a higher one, in four decimals.
    """

    value: float
    differs: bool
    best: bool


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of the table.

    Attributes:
        system: its name.
        means: by measure.
        ms_per_query: ``None`` for a run made elsewhere.
    """

    system: str
    means: Mapping[str, Mean]
    ms_per_query: float | None

    @property
    def time(self) -> str:
        """Milliseconds a query, as text."""
        return NOTHING if self.ms_per_query is None else f"{self.ms_per_query:.1f}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """Systems evaluated on one set of queries; a notebook shows the table and the comparison.

    Attributes:
        qrels: the judgements of these queries; empty where no measure needs any.
        runs: by system, ``qid docno score rank``.
        per_query: by system, index ``qid``, a column for each measure, NaN where it is not defined for a query.
        ms_per_query: by system, milliseconds of wall-clock time a query; runs made elsewhere have none.
        baseline: the system with which the others are compared.
        comparison: as ``compare`` returns it, where there is a baseline.
        intervals: as ``significance.intervals`` returns them.
        test: of the comparison.
        correction: of the comparison.
        keys: by system, the key of its run (see ``KeptRuns``); ``None`` where the pipeline has none.
        counts_itself: whether results counted whose docno is the query's qid.
        excluded: how many documents did not count for a query, by the collection's judgements.
        reused: the systems whose runs were kept from an earlier evaluation.
        notices: warnings about what was left out, cut, assumed or replaced.
        stemmed: by system, the languages whose stemmers its BM25 applies.
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
    excluded: int = 0
    notices: tuple[str, ...] = ()
    stemmed: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def measures(self) -> list[str]:
        """Names of the measures."""
        return list(next(iter(self.per_query.values())).columns)

    def table(self) -> pd.DataFrame:
        """Means: a row for each system, a column for each measure, and ``ms/query``, NaN for a run made elsewhere; all float."""
        table = pd.DataFrame({system: mean_values(values, self.runs[system]) for system, values in self.per_query.items()}).T
        return table.assign(**{TIME: pd.Series(self.ms_per_query)}).rename_axis("system")

    def rows(self) -> list[Row]:
        """The table with significance marks and the best means, for all its forms."""
        table, marked = self.table(), self.significant()
        best = table.round(4).max()
        rows = []
        for name, values in table.iterrows():
            system = str(name)
            means = {}
            for measure in self.measures:
                value = float(values[measure])
                leads = len(table) > 1 and round(value, 4) == best[measure]
                means[measure] = Mean(value=value, differs=(system, measure) in marked, best=leads)
            rows.append(Row(system=system, means=means, ms_per_query=self.ms_per_query.get(system)))
        return rows

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
        queries = len(next(iter(self.per_query.values())))
        about = [f"{len(self.per_query)} systems", f"{queries:,} queries", " ".join(self.measures)]
        return f"Evaluation({', '.join([*about, *([f'baseline {self.baseline}'] if self.baseline is not None else [])])})"

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        compared = self.comparison_table()
        return f"{self.grid().to_html()}{compared.to_html() if compared else ''}"

    def grid(self) -> Grid:
        """The table for all its forms."""
        rows = []
        for row in self.rows():
            means = [Cell(value=mean.value, best=mean.best, differs=mean.differs) for mean in row.means.values()]
            rows.append(GridRow(labels=(row.system,), cells=[*means, Cell(value=row.ms_per_query, decimals=1)]))
        columns = [*(Column(name=measure) for measure in self.measures), Column(name=TIME, marked=False)]
        return Grid(labels=("system",), columns=columns, rows=rows, compared=self.comparison is not None, legend=self.legend())

    def to_text(self) -> str:
        """The table for a terminal, with a legend."""
        return self.grid().to_text()

    def comparison_table(self) -> Table | None:
        """Each system against the baseline, measure by measure; ``None`` without a baseline or another system."""
        if self.comparison is None or self.comparison.empty:
            return None
        rows = []
        for row in self.comparison.itertuples(index=False):
            low, high = self.interval(str(row.system), str(row.measure), "difference_")
            counts = f"{row.wins}/{row.losses}/{row.ties}"
            figures = [f"{row.difference:+.4f}", f"[{low:+.4f}, {high:+.4f}]", _probability(row.p_corrected)]
            rows.append([str(row.system), str(row.measure), *figures, counts])
        header = ["system", "measure", f"difference from {self.baseline}", f"{CONFIDENCE:.0%} interval", "p", "wins/losses/ties"]
        return Table(header=header, rows=rows, left=2)

    def comparison_text(self) -> str:
        """``comparison_table`` for a terminal; empty where there is none."""
        table = self.comparison_table()
        return "" if table is None else table.to_text()

    def legend(self) -> str:
        """The line below the table: the number of queries, and what the mark means."""
        values = next(iter(self.per_query.values()))
        queries = f"{len(values):,} queries"
        for measure, count in values.count().items():
            if count < len(values):
                queries += f", {measure} over {count:,} of them"
        if not self.counts_itself:
            queries += "; results whose docno is the query's qid do not count (BEIR)"
        if self.excluded:
            queries += f"; {self.excluded:,} documents that the collection excludes for a query do not count"
        if self.comparison is None:
            return queries
        test = f"{TESTS[self.test]}, {self.correction.capitalize()}-corrected over {len(self.comparison)} tests, p < {SIGNIFICANT}"
        return f"{queries}; {MARK} differs from {self.baseline} ({test})"

    def to_json(self) -> dict[str, Any]:
        """Everything except the runs and the values of single queries, for JSON."""
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
                compared = rows.drop(columns="system").set_index("measure").to_dict("index")
                systems[str(system)]["comparison"] = {
                    name: {**values, "interval": self.interval(str(system), str(name), "difference_")} for name, values in compared.items()
                }
        whole = {
            "queries": len(next(iter(self.per_query.values()))),
            "measures": self.measures,
            "baseline": self.baseline,
            "test": self.test,
            "correction": self.correction,
            "notices": list(self.notices),
            "systems": systems,
        }
        found: dict[str, Any] = _without_nan(whole)
        return found

    def save(self, folder: Path | str, settings: Mapping[str, Any] | None = None) -> None:
        """Write ``runs/NAME.txt.gz``, ``per_query.tsv`` and, last, ``results.json``.

        Args:
            folder: created if it does not exist; characters of a system's name that a file name or a run's tag cannot hold are written
                as ``%xx``.
            settings: the settings of the evaluation, for ``results.json``.
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
