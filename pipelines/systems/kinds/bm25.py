"""BM25 over the dataset, or an index of it."""

from __future__ import annotations

import re
from pathlib import Path

import pyterrier as pt

from ance_ir.errors import UsageError
from ance_ir.pipelines.bm25 import RM3, BM25Index, dataset_bm25
from ance_ir.pipelines.systems.contents import artifact_of, is_index
from ance_ir.pipelines.systems.context import Context
from ance_ir.pipelines.systems.kind import Kind, Word
from ance_ir.pipelines.systems.options import Readers, number, one_of_each, read_options, yes_or_no
from ance_ir.pipelines.systems.tree import Stage

_ANALYSIS = ("engine", "stemmer", "stopwords", "language")


def _rm3(text: str) -> RM3 | None:
    whether = yes_or_no(text)
    if whether is not None:
        return RM3() if whether else None
    found = re.fullmatch(r"(\d+)\s*,\s*(\d+)\s*,\s*((?:\d*\.)?\d+)", text)
    if not found:
        raise UsageError(f"rm3 is yes, no or DOCUMENTS,TERMS,WEIGHT such as 10,10,0.5, not {text!r}")
    return RM3(int(found[1]), int(found[2]), float(found[3]))


_OPTIONS: Readers = {"engine": str, "k1": number, "b": number, "stemmer": str, "stopwords": str, "language": str, "rm3": _rm3}


def _open(stage: Stage, context: Context, text: str, *, retrieves: bool) -> pt.Transformer:
    options = read_options(stage, _OPTIONS, text)
    if not retrieves:
        raise UsageError(f"{stage.written} only retrieves, so it must be the first stage of a system")
    analysis = {name: options.pop(name) for name in _ANALYSIS if name in options}
    index = dataset_bm25(context.dataset, **analysis) if stage.path is None else BM25Index.open(stage.path, **analysis)
    return context.counted(index.retriever(context.asked, **{"k1": context.bm25[0], "b": context.bm25[1], **options}))


def _holds(path: Path) -> str | None:
    return "BM25 index" if is_index(path) and artifact_of(path) is None else None


def _instead(stage: Stage, path: Path) -> str:
    return one_of_each(stage, "bm25", {})


KIND = Kind(words={"bm25": Word(what="BM25 over the dataset")}, open=_open, holds=_holds, instead=_instead)
