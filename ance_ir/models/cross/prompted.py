"""Pairs that are read as one text: a template with a query and a document in it, as language models read them."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from ance_ir.models.cross.pairs import PairSettings, PairTokenizer, template_parts
from ance_ir.models.text.pairs import Pair
from ance_ir.models.text.settings import PassageScheme


@dataclass(frozen=True, slots=True)
class _Read:
    """Token ids of a pair, in five parts: before, the one text, between, the other, after; and which of the texts comes first."""

    parts: tuple[list[int], list[int], list[int], list[int], list[int]]
    query: int
    """Where the query is in ``parts``: 1 or 3."""


class PromptedPairs(PairTokenizer):
    """Pairs in a template, tokenised as one text, so that the ids are those of the whole text also where its parts meet.

    A pair that is too long loses the end of its document, never what comes after it in the template.

    Args:
        tokenizer: a fast Hugging Face tokeniser.
        settings: with a template.
        longest: the most tokens that the model takes.
        special_tokens: whether the tokeniser's special tokens are put around the text; a language model's template has its own.

    Raises:
        ModelError: the tokeniser is not a fast one.
        UsageError: the settings' length is more than the model takes, or leaves no room for text.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, settings: PairSettings, longest: int, *, special_tokens: bool) -> None:
        super().__init__(tokenizer, settings, longest)
        self._special_tokens = special_tokens
        self._before, self._after = self.around() if special_tokens else ([], [])
        (self._example,) = self._read([("a", "a")])
        self._taken = sum(len(self._example.parts[place]) for place in (0, 2, 4))
        self._check_room(self._length(None), self._taken)

    @property
    def call(self) -> str:
        """See ``PairTokenizer.call``."""
        text, _ = self._written(self.settings.query_prefix + "a query", "a text")
        return f"[{json.dumps(text)}]" + ("" if self._special_tokens else ", add_special_tokens=False")

    def pairs(self, queries: Sequence[str], texts: Sequence[str], scheme: PassageScheme | None = None) -> list[list[Pair]]:
        """See ``PairTokenizer.pairs``."""
        length = self._length(scheme)
        self._check_room(length, self._taken)
        cut = scheme is None or not scheme.whole
        asked = [self.clean(self.settings.query_prefix + query) for query in queries]
        read = self._read(list(zip(asked, (self.clean(text, cut) for text in texts), strict=True)))
        return [[Pair(ids, len(ids)) for ids in self._passages(one, length, scheme)] for one in read]

    def _passages(self, read: _Read, length: int, scheme: PassageScheme | None) -> list[list[int]]:
        """Token ids of the passages of a pair."""
        place = 4 - read.query
        parts = list(read.parts)
        document = parts[place]
        others = max(self._taken, sum(len(parts[place]) for place in (0, 2, 4)))
        most = max(0, min(self.settings.query_length or length // 2, length - others - 1))
        if most < len(parts[read.query]):
            self._cut(parts, read.query, most)
        left = max(1, length - others - len(parts[read.query]))
        windows = (scheme.windows(len(document), left) if scheme is not None else None) or [(0, left)]
        passages = []
        for start, end in windows:
            passage = list(parts)
            passage[place] = document[start:]
            if end < len(document):
                self._cut(passage, place, end - start)
            passages.append([token for part in passage for token in part])
        return passages

    def _cut(self, parts: list[list[int]], place: int, most: int) -> None:
        """Cut a text of a pair; its last token, which may have been one with what comes after, is not there any more."""
        parts[place] = parts[place][:most]
        parts[place + 1] = self._example.parts[place + 1]

    def _read(self, pairs: list[tuple[str, str]]) -> list[_Read]:
        """Pairs of cleaned texts."""
        written = [self._written(*pair) for pair in pairs]
        encoded = self.tokenizer(
            [text for text, _ in written],
            add_special_tokens=False,
            return_offsets_mapping=True,
            return_attention_mask=False,
            verbose=False,
        )
        return [
            self._parted(ids, offsets, spans)
            for ids, offsets, (_, spans) in zip(encoded["input_ids"], encoded["offset_mapping"], written, strict=True)
        ]

    def _written(self, query: str, document: str) -> tuple[str, dict[str, tuple[int, int]]]:
        """A pair as text, and where in it the query and the document are, in characters."""
        values = {"query": query, "document": document, "instruction": self.settings.instruction}
        text, spans = "", {}
        for before, name, trimmed in template_parts(self.settings.template):
            text += before
            if name:
                value = values[name].strip() if trimmed else values[name]
                spans[name] = (len(text), len(text) + len(value))
                text += value
        return text, spans

    def _parted(self, ids: list[int], offsets: list[tuple[int, int]], spans: dict[str, tuple[int, int]]) -> _Read:
        """Tell the tokens of the two texts, and those with a character of them, from the others."""
        starts, ends = [start for start, _ in offsets], [end for _, end in offsets]
        places, query = [0], 1 if spans["query"] < spans["document"] else 3
        for begin, end in sorted((spans["query"], spans["document"])):
            first = max(places[-1], bisect_right(ends, begin))
            places += [first, max(first, bisect_left(starts, end))]
        parts = [ids[start:end] for start, end in zip(places, [*places[1:], len(ids)], strict=True)]
        return _Read((self._before + parts[0], parts[1], parts[2], parts[3], parts[4] + self._after), query)
