"""Opens the stages of a system: from words and folders to PyTerrier transformers."""

from __future__ import annotations

import pyterrier as pt

from ance_ir.choices import check_choice
from ance_ir.errors import UsageError
from ance_ir.pipelines.systems.context import Context
from ance_ir.pipelines.systems.folders import kind_of
from ance_ir.pipelines.systems.kind import KINDS
from ance_ir.pipelines.systems.named import NAMES, WORDS
from ance_ir.pipelines.systems.parser import FUNCTIONS
from ance_ir.pipelines.systems.tree import Stage


def open_stage(stage: Stage, context: Context, text: str, *, retrieves: bool) -> pt.Transformer:
    """A stage: a retriever if it is the first of its system, otherwise a scorer of the documents that were found.

    Args:
        stage: the stage.
        context: what it is opened with.
        text: the whole system, for errors.
        retrieves: whether the system begins with it.

    Raises:
        UsageError: there is no such stage, or it cannot stand there.
        ModelError: a checkpoint is not available, or does not load.
    """
    if stage.path is not None:
        kind, _ = kind_of(stage.path)
        return kind.open(stage, context, text, retrieves=retrieves)
    word = stage.word.lower()
    if word in WORDS:
        return KINDS[WORDS[word]].open(stage, context, text, retrieves=retrieves)
    check_choice("stage", stage.word, [*NAMES, *FUNCTIONS], hint=f"To name a folder write ./{stage.word}")
    raise UsageError(f"{word} stands before brackets: {word}(bm25, ance)")
