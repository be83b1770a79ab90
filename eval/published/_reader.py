"""Reads publications from TOML files.

::

    describes = "Pyserini"                 # what tables call it
    source = "https://…"                   # where it states these figures

    [[tables]]
    dataset = "msmarco-passage/dev/small"  # the id of whose queries they are
    measures = ["RR@10", "R@1000"]

    [tables.systems]
    "ANCE FirstP" = [0.3301, 0.9587]       # a value for each measure
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypedDict

from ance_ir.datasets import Dataset, FileDataset
from ance_ir.errors import DatasetError
from ance_ir.eval.tables import NOTHING, Table, table_of
from ance_ir.registries import PUBLICATIONS
from ance_ir.typed_json import read_typed_toml


@dataclass(frozen=True, kw_only=True)
class PublishedFigure:
    """Values that others report for a system.

    Attributes:
        publication: the name of its file.
        source: what tables call the publication.
        stated_in: where it states this.
        dataset: the id of the queries.
        system: its name in the publication.
        values: by measure.
    """

    publication: str
    source: str
    stated_in: str
    dataset: str
    system: str
    values: dict[str, float]

    def is_on(self, queries: str) -> bool:
        """Whether it is of queries of this name; a split ``judged`` or ``test`` has those of the id above it that count."""
        return queries in (self.dataset, f"{self.dataset}/judged", f"{self.dataset}/test")


class _Table(TypedDict):
    dataset: str
    measures: list[str]
    systems: dict[str, list[float]]


class _File(TypedDict):
    describes: str
    source: str
    tables: list[_Table]


@cache
def published_figures() -> tuple[PublishedFigure, ...]:
    """All of them, by publication."""
    return tuple(figure for path in PUBLICATIONS.values() for figure in read_publication(path))


def published_on(dataset: Dataset, split: str = "test") -> tuple[PublishedFigure, ...]:
    """The figures that are published for a split's queries; none for a folder of one's own, which may hold a sample of the documents."""
    if isinstance(dataset, FileDataset):
        return ()
    queries = dataset.queries_name(split)
    return tuple(figure for figure in published_figures() if figure.is_on(queries))


def published_table(figures: Sequence[PublishedFigure]) -> Table:
    """Figures of the queries of one dataset: a row for each system."""
    named = [{"published, full collection": figure.system, "source": figure.source} for figure in figures]
    rows = [{**name, **shown} for name, shown in zip(named, _shown(figures), strict=True)]
    return table_of(rows, left=2)


def published_tables(figures: Sequence[PublishedFigure]) -> list[Table]:
    """Figures as tables: one of the queries of one dataset; else one for each publication, in which a row is a dataset, with the first
    measure of each system.
    """
    if len({figure.dataset for figure in figures}) == 1:
        return [published_table(figures)]
    found = []
    for source in dict.fromkeys(figure.source for figure in figures):
        own = [figure for figure in figures if figure.source == source]
        measure = next(iter(own[0].values))
        rows: dict[str, dict[str, str]] = {}
        for figure, shown in zip(own, _shown(own), strict=True):
            row = rows.setdefault(figure.dataset, {f"{source}, {measure}": figure.dataset})
            row[figure.system] = shown.get(measure, NOTHING)
        found.append(table_of(list(rows.values())))
    return found


def _shown(figures: Sequence[PublishedFigure]) -> list[dict[str, str]]:
    """The values of figures, those of a publication with as many decimals as it has at most."""
    decimals: dict[str, int] = {}
    for figure in figures:
        most = max(len(str(value).partition(".")[2]) for value in figure.values.values())
        decimals[figure.source] = max(most, decimals.get(figure.source, 0))
    return [{measure: f"{value:.{decimals[one.source]}f}" for measure, value in one.values.items()} for one in figures]


def read_publication(path: Path) -> list[PublishedFigure]:
    """The figures in a file; what several tables say of a system on the same queries is one figure.

    Raises:
        DatasetError: the file is none of a publication, or gives a value twice.
    """
    content: Any = read_typed_toml(path, _File, error=DatasetError)
    found: dict[tuple[str, str], PublishedFigure] = {}
    for table in content["tables"]:
        for system, values in table["systems"].items():
            place = f"{path}: {system} on {table['dataset']}"
            if len(values) != len(table["measures"]):
                raise DatasetError(f"{place}: expected {len(table['measures'])} values, found {len(values)}")
            about = {"publication": path.stem, "source": content["describes"], "stated_in": content["source"]}
            new = PublishedFigure(**about, dataset=table["dataset"], system=system, values={})
            figure = found.setdefault((table["dataset"], system), new)
            for measure, value in zip(table["measures"], values, strict=True):
                if measure in figure.values:
                    raise DatasetError(f"{place}: {measure} is given twice")
                figure.values[measure] = value
    return list(found.values())
