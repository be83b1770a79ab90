"""Chat templates that have a query and a document in them, as sentence-transformers' rerankers read them, and templates of settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from transformers import PreTrainedTokenizerBase

from ance_ir.errors import ModelError
from ance_ir.models.cross.pairs import template_parts

_ROLES = {"instruction": "system", "query": "query", "document": "document"}
"""sentence-transformers' roles of the messages: its prompt is the system's, and a pair's two texts have roles of their own."""
_SIGNS = {"instruction": "\ue0a1", "query": "\ue0a2", "document": "\ue0a3"}
"""What stands for a text while a template is rendered: characters that no template has."""


def template_of_chat(tokenizer: PreTrainedTokenizerBase, arguments: Mapping[str, Any], instruction: str | None) -> tuple[str, str] | None:
    """The template in a tokeniser's chat template, and the instruction that it has itself, which may be empty.

    Args:
        tokenizer: with a chat template or without.
        arguments: what the template is rendered with.
        instruction: the one that is asked for, if one is: whether there is one may change the template.

    Returns:
        ``None`` where there is none, or one in which a query and a document have no place.

    Raises:
        ModelError: it does not render, or has one of them more than once.
    """
    if not tokenizer.chat_template:
        return None
    with_one = _rendered(tokenizer, arguments, _SIGNS)
    without = _rendered(tokenizer, arguments, {name: sign for name, sign in _SIGNS.items() if name != "instruction"})
    if any(without.count(_SIGNS[name]) == 0 for name in ("query", "document")):
        return None
    before, place, after = with_one.partition(_SIGNS["instruction"])
    own = ""
    if place and len(without) >= len(before) + len(after) and without.startswith(before) and without.endswith(after):
        own = without[len(before) : len(without) - len(after)]
    elif not place or instruction is None:
        with_one = without
    for name, sign in _SIGNS.items():
        if with_one.count(sign) > 1:
            raise ModelError(
                f"{tokenizer.name_or_path}: the chat template has the {name} {with_one.count(sign)} times; template= sets another"
            )
    spaced = _rendered(tokenizer, arguments, {name: f" {sign} " for name, sign in _SIGNS.items()})
    for name, sign in _SIGNS.items():
        with_one = with_one.replace(sign, f"{{{name}}}" if f" {sign} " in spaced else f"{{{name}|trim}}")
    return with_one, own


def chat_of_template(template: str, instruction: str) -> str:
    """A chat template that renders as a template of settings, with an instruction where no message has one."""
    parts = []
    for before, name, trimmed in template_parts(template):
        parts += [json.dumps(before)] if before else []
        if name:
            value = f"messages | selectattr('role', 'equalto', '{_ROLES[name]}') | map(attribute='content') | first"
            value += f" | default({json.dumps(instruction)})" if name == "instruction" else ""
            parts.append(value + (" | trim" if trimmed else ""))
    return "".join(f"{{{{ {part} }}}}" for part in parts)


def _rendered(tokenizer: PreTrainedTokenizerBase, arguments: Mapping[str, Any], texts: Mapping[str, str]) -> str:
    messages = [{"role": _ROLES[name], "content": text} for name, text in texts.items()]
    try:
        return str(tokenizer.apply_chat_template(messages, tokenize=False, **arguments))
    except Exception as error:  # templates raise what they like
        raise ModelError(f"{tokenizer.name_or_path}: the chat template does not render a query and a document: {error}") from error
