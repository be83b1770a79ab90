"""Checks the stages of a system: from words and folders to what opens their PyTerrier transformers."""

from __future__ import annotations

from ance_ir.choices import check_choice
from ance_ir.errors import UsageError
from ance_ir.pipelines.systems.context import Context
from ance_ir.pipelines.systems.folders import kind_of
from ance_ir.pipelines.systems.kind import KINDS, Opener
from ance_ir.pipelines.systems.named import NAMES, WORDS
from ance_ir.pipelines.systems.parser import FUNCTIONS
from ance_ir.pipelines.systems.tree import Stage


def plan_stage(stage: Stage, context: Context, text: str, *, retrieves: bool) -> Opener:
    """What opens a stage, which was checked: a retriever if it is the first of its system, otherwise a scorer of what was found.

    Args:
        stage: the stage.
        context: what it is opened with.
        text: the whole system, for errors.
        retrieves: whether the system begins with it.

    Raises:
        UsageError: there is no such stage, it cannot stand there, or an option cannot have its value.
        ModelError: a training run that is not finished.
    """
    if stage.path is not None:
        kind, _ = kind_of(stage.path)
        return kind.plan(stage, context, text, retrieves=retrieves)
    word = stage.word.lower()
    if word in WORDS:
        return KINDS[WORDS[word]].plan(stage, context, text, retrieves=retrieves)
    check_choice("stage", stage.word, [*NAMES, *FUNCTIONS], hint=f"To name a folder write ./{stage.word}")
    raise UsageError(f"{word} stands before brackets: {word}(bm25, ance)")
