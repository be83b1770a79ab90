"""BM25 over the dataset, or an index of it."""

from __future__ import annotations

import re
from pathlib import Path

import pyterrier as pt

from ance_ir.errors import UsageError
from ance_ir.pipelines.bm25 import RM3, BM25Index, BM25Retriever, dataset_bm25
from ance_ir.pipelines.bm25.engines import ENGINES
from ance_ir.pipelines.systems.contents import artifact_of, is_index
from ance_ir.pipelines.systems.context import Context
from ance_ir.pipelines.systems.kind import Kind, Opener, Word
from ance_ir.pipelines.systems.options import Readers, one_of_each, read_by, read_options, yes_or_no
from ance_ir.pipelines.systems.tree import Stage

_ANALYSIS = ("engine", "stemmer", "stopwords", "language")


def _rm3(text: str) -> RM3 | None:
    whether = yes_or_no(text)
    if whether is not None:
        return RM3() if whether else None
    found = re.fullmatch(r"(\d{1,9})\s*,\s*(\d{1,9})\s*,\s*((?:\d*\.)?\d+)", text)
    if not found:
        raise UsageError(f"rm3 is yes, no or DOCUMENTS,TERMS,WEIGHT such as 10,10,0.5, not {text!r}")
    try:
        return RM3(int(found[1]), int(found[2]), float(found[3]))
    except UsageError:
        raise UsageError(f"rm3=DOCUMENTS,TERMS,WEIGHT: at least 1 document and 1 term, and a weight from 0 to 1, not {text!r}") from None


_OPTIONS: Readers = {
    "engine": ENGINES.check,
    "k1": read_by("k1", BM25Retriever.k1.read),
    "b": read_by("b", BM25Retriever.b.read),
    "stemmer": str,
    "stopwords": str,
    "language": str,
    "rm3": _rm3,
}


def _plan(stage: Stage, context: Context, text: str, *, retrieves: bool) -> Opener:
    options = read_options(stage, _OPTIONS, text)
    if not retrieves:
        raise UsageError(f"{stage.written} only retrieves, so it must be the first stage of a system")
    analysis = {name: options.pop(name) for name in _ANALYSIS if name in options}
    index = dataset_bm25(context.dataset, build=False, **analysis) if stage.path is None else BM25Index.open(stage.path, **analysis)
    if stage.path is not None:
        _ = index.manifest  # it was built so
    if options.get("rm3") and not index.has_rm3:
        having = " or ".join(name for name in ENGINES if ENGINES[name].has_rm3)
        raise UsageError(f"{stage.written}: rm3 is for the engines {having}, not for {index.engine}: bm25[engine=lucene; rm3=yes]")

    def opened() -> pt.Transformer:
        built = dataset_bm25(context.dataset, **analysis) if stage.path is None else index
        return context.counted(built.retriever(context.asked, **{"k1": context.bm25[0], "b": context.bm25[1], **options}))

    return opened


def _holds(path: Path) -> str | None:
    return "BM25 index" if is_index(path) and artifact_of(path) is None else None


def _instead(stage: Stage, path: Path) -> str:
    return one_of_each(stage, "bm25", {})


def _index(path: Path, *, device: str | None, model: str | None) -> BM25Index:
    if model is not None:
        raise UsageError(f"{path} is a BM25 index, which has no model")
    return BM25Index.open(path)


KIND = Kind(words={"bm25": Word(what="BM25 over the dataset")}, plan=_plan, index=_index, holds=_holds, instead=_instead)
