"""A reranker, on the dataset's texts."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pyterrier as pt

from ance_ir.errors import ModelError, UsageError
from ance_ir.indexes import parse_passages
from ance_ir.models import CrossEncoder
from ance_ir.pipelines.reranker import BertReranker
from ance_ir.pipelines.systems.checkpoints import checkpoint_for
from ance_ir.pipelines.systems.contents import model_in
from ance_ir.pipelines.systems.context import Context, with_remedy
from ance_ir.pipelines.systems.kind import Kind, Opener, Word
from ance_ir.pipelines.systems.options import Readers, model_name, read_options
from ance_ir.pipelines.systems.tree import Stage

_BERT = "bert"
_OPTIONS: Readers = {"passages": parse_passages, "instruction": lambda text: text.replace("\\n", "\n")}


def _plan(stage: Stage, context: Context, text: str, *, retrieves: bool) -> Opener:
    options = read_options(stage, _OPTIONS if stage.path else {"model": model_name, **_OPTIONS}, text)
    if retrieves:
        raise UsageError(f"{stage.written} is a reranker, which scores the results of another stage: bm25 % 100 >> {stage.written}")
    return partial(_open, stage, context, options)


def _open(stage: Stage, context: Context, options: Mapping[str, Any]) -> pt.Transformer:
    name = str(stage.path.resolve()) if stage.path else options.get("model") or checkpoint_for(_BERT, _WORD, context.dataset)
    model = _model(stage, context, name)
    if "instruction" in options:
        model = model.with_settings(instruction=options["instruction"])
    passages = {"passages": options["passages"]} if "passages" in options else {}
    return context.dataset.text_loader(model.settings.fields) >> BertReranker(model, verbose=context.verbose, **passages)


def _model(stage: Stage, context: Context, name: str) -> CrossEncoder:
    try:
        return context.models.once(CrossEncoder, name, lambda: CrossEncoder.from_pretrained(name, device=context.device))
    except ModelError as error:
        if stage.path:
            raise UsageError(f"{stage.word} is no index, and does not open as a reranker: {error}") from error
        raise with_remedy(error, stage) from error


def _holds(path: Path) -> str | None:
    return "reranker" if model_in(path) == "reranker" else None


_WORD = Word(
    what="a BERT reranker, on the dataset's texts",
    checkpoints=dict.fromkeys(("passages", "documents", "open QA"), "castorini/monobert-large-msmarco"),
)
KIND = Kind(words={_BERT: _WORD}, plan=_plan, holds=_holds)
