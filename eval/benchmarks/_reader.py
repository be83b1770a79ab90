"""Reads benchmarks from TOML files.

::

    describes = "…"                 # a line, for --help
    suite = "beir"                  # how each collection is evaluated; by default the collection's own suite
    measures = ["nDCG@10"]          # by default the suite's

    [[collections]]
    dataset = "beir/nfcorpus/test"  # a dataset's name
    name = "nfcorpus"               # in tables; by default the dataset's
    split = "test"                  # this is the default
    group = "…"                     # collections of one group count as one in the mean, by their own mean
    instruction = "…"               # what models that read instructions are told about the queries
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from ance_ir.datasets import Dataset, load_dataset
from ance_ir.errors import DatasetError, DatasetNotFoundError, UsageError
from ance_ir.files import as_path
from ance_ir.registries import BENCHMARKS
from ance_ir.typed_json import read_typed_toml

_ENDING = ".toml"


@dataclass(frozen=True, kw_only=True)
class Collection:
    """A collection of a benchmark.

    Attributes:
        name: in tables, and of its folder of results.
        dataset: the dataset, or its name.
        split: whose queries.
        group: the collections of one group count as one in the mean, by their own mean; empty for a collection that counts by itself.
        instruction: what models that read instructions are told about the queries; empty where there is none.
    """

    name: str
    dataset: Dataset | str
    split: str = "test"
    group: str = ""
    instruction: str = ""


@dataclass(frozen=True, kw_only=True, repr=False)
class Benchmark:
    """Collections that are evaluated together.

    Attributes:
        name: of the benchmark.
        describes: what it is, in a line.
        collections: one or more, each of another name.
        suite: how each is evaluated, by the suite's name; empty for the collection's own.
        measures: their names, the main one first; empty for the suite's.
    """

    name: str
    describes: str
    collections: tuple[Collection, ...]
    suite: str = ""
    measures: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Benchmark({self.name!r}, {len(self.collections)} collections)"


class _Entry(TypedDict):
    dataset: str
    name: NotRequired[str]
    split: NotRequired[str]
    group: NotRequired[str]
    instruction: NotRequired[str]


class _File(TypedDict):
    describes: str
    collections: list[_Entry]
    suite: NotRequired[str]
    measures: NotRequired[list[str]]


def find_benchmark(name: str) -> Benchmark:
    """The benchmark of a name, or in a file of one's own.

    Args:
        name: one of ``BENCHMARKS``, or the path of a file in ``.toml``.

    Raises:
        UsageError: there is none of this name.
        DatasetNotFoundError: there is no such file.
        DatasetError: it is no benchmark.
    """
    return _read(as_path(name) if name.endswith(_ENDING) else BENCHMARKS.find(name))


def benchmark_of(datasets: Sequence[Dataset | str], splits: Sequence[str]) -> Benchmark:
    """Datasets as a benchmark; each is called by its name, with its split where that is not ``test``.

    Raises:
        DatasetNotFoundError: there is no dataset of a name.
        UsageError: two have one name.
    """
    collections = []
    for given, split in zip(datasets, splits, strict=True):
        dataset = load_dataset(given) if isinstance(given, str) else given
        name = dataset.name if split == "test" else f"{dataset.name}, {split}"
        collections.append(Collection(name=name, dataset=dataset, split=split))
    _check_names(collections, "")
    return Benchmark(name="datasets", describes="datasets", collections=tuple(collections))


def _read(path: Path) -> Benchmark:
    try:
        content: Any = read_typed_toml(path, _File, error=DatasetError)
    except FileNotFoundError:
        raise DatasetNotFoundError(f"{path}: there is no such file; known benchmarks: {', '.join(BENCHMARKS)}") from None
    _check_keys(path, content, _File)
    for entry in content["collections"]:
        _check_keys(path, entry, _Entry)
    collections = [Collection(**{"name": entry["dataset"], **entry}) for entry in content["collections"]]
    if not collections:
        raise DatasetError(f"{path}: expected one [[collections]] or more, found none")
    _check_names(collections, f"{path}: ")
    return Benchmark(
        name=path.stem,
        describes=content["describes"],
        collections=tuple(collections),
        suite=content.get("suite", ""),
        measures=tuple(content.get("measures", ())),
    )


def _check_keys(path: Path, found: dict[str, Any], kind: Any) -> None:
    if unknown := sorted(found.keys() - kind.__annotations__.keys()):
        raise DatasetError(f"{path}: expected the keys {', '.join(kind.__annotations__)}, found {unknown[0]!r}")


def _check_names(collections: list[Collection], where: str) -> None:
    names = [collection.name for collection in collections]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"{where}two collections are called {twice[0]!r}")
    if taken := sorted({collection.group for collection in collections} & set(names)):
        raise UsageError(f"{where}a group and a collection are both called {taken[0]!r}")
