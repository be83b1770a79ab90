"""How a model wants its text: lengths, fields, case, prefixes; and the tokenising of it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import takewhile
from typing import Any, Protocol

import pandas as pd
from transformers import PreTrainedTokenizerBase

from ance_ir.errors import ModelError, UsageError

FIELDS = ("url", "title", "text")


class PassageScheme(Protocol):
    """Says how a document is cut into passages. Implementations: ``ance_ir.indexes.FirstP``, ``MaxP``, ``SlidingWindow``."""

    length: int | None
    """Tokens of a passage, special ones counted; ``None`` is the model's passage length."""
    whole: bool
    """Whether the scheme covers documents of any length; otherwise ``TextSettings.max_characters`` bounds the work."""

    def windows(self, tokens: int, room: int) -> list[tuple[int, int]]:
        """Half-open token ranges of the passages of a text.

        Args:
            tokens: the text's length in tokens, special ones not counted.
            room: tokens of text that fit into a passage beside its special tokens.
        """
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextSettings:
    """The text settings of a model; part of its fingerprint.

    Attributes:
        query_length: tokens of a query, special ones counted.
        passage_length: tokens of a passage, special ones counted.
        fields: the document's fields that are joined, in this order; a field that a document lacks is skipped.
        separator: what joins them.
        lower_case: lower-case the text here, before the tokeniser (modern RoBERTa tokenisers ignore their own setting).
        max_characters: cut texts to so many characters first; ``None`` never cuts.
        query_prefix: put before each query.
        passage_prefix: put before each passage's text.
    """

    query_length: int = 64
    passage_length: int = 512
    fields: tuple[str, ...] = ("title", "text")
    separator: str = " "
    lower_case: bool = False
    max_characters: int | None = 10_000
    query_prefix: str = ""
    passage_prefix: str = ""

    def __post_init__(self) -> None:
        if self.query_length < 3 or self.passage_length < 3:
            raise UsageError(
                "lengths count the special tokens, so they start at 3: "
                f"query_length={self.query_length}, passage_length={self.passage_length}"
            )
        if not self.fields or any(field not in FIELDS for field in self.fields):
            raise UsageError(f"fields are some of {', '.join(FIELDS)}, not {self.fields!r}")
        if self.max_characters is not None and self.max_characters < 1:
            raise UsageError(f"max_characters is a positive number or None, not {self.max_characters}")

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TextSettings:
        """The settings in a checkpoint's JSON."""
        return cls(**{**value, "fields": tuple(value["fields"])})

    def join(self, document: Mapping[str, Any]) -> str:
        """The text of a document: its fields, joined."""
        values = (document.get(field) for field in self.fields)
        return self.separator.join(value for value in values if isinstance(value, str) and value)

    def join_frame(self, documents: pd.DataFrame) -> list[str]:
        """The texts of a frame of documents."""
        fields = [field for field in self.fields if field in documents.columns]
        return [self.join(dict(zip(fields, values, strict=True))) for values in documents[fields].itertuples(index=False, name=None)]


class TextTokenizer:
    """Turns texts into token ids as the settings say.

    Args:
        tokenizer: a fast Hugging Face tokeniser.
        settings: how the model wants its text.
        longest: the most tokens that the model takes.

    Raises:
        ModelError: the tokeniser is not a fast one.
        UsageError: a length in the settings is more than the model takes.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, settings: TextSettings, longest: int) -> None:
        if not tokenizer.is_fast:
            raise ModelError(
                f"{tokenizer.name_or_path}: a fast tokeniser (tokenizer.json) is needed, this one is {type(tokenizer).__name__}"
            )
        for name in ("query_length", "passage_length"):
            if getattr(settings, name) > longest:
                raise UsageError(f"{name} {getattr(settings, name)} is more than the {longest} tokens that the model takes")
        self.tokenizer = tokenizer
        self.settings = settings
        self.longest = longest
        self.pad_id = int(tokenizer.pad_token_id or 0)
        bare, full = self._bare(["a"])[0], self._encode(["a"], settings.query_length)[0]
        start = next(i for i in range(len(full)) if full[i : i + len(bare)] == bare)
        self._before, self._after = full[:start], full[start + len(bare) :]

    @cached_property
    def vocabulary_hash(self) -> str:
        """Hash of the tokens and their ids."""
        return hashlib.blake2b(json.dumps(sorted(self.tokenizer.get_vocab().items())).encode(), digest_size=16).hexdigest()

    def queries(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of queries, special tokens included, at most ``query_length`` each."""
        return self._encode([self.settings.query_prefix + text for text in texts], self.settings.query_length)

    def passages(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of passages, special tokens included, at most ``passage_length`` each."""
        return self._encode([self.settings.passage_prefix + text for text in texts], self.settings.passage_length)

    def cut(self, texts: Sequence[str], scheme: PassageScheme) -> list[list[list[int]]]:
        """Cut texts into passages: for each text, its passages' token ids, each with special tokens of its own.

        A text without any token gives one passage of special tokens only, so that every document can be found.
        """
        prefix = self.settings.passage_prefix
        alone = self._bare([self._clean(prefix)])[0] if prefix else []
        length = scheme.length or self.settings.passage_length
        if length > self.longest:
            raise UsageError(f"passages of {length} tokens are more than the {self.longest} that the model takes")
        room = length - len(self._before) - len(self._after)
        if room <= len(alone):
            raise UsageError(f"passages of {length} tokens leave no room for text beside special tokens and prefix")
        documents = []
        for ids in self._bare([self._clean(prefix + text, cut=not scheme.whole) for text in texts]):
            # the prefix's last token may have merged with the text's first
            common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(alone, ids, strict=False)))
            before, own = self._before + ids[:common], ids[common:]
            windows = scheme.windows(len(own), room - common) or [(0, 0)]
            documents.append([before + own[start:end] + self._after for start, end in windows])
        return documents

    def _bare(self, texts: list[str]) -> list[list[int]]:
        if not texts:
            return []
        encoded: list[list[int]] = self.tokenizer(texts, add_special_tokens=False, return_attention_mask=False, verbose=False)["input_ids"]
        return encoded

    def _encode(self, texts: list[str], length: int) -> list[list[int]]:
        if not texts:
            return []
        encoded: list[list[int]] = self.tokenizer(
            [self._clean(text) for text in texts], truncation=True, max_length=length, return_attention_mask=False
        )["input_ids"]
        return encoded

    def _clean(self, text: str, cut: bool = True) -> str:
        if cut and self.settings.max_characters is not None:
            text = text[: self.settings.max_characters]
        if not text.isascii():  # lone surrogates cannot be encoded, and would stop the tokeniser
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return text.lower() if self.settings.lower_case else text
