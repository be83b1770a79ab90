"""A reader at the end of a system: one answer a question, from the dataset's titles and texts."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pyterrier as pt

from ance_ir.errors import UsageError
from ance_ir.models import Reader
from ance_ir.pipelines.reader import AnswerReader, BestAnswer
from ance_ir.pipelines.systems.contents import model_in
from ance_ir.pipelines.systems.context import Context
from ance_ir.pipelines.systems.kind import Kind, Opener
from ance_ir.pipelines.systems.options import one_of, read_options
from ance_ir.pipelines.systems.tree import Stage


def _plan(stage: Stage, context: Context, text: str, *, retrieves: bool) -> Opener:
    options = read_options(stage, {"by": one_of("by", "relevance", "score")}, text)
    if retrieves:
        raise UsageError(f"{stage.word} is a reader, which answers from the results of another stage: bm25 % 20 >> {stage.word}")
    return partial(_open, stage, context, options)


def _open(stage: Stage, context: Context, options: dict[str, Any]) -> pt.Transformer:
    assert stage.path is not None, "no word names a reader"
    name = str(stage.path.resolve())
    model = context.models.once(Reader, name, lambda: Reader.from_pretrained(name, device=context.device))
    texts = context.dataset.text_loader(("title", "text"))
    return texts >> AnswerReader(model, verbose=context.verbose) >> BestAnswer(**options)


def _holds(path: Path) -> str | None:
    return "reader" if model_in(path) == "reader" else None


KIND = Kind(plan=_plan, holds=_holds)
