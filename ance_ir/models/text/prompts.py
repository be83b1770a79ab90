"""Prompts of a model, which stand before its texts, by their names, and the form in which it reads an instruction."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ance_ir.choices import check_choice
from ance_ir.errors import UsageError

INSTRUCTION = "{instruction}"
"""The place of the instruction in a form."""

USUAL = f"Instruct: {INSTRUCTION}\nQuery: "
"""What E5, GTE-Qwen2 and most other models that read instructions were trained with."""

FOR_PASSAGES = ("document", "passage", "corpus")
"""Names of prompts for passages; the first one that there is counts. That for queries is ``query``."""

_INSTRUCTED = re.compile(r"(Instruct: |<instruct>).+?(\nQuery: ?|\n<query>)", re.DOTALL)
"""A prompt that is an instruction in one of the known forms."""


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """The prompts of a model.

    Attributes:
        named: by their names.
        form: what stands before a query, with ``{instruction}`` in it; ``None`` of a model that reads no instructions.
        usual: the name of the one of texts of which nobody says what they are; ``None``: they have none.
    """

    named: Mapping[str, str] = field(default_factory=dict)
    form: str | None = None
    usual: str | None = None

    def chosen(self, query_prompt: str | None, passage_prompt: str | None, instruction: str | None) -> dict[str, Any]:
        """The text settings that choices stand for.

        Args:
            query_prompt: the name of the prompt that is put before queries.
            passage_prompt: the same for passages.
            instruction: for queries, instead, put into the model's form.

        Raises:
            UsageError: there is no such prompt, the model reads no instructions.
        """
        names = {"query_prefix": query_prompt, "passage_prefix": passage_prompt}
        settings = {setting: self.named[check_choice("prompt", name, self.named)] for setting, name in names.items() if name is not None}
        return settings if instruction is None else {**settings, "query_prefix": self.instructed(instruction)}

    def instructed(self, instruction: str) -> str:
        """What stands before a query with an instruction.

        Raises:
            UsageError: it is not known in which form the model reads one.
        """
        if self.form is None:
            raise UsageError(
                "it is not known in which form this model reads instructions: neither its prompts nor the table of published names has "
                f"one; query_prefix= is put before a query as it is, e.g. {USUAL.replace(INSTRUCTION, instruction)!r}"
            )
        return self.form.replace(INSTRUCTION, instruction)


NO_PROMPTS = Prompts()


def check_prompts(chosen: Mapping[str, str | None], settings: Mapping[str, object]) -> None:
    """Refuse two answers to what stands before a text.

    Args:
        chosen: ``query_prompt``, ``passage_prompt`` and ``instruction``, where they were given.
        settings: text settings that were given.

    Raises:
        UsageError: names them.
    """
    for name, setting in (("query_prompt", "query_prefix"), ("instruction", "query_prefix"), ("passage_prompt", "passage_prefix")):
        if chosen[name] is not None and setting in settings:
            raise UsageError(f"{name} and {setting} exclude each other: both say what stands before a text")
    if chosen["query_prompt"] is not None and chosen["instruction"] is not None:
        raise UsageError("query_prompt and instruction exclude each other: both say what stands before a query")


def form_in(prompts: Mapping[str, str]) -> str | None:
    """The form of the first prompt that is an instruction; ``None`` where there is none."""
    found = (_INSTRUCTED.fullmatch(prompt) for prompt in prompts.values())
    return next((f"{match[1]}{INSTRUCTION}{match[2]}" for match in found if match is not None), None)
