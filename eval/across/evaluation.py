"""The result over several collections: one table with the means, saved as ``results.json``."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ance_ir.eval.across.averages import Average, average
from ance_ir.eval.across.result import CollectionResult
from ance_ir.eval.benchmarks import Benchmark
from ance_ir.eval.evaluation import SIGNIFICANT
from ance_ir.eval.grid import MARK, Cell, Column, Grid, GridRow
from ance_ir.eval.significance import CONFIDENCE, TESTS, Correction, Test
from ance_ir.files import as_path, write_json

_LABELS = {
    "mean": "mean",
    "low": "mean low",
    "high": "mean high",
    "difference": "difference",
    "difference_low": "difference low",
    "difference_high": "difference high",
}
"""What stands before the rows of the means."""


@dataclass(frozen=True, kw_only=True)
class Unit:
    """What counts once in the mean: a collection, or a group of them.

    Attributes:
        name: of the collection or the group.
        results: of its collections.
        of: how many collections it has.
    """

    name: str
    results: Sequence[CollectionResult]
    of: int

    @property
    def whole(self) -> bool:
        """Whether all its collections were evaluated; otherwise it does not count."""
        return len(self.results) == self.of

    @property
    def label(self) -> str:
        """Its name, and how much of it there is where that is not all."""
        return self.name if self.whole else f"{self.name} ({len(self.results)} of {self.of})"

    def means(self, measure: str) -> pd.Series[float]:
        """Each system's mean over the unit's collections."""
        return pd.concat([result.means[measure] for result in self.results], axis=1).mean(axis=1, skipna=False)

    def differing(self, measure: str) -> set[str]:
        """The systems that differ from the baseline by more than chance; tested on single collections alone."""
        return {system for system, of in self.results[0].significant if of == measure} if self.of == 1 else set()


@dataclass(frozen=True, kw_only=True, eq=False)
class BenchmarkEvaluation:
    """Systems evaluated on several collections; a notebook shows the table.

    Attributes:
        benchmark: the collections.
        results: of those that were evaluated, in their order.
        missing: by name, why the others were not, and what to do.
        measures: those that all collections have.
        baseline: the system with which the others are compared.
        test: of the differences on each collection.
        correction: of the tests on each collection.
    """

    benchmark: Benchmark
    results: Sequence[CollectionResult]
    missing: Mapping[str, str]
    measures: Sequence[str]
    baseline: str | None = None
    test: Test = "t"
    correction: Correction = "holm"

    @property
    def systems(self) -> list[str]:
        """Their names."""
        return [str(name) for name in self.results[0].means.index]

    def units(self) -> list[Unit]:
        """What has a row in the table: collections, those of a group together."""
        members: dict[str, list[str]] = {}
        for collection in self.benchmark.collections:
            members.setdefault(collection.group or collection.name, []).append(collection.name)
        found = {result.collection.name: result for result in self.results}
        units = [Unit(name=name, results=[found[one] for one in of if one in found], of=len(of)) for name, of in members.items()]
        return [unit for unit in units if unit.results]

    def table(self, measure: str | None = None) -> pd.DataFrame:
        """A row for each collection or group, a column for each system; of the first measure by default."""
        measure = measure or self.measures[0]
        return pd.DataFrame({unit.name: unit.means(measure) for unit in self.units()}).T.rename_axis("collection")

    def mean(self) -> pd.DataFrame:
        """Means over the collections: a row for each measure and system.

        Columns are ``measure system mean low high``, and with a baseline ``difference difference_low difference_high``; a difference is
        NaN for the baseline. The limits are those of 95 % t intervals over the collections.
        """
        rows = []
        for measure in self.measures:
            counted = self._counted(measure)
            for system in self.systems:
                row: dict[str, Any] = {"measure": measure, "system": system, **average(counted[system])._asdict()}
                if self.baseline is not None:
                    apart = self._apart(counted, system)
                    row |= {"difference": apart.mean, "difference_low": apart.low, "difference_high": apart.high}
                rows.append(row)
        return pd.DataFrame(rows)

    def _counted(self, measure: str) -> pd.DataFrame:
        """The part of the table that counts in the mean."""
        return self.table(measure)[[unit.whole for unit in self.units()]]

    def _apart(self, counted: pd.DataFrame, system: str) -> Average:
        """The difference from the baseline."""
        return Average(math.nan, math.nan, math.nan) if system == self.baseline else average(counted[system] - counted[self.baseline])

    def grid(self) -> Grid:
        """The table for all its forms: for each measure the collections, then the mean with its interval, and the differences."""
        rows: list[GridRow] = []
        averages = self.mean().set_index(["measure", "system"])
        for measure in self.measures:
            for unit in self.units():
                cells = self.cells(unit.means(measure), differing=unit.differing(measure))
                rows.append(GridRow(labels=(measure, unit.label), cells=cells))
            of_measure = averages.loc[measure]
            for column in of_measure.columns:
                cells = self.cells(of_measure[column], signed=column.startswith("difference"), leads=column == "mean")
                rows.append(GridRow(labels=(measure, _LABELS[column]), cells=cells))
        columns = [Column(name=system) for system in self.systems]
        return Grid(labels=("measure", "collection"), columns=columns, rows=rows, compared=self.baseline is not None, legend=self.legend())

    def cells(self, values: pd.Series[float], *, differing: Collection[str] = (), signed: bool = False, leads: bool = True) -> list[Cell]:
        """The cells of a row, one for each system.

        Args:
            values: by system.
            differing: the systems that differ from the baseline by more than chance.
            signed: whether a plus is shown.
            leads: whether the best is marked.
        """
        best = values.round(4).max() if leads and len(values) > 1 else math.nan
        cells = []
        for system in self.systems:
            value = float(values[system])
            shown = None if math.isnan(value) else value
            cells.append(Cell(value=shown, signed=signed, best=round(value, 4) == best, differs=system in differing))
        return cells

    def legend(self, limits: str = "low, high") -> str:
        """The line below the table: over what the means are, what the interval and the mark say, and what is missing.

        Args:
            limits: where the table has the interval.
        """
        counting = [unit for unit in self.units() if unit.whole]
        parts = [f"mean over {len(counting)} collections, each counting once" if len(counting) != 1 else "mean over 1 collection"]
        parts += [f"{unit.name} is the mean of {unit.of} collections, and counts as one" for unit in counting if unit.of > 1]
        parts += [f"{unit.name} is not whole, and does not count" for unit in self.units() if not unit.whole]
        parts.append(f"{limits}: {CONFIDENCE:.0%} t interval over the collections, not over queries")
        if self.baseline is not None:
            test = f"{TESTS[self.test]}, {self.correction.capitalize()}-corrected over the tests on that collection, p < {SIGNIFICANT}"
            parts.append(f"{MARK} differs from {self.baseline} on that collection ({test})")
            parts.append(f"difference from {self.baseline}: of the means, not tested")
        if self.missing:
            parts.append(f"not evaluated: {', '.join(self.missing)}")
        return "; ".join(parts)

    def to_text(self) -> str:
        """The table for a terminal, with a legend."""
        return self.grid().to_text()

    def __repr__(self) -> str:
        collections = f"{len(self.results)} of {len(self.benchmark.collections)} collections"
        about = [self.benchmark.name, collections, f"{len(self.systems)} systems", " ".join(self.measures)]
        return f"BenchmarkEvaluation({', '.join([*about, *([f'baseline {self.baseline}'] if self.baseline is not None else [])])})"

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        return self.grid().to_html()

    def to_json(self) -> dict[str, Any]:
        """All figures, for JSON: those of the table, and those of each collection."""
        means: dict[str, dict[str, Any]] = {system: {} for system in self.systems}
        for row in self.mean().to_dict("records"):
            of = {str(name): None if math.isnan(value) else value for name, value in row.items() if name not in ("measure", "system")}
            means[row["system"]][row["measure"]] = of
        return {
            "benchmark": self.benchmark.name,
            "measures": list(self.measures),
            "baseline": self.baseline,
            "test": self.test,
            "correction": self.correction,
            "counted": [unit.name for unit in self.units() if unit.whole],
            "means": means,
            "collections": {result.collection.name: result.to_json() for result in self.results},
            "missing": dict(self.missing),
        }

    def save(self, folder: Path | str, settings: Mapping[str, Any] | None = None) -> None:
        """Write ``results.json``; the runs and the values of queries are in the folders of the collections.

        Args:
            folder: created if it does not exist.
            settings: the settings of the evaluation.
        """
        write_json(as_path(folder) / "results.json", {"settings": dict(settings or {}), **self.to_json()})
