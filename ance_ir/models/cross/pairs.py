"""How a cross-encoder reads pairs of query and document: its settings, and the tokenising."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import pandas as pd
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from ance_ir.choices import check_choice
from ance_ir.errors import UsageError
from ance_ir.models.text.pairs import Pair, PairTemplate, pad_pairs
from ance_ir.models.text.settings import LATER, PassageScheme, Settings, check_fields, documents_of, given_fields
from ance_ir.models.text.tokenizing import FastTokenizer

Score = Literal["logit", "probability", "log-probability"]

PLACES = ("instruction", "query", "document")
"""What a template has places for: ``{query}``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairSettings(Settings):
    """The settings of a cross-encoder.

    Attributes:
        pair_length: tokens of a pair, special ones included. What does not fit is cut off the document's end.
        query_length: tokens of a query, special ones excluded; a longer one loses its end, with any document. ``None``: half as
            many as of a pair.
        fields: the document's fields that are joined, in this order; a field that a document lacks is skipped.
        separator: what joins them.
        lower_case: lower-case both texts here, before the tokeniser.
        max_characters: cut texts to so many characters first; ``None`` never cuts.
        query_prefix: put before each query.
        template: the text that a pair is read as, with ``{query}`` and ``{document}`` in it, each once, and perhaps ``{instruction}``;
            ``{query|trim}`` is the query without white space around it. Empty: the two texts, joined as the tokeniser does.
        instruction: what is to be found, for models that read an instruction.
        answers: of a language model, the tokens whose logits at the next position make the log-odds: that of the relevant answer, and
            that of the other; of one token alone its logit.
        score: ``"logit"`` is the log-odds of relevance: the model's only logit, or that of the relevant class less that of the other.
            ``"probability"`` is their sigmoid, which for two logits is the softmax. It orders alike as far as it can: in float32 all
            log-odds above 17 have the probability 1. ``"log-probability"`` is its logarithm, as monoT5's.
        relevant_class: of two logits the relevant one's, 0 or 1.
    """

    pair_length: int = 512
    query_length: int | None = None
    fields: tuple[str, ...] = ("title", "text")
    separator: str = " "
    lower_case: bool = False
    max_characters: int | None = None
    query_prefix: str = ""
    template: str = dataclasses.field(default="", metadata=LATER)
    instruction: str = dataclasses.field(default="", metadata=LATER)
    answers: tuple[str, ...] = dataclasses.field(default=(), metadata=LATER)
    score: Score = "logit"
    relevant_class: int = 1

    def __post_init__(self) -> None:
        if self.query_length is not None and self.query_length < 1:
            raise UsageError(f"query_length is at least 1 token or None, not {self.query_length}")
        check_fields(self.fields, self.max_characters)
        check_choice("score", self.score, get_args(Score))
        if self.relevant_class not in (0, 1):
            raise UsageError(f"relevant_class is 0 or 1, not {self.relevant_class!r}")
        if len(self.answers) > 2 or len(set(self.answers)) < len(self.answers):
            raise UsageError(f"answers are the token of the relevant answer and that of the other, not {', '.join(self.answers)}")
        places = template_places(self.template)
        if self.template and not all(places.count(name) == 1 for name in PLACES[1:]):
            raise UsageError(f"a template has {{query}} and {{document}} in it, each once, not {self.template!r:.120}")
        if self.instruction and PLACES[0] not in places:
            where = "the template has no {instruction} in it" if self.template else "the model is given no template that has a place for it"
            raise UsageError(f"the instruction {self.instruction!r:.60} has no place: {where}; template= sets one")

    def join(self, document: Mapping[str, Any]) -> str:
        """The text of a document: its fields, joined."""
        return self.separator.join(given_fields(document, self.fields).values())

    def join_frame(self, documents: pd.DataFrame) -> list[str]:
        """The texts of a frame of documents."""
        return [self.join(document) for document in documents_of(documents, self.fields)]


_PLACE = re.compile(rf"\{{({'|'.join(PLACES)})(\|trim)?\}}")


def template_parts(template: str) -> list[tuple[str, str, bool]]:
    """A template in parts: literal text and the name of the place after it, empty at the end, and whether white space is taken off."""
    found = [*_PLACE.finditer(template)]
    starts = [0, *(place.end() for place in found)]
    ends = [*(place.start() for place in found), len(template)]
    names = [*((place[1], bool(place[2])) for place in found), ("", False)]
    return [(template[start:end], *name) for start, end, name in zip(starts, ends, names, strict=True)]


def template_places(template: str) -> list[str]:
    """The names of a template's places, in their order."""
    return [name for _, name, _ in template_parts(template) if name]


class PairTokenizer(FastTokenizer[PairSettings]):
    """Turns queries and documents into token ids as the settings say.

    Args:
        tokenizer: a fast Hugging Face tokeniser.
        settings: how the model reads pairs.
        longest: the most tokens that the model takes.
        token_types: whether the model tells the two texts apart by token types.

    Raises:
        ModelError: the tokeniser is not a fast one.
        UsageError: the settings' length is more than the model takes.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, settings: PairSettings, longest: int, *, token_types: bool = False) -> None:
        super().__init__(tokenizer, settings, longest, lower_case=settings.lower_case, max_characters=settings.max_characters)
        self.token_types = token_types

    @property
    def call(self) -> str:
        """How the tokeniser itself is called for a pair: its arguments, as Python code."""
        raise NotImplementedError

    def pairs(self, queries: Sequence[str], texts: Sequence[str], scheme: PassageScheme | None = None) -> list[list[Pair]]:
        """The pairs of each query and text, one for each passage; a text without any token has one, with nothing in it.

        Each passage comes with the query and special tokens of its own. Without a scheme the text is its only passage and is cut where
        the pair is full. A query that fills a pair is cut so that one token of the text has room.

        Args:
            queries: ``[N]``.
            texts: ``[N]``.
            scheme: how texts are cut; its length is that of the pairs.

        Raises:
            UsageError: the scheme's pairs are longer than the model takes.
        """
        raise NotImplementedError

    def pad(self, pairs: Sequence[Pair], device: torch.device | str = "cpu") -> tuple[Tensor, Tensor, Tensor | None]:
        """Token ids, mask and, where the model has them, token types; int64 ``[B, L]`` each."""
        return pad_pairs(pairs, self.pad_id, device, token_types=self.token_types)

    def _length(self, scheme: PassageScheme | None) -> int:
        """Tokens of a pair.

        Raises:
            UsageError: the model does not take so many.
        """
        length = (scheme.length if scheme is not None else None) or self.settings.pair_length
        if length > self.longest:
            raise UsageError(f"pairs of {length} tokens are more than the {self.longest} that the model takes")
        return length

    def _check_room(self, length: int, taken: int) -> None:
        """Refuse pairs in which special tokens or a template leave no room."""
        if length - taken < 2:
            raise UsageError(f"pairs of {length} tokens leave no room for two texts after special tokens")


class JoinedPairs(PairTokenizer):
    """Pairs as the tokeniser joins two texts: the token ids are the same as its own, called on the two.

    Args:
        tokenizer: a fast Hugging Face tokeniser.
        settings: how the model reads pairs.
        longest: the most tokens that the model takes.
        token_types: whether the model tells the two texts apart by token types.

    Raises:
        ModelError: the tokeniser is not a fast one, or joins two texts in a way that is not known here.
        UsageError: the settings' length is more than the model takes, or leaves no room for text.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, settings: PairSettings, longest: int, *, token_types: bool) -> None:
        super().__init__(tokenizer, settings, longest, token_types=token_types)
        self._template = PairTemplate.of(self, token_types=token_types)
        self._room(self._length(None))

    @property
    def call(self) -> str:
        """See ``PairTokenizer.call``."""
        return f'[{json.dumps(self.settings.query_prefix + "a query")}], ["a text"]'

    def pairs(self, queries: Sequence[str], texts: Sequence[str], scheme: PassageScheme | None = None) -> list[list[Pair]]:
        """See ``PairTokenizer.pairs``."""
        length = self._length(scheme)
        room = self._room(length)
        prefix = self.settings.query_prefix
        asked = self._distinct([prefix + query for query in queries])
        read = self._distinct(texts, cut=scheme is None or not scheme.whole)
        most = min(self.settings.query_length or length // 2, room - 1)
        found = []
        for query, text in zip(queries, texts, strict=True):
            query_ids = asked[prefix + query][:most]
            left = room - len(query_ids)
            windows = (scheme.windows(len(read[text]), left) if scheme is not None else None) or [(0, left)]
            found.append([self._pair(query_ids, read[text][start:end]) for start, end in windows])
        return found

    def _pair(self, query: list[int], text: list[int]) -> Pair:
        first = [*self._template.before, *query, *self._template.between]
        ids = [*first, *text, *self._template.after]
        return Pair(ids, len(first) if self._template.types_from_second else len(ids))

    def _room(self, length: int) -> int:
        """Tokens of text in a pair."""
        taken = len(self._template.before) + len(self._template.between) + len(self._template.after)
        self._check_room(length, taken)
        return length - taken

    def _distinct(self, texts: Sequence[str], *, cut: bool = True) -> dict[str, list[int]]:
        """Token ids of each distinct text, without special ones."""
        distinct = list(dict.fromkeys(texts))
        return dict(zip(distinct, self.bare([self.clean(text, cut) for text in distinct]), strict=True))
