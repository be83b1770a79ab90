"""Tokenisers that end texts otherwise than they do by themselves."""

from __future__ import annotations

import copy
from pathlib import Path

from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerBase

from ance_ir.errors import UsageError
from ance_ir.files import read_json


def ending_with(tokenizer: PreTrainedTokenizerBase, token: str) -> PreTrainedTokenizerBase:
    """A copy of a tokeniser that ends each text with a token, in place of those with which it ends one itself.

    Args:
        tokenizer: a fast one.
        token: one of its tokens; ``""`` ends texts with none.

    Raises:
        UsageError: it has no such token.
    """
    if token and token not in tokenizer.get_vocab():
        raise UsageError(f"end_token is a token of the model or empty, and {tokenizer.name_or_path} has no {token!r}")
    before = tokenizer.convert_ids_to_tokens(_before(tokenizer))
    after = [token] if token else []
    signs = {sign: tokenizer.convert_tokens_to_ids(sign) for sign in (*before, *after)}
    changed = copy.deepcopy(tokenizer)
    template = {"single": [*before, "$A", *after], "pair": [*before, "$A", *after, "$B", *after]}
    changed.backend_tokenizer.post_processor = TemplateProcessing(**template, special_tokens=list(signs.items()))
    return changed


def lost_end(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """The token with which a tokeniser's settings say that texts end, where it puts none: transformers before 5 did as the settings say."""
    path = Path(tokenizer.name_or_path) / "tokenizer_config.json"
    token = tokenizer.eos_token
    if not isinstance(token, str) or not path.is_file() or read_json(path).get("add_eos_token") is not True:
        return None
    return None if tokenizer("a")["input_ids"][-1] == tokenizer.eos_token_id else token


def _before(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """What the tokeniser puts before a text."""
    bare, whole = (tokenizer("a", add_special_tokens=special)["input_ids"] for special in (False, True))
    return list(whole[: next(place for place in range(len(whole)) if whole[place : place + len(bare)] == bare)])
