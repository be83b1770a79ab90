"""Runs that come with a dataset, as the first stage of a system: the candidates of the rerank setting (paper, section 5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import pyterrier as pt

from ance_ir.datasets import Dataset, FileDataset, IrDataset
from ance_ir.datasets.ids import clean_ids
from ance_ir.digests import digest_bytes
from ance_ir.eval.runs import read_run
from ance_ir.ranking import no_results, rank_results
from ance_ir.settings import Setting, text
from ance_ir.transformers import Configured


class RunRetriever(Configured, pt.Transformer):
    """Retrieves the documents that a run has for each query.

    Args:
        name: of the run.
        read: reads it at first use: a frame with ``qid``, ``docno`` and ``score``.
    """

    schematic: ClassVar[dict[str, str | None]] = {"label": "Run", "help_url": None}
    name: Setting[str] = text(str)
    read: Setting[Callable[[], pd.DataFrame]] = Setting(lambda value: value)

    def __init__(self, name: str, read: Callable[[], pd.DataFrame]) -> None:
        self.name = name
        self.read = read

    def settle(self, changed: str | None) -> None:
        """See ``Configured``: another reader reads another run."""
        self.__dict__.pop("_run", None)

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """Look up; the result has every column of the queries, ``docno``, ``score`` and ``rank``."""
        pt.validate.query_frame(inp, context=self)
        queries = inp.drop(columns=["score", "rank"], errors="ignore")
        if inp.empty:
            return no_results(queries)
        queries = clean_ids(queries, ("qid",), "the queries")
        return rank_results(queries.merge(self._run, on="qid"))

    @cached_property
    def _run(self) -> pd.DataFrame:
        return clean_ids(self.read()[["qid", "docno", "score"]], ("qid", "docno"), f"the run {self.name}")

    def fingerprint(self) -> str:
        """Hash of the run."""
        return digest_bytes([self._run.to_csv(index=False).encode()])

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_run"}


@dataclass(frozen=True)
class _RunFile:
    """Reads a run; equal for the same file."""

    path: Path

    def __call__(self) -> pd.DataFrame:
        return read_run(self.path)


@dataclass(frozen=True)
class _Candidates:
    """Reads the candidates of a split; equal for the same split of the same dataset."""

    dataset: IrDataset
    split: str

    def __call__(self) -> pd.DataFrame:
        return self.dataset.candidates(self.split)


def dataset_runs(dataset: Dataset, split: str = "test") -> Mapping[str, RunRetriever]:
    """The runs of a dataset, by their names in a system: ``run.NAME`` for a directory's ``run.NAME[.SPLIT].txt``,
    ``candidates`` for what ``ir_datasets`` has.
    """
    if isinstance(dataset, FileDataset):
        return {f"run.{name}": RunRetriever(name, _RunFile(path)) for name, path in dataset.runs(split).items()}
    if isinstance(dataset, IrDataset) and dataset.has_candidates(split):
        return {"candidates": RunRetriever("candidates", _Candidates(dataset, split))}
    return {}
