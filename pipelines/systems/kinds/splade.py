"""Learned sparse retrieval over the dataset, or a sparse index: SPLADE."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyterrier as pt

from ance_ir.errors import ModelError, UsageError
from ance_ir.models import SparseEncoder
from ance_ir.pipelines.sparse import SparseIndex, dataset_sparse
from ance_ir.pipelines.sparse.index import checked_bits
from ance_ir.pipelines.systems.checkpoints import checkpoint_for
from ance_ir.pipelines.systems.contents import artifact_of, model_in
from ance_ir.pipelines.systems.context import Context, with_remedy
from ance_ir.pipelines.systems.kind import Kind, Opener, Word
from ance_ir.pipelines.systems.options import Readers, model_name, one_of_each, read_by, read_options
from ance_ir.pipelines.systems.tree import Stage

_SPLADE = "splade"
_OPTIONS: Readers = {"model": model_name, "bits": read_by("bits", checked_bits)}


def _plan(stage: Stage, context: Context, text: str, *, retrieves: bool) -> Opener:
    if stage.path is not None and model_in(stage.path) is not None:
        raise UsageError(f"{stage.word} is a sparse encoder: splade[model={stage.word}] makes an index of the dataset with it")
    options = read_options(stage, _OPTIONS if stage.path is None else {}, text)
    if not retrieves:
        raise UsageError(f"{stage.written} only retrieves, so it must be the first stage of a system")
    if stage.path is None:
        return partial(_open, context, partial(_over_dataset, stage, context, **options))
    index = SparseIndex(stage.path, device=context.device)
    _ = index.manifest  # it is complete
    return partial(_open, context, lambda: index)


def _open(context: Context, find_index: Callable[[], SparseIndex]) -> pt.Transformer:
    return context.counted(find_index().retriever(context.asked, verbose=context.verbose))


def _over_dataset(stage: Stage, context: Context, model: str | None = None, **settings: int) -> SparseIndex:
    name = model or checkpoint_for(_SPLADE, _WORD, context.dataset)
    try:
        encoder = context.models.once(SparseEncoder, name, lambda: SparseEncoder.from_pretrained(name, device=context.device))
    except ModelError as error:
        raise with_remedy(error, stage) from error
    return dataset_sparse(context.dataset, encoder, **settings, verbose=context.verbose, told=context.told)


def _holds(path: Path) -> str | None:
    if artifact_of(path) == SparseIndex.ARTIFACT_TYPE:
        return "sparse index"
    return "sparse encoder" if model_in(path) == "sparse encoder" else None


def _instead(stage: Stage, path: Path) -> str | None:
    if _holds(path) != "sparse index":
        return None
    made = SparseIndex(path).manifest
    return one_of_each(stage, _SPLADE, {"model": made["model"], "bits": None if made["bits"] == 8 else str(made["bits"])})


def _index(path: Path, *, device: str | None, model: str | None) -> SparseIndex:
    return SparseIndex(path, SparseEncoder.from_pretrained(model, device=device) if model else None, device=device)


_WORD = Word(
    what="learned sparse retrieval (SPLADE) over the dataset",
    checkpoints=dict.fromkeys(("passages", "documents", "open QA"), "naver/splade-cocondenser-ensembledistil"),
)
KIND = Kind(words={_SPLADE: _WORD}, plan=_plan, index=_index, holds=_holds, instead=_instead)
