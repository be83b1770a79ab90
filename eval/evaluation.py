"""What an experiment found: as a frame, as text, as JSON, as a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from ance_ir.eval.runs import write_run
from ance_ir.eval.tables import Table
from ance_ir.files import atomic_open, write_json

SIGNIFICANT = 0.05
_MARK = "†"
_TIME = "ms/query"


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """Systems on one set of queries.

    Attributes:
        qrels: what was judged, of the queries asked.
        runs: by system, ``qid docno score rank``.
        per_query: by system, index ``qid``, a column for each measure.
        ms_per_query: by system, milliseconds of wall-clock time.
        baseline: the system with which the others are compared.
        comparison: as ``compare`` returns it, where there is a baseline.
    """

    qrels: pd.DataFrame
    runs: Mapping[str, pd.DataFrame]
    per_query: Mapping[str, pd.DataFrame]
    ms_per_query: Mapping[str, float]
    baseline: str | None
    comparison: pd.DataFrame | None

    @property
    def measures(self) -> list[str]:
        """Names of the measures."""
        return list(next(iter(self.per_query.values())).columns)

    def table(self) -> pd.DataFrame:
        """Means: a row for each system, a column for each measure, and ``ms/query``; all float."""
        means = pd.DataFrame({system: values.mean() for system, values in self.per_query.items()}).T
        return means.assign(**{_TIME: pd.Series(self.ms_per_query)}).rename_axis("system")

    def significant(self) -> set[tuple[str, str]]:
        """Pairs of a system and a measure in which it differs from the baseline, better or worse, by more than chance."""
        if self.comparison is None:
            return set()
        found = self.comparison[self.comparison["p_corrected"] < SIGNIFICANT]
        return set(zip(found["system"], found["measure"], strict=True))

    def to_text(self) -> str:
        """The table for a terminal, with a legend."""
        marked = self.significant()
        rows = []
        for system, values in self.table().iterrows():
            name = str(system)
            cells = [f"{values[measure]:.4f}{_MARK if (name, measure) in marked else ' '}" for measure in self.measures]
            rows.append([name, *cells, f"{values[_TIME]:.1f}"])
        table = Table(header=["system", *(f"{measure} " for measure in self.measures), _TIME], rows=rows)
        return f"{table.to_text()}\n{self._legend()}"

    def _legend(self) -> str:
        queries = f"{len(next(iter(self.per_query.values()))):,} queries"
        if self.comparison is None:
            return queries
        test = f"paired t-test, two-sided, Holm-corrected over {len(self.comparison)} tests, p < {SIGNIFICANT}"
        return f"{queries}; {_MARK} differs from {self.baseline} ({test})"

    def to_json(self) -> dict[str, Any]:
        """All but the runs and the single queries, in what JSON can hold."""
        systems = {
            system: {"measures": values.mean().to_dict(), "ms_per_query": self.ms_per_query[system]}
            for system, values in self.per_query.items()
        }
        if self.comparison is not None:
            for system, rows in self.comparison.groupby("system"):
                systems[str(system)]["comparison"] = rows.drop(columns="system").set_index("measure").to_dict("index")
        queries = len(next(iter(self.per_query.values())))
        return {"queries": queries, "measures": self.measures, "baseline": self.baseline, "systems": systems}

    def save(self, folder: Path | str, settings: Mapping[str, Any] | None = None) -> None:
        """Write ``runs/NAME.txt.gz``, ``per_query.tsv`` and, last, ``results.json``.

        Args:
            folder: made if need be; a character in a system's name that a file name or a run's tag cannot hold is written as ``%xx``.
            settings: what the results were made with, for ``results.json``.
        """
        folder = Path(folder)
        for system, run in self.runs.items():
            name = quote(system, safe="+,=@()")
            write_run(run, folder / "runs" / f"{name}.txt.gz", name)
        values = pd.concat(self.per_query, names=["system"]).reset_index()
        values = values[["qid", "system", *self.measures]]
        with atomic_open(folder / "per_query.tsv") as stream:
            values.to_csv(stream, sep="\t", index=False, lineterminator="\n")
        write_json(folder / "results.json", {"settings": dict(settings or {}), **self.to_json()})
