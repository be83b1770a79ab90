"""Late interaction on the dataset's texts: ColBERT."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import pyterrier as pt

from ance_ir.errors import ModelError, UsageError
from ance_ir.files import as_path, cache_folder
from ance_ir.models import MultiVectorEncoder
from ance_ir.pipelines.late_interaction import LateInteractionReranker
from ance_ir.pipelines.systems.checkpoints import checkpoint_for
from ance_ir.pipelines.systems.contents import model_in
from ance_ir.pipelines.systems.context import Context, with_remedy
from ance_ir.pipelines.systems.kind import Kind, Opener, Word
from ance_ir.pipelines.systems.options import Readers, model_name, read_options, yes_or_no
from ance_ir.pipelines.systems.tree import Stage
from ance_ir.pipelines.texts import FIELDS

_COLBERT = "colbert"


def _cache(text: str) -> Path | bool:
    whether = yes_or_no(text)
    if whether is None and not re.search(r"[/.]", text):
        raise UsageError(f"cache is yes, no or a file such as ./tokens.db, not {text!r}")
    return as_path(text) if whether is None else whether


_OPTIONS: Readers = {"cache": _cache}


def _plan(stage: Stage, context: Context, text: str, *, retrieves: bool) -> Opener:
    options: dict[str, Any] = read_options(stage, _OPTIONS if stage.path else {"model": model_name, **_OPTIONS}, text)
    if retrieves:
        raise UsageError(f"{stage.written} scores the results of another stage: bm25 % 100 >> {stage.written}")
    return partial(_open, stage, context, options)


def _open(stage: Stage, context: Context, options: dict[str, Any]) -> pt.Transformer:
    name = str(stage.path.resolve()) if stage.path else options.get("model") or checkpoint_for(_COLBERT, _WORD, context.dataset)
    try:
        model = context.models.once(MultiVectorEncoder, name, lambda: MultiVectorEncoder.from_pretrained(name, device=context.device))
    except ModelError as error:
        if stage.path:
            raise
        raise with_remedy(error, stage) from error
    cache = options.get("cache")
    if cache is True:
        cache = cache_folder() / "colbert" / f"{model.fingerprint()}.db"
    return context.dataset.text_loader(FIELDS) >> LateInteractionReranker(model, cache=cache or None, verbose=context.verbose)


def _holds(path: Path) -> str | None:
    return "multi-vector encoder" if model_in(path) == "multi-vector encoder" else None


_WORD = Word(
    what="late interaction (ColBERT), on the dataset's texts",
    checkpoints=dict.fromkeys(("passages", "documents", "open QA"), "colbert-ir/colbertv2.0"),
)
KIND = Kind(words={_COLBERT: _WORD}, plan=_plan, holds=_holds)
