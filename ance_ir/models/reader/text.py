"""How a reader reads questions and passages: its settings, and the tokenising."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from ance_ir.errors import UsageError
from ance_ir.models.text.pairs import Pair, PairTemplate, pad_pairs
from ance_ir.models.text.settings import Settings
from ance_ir.models.text.tokenizing import FastTokenizer

Layout = Literal["dpr", "qa"]
"""``"dpr"`` reads ``[CLS] question [SEP] title [SEP] text``, ``"qa"`` reads ``[CLS] question [SEP] title text [SEP]``; both with the
special tokens of their tokeniser."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReaderSettings(Settings):
    """The settings of a reader.

    Attributes:
        pair_length: tokens of a question with a passage, special ones included.
        query_length: tokens of a question, special ones excluded; a longer one loses its end. ``None``: half as many as of a pair.
        overlap: a text that does not fit is read in windows, which share so many tokens with the one before, at most half of the text
            that fits. ``None``: what does not fit is cut off.
        title: whether the title is read; answers are looked for in the text alone.
        max_answer_length: tokens of an answer.
        max_characters: cut texts to so many characters first; ``None`` never cuts.
    """

    pair_length: int = 384
    query_length: int | None = None
    overlap: int | None = 128
    title: bool = True
    max_answer_length: int = 10
    max_characters: int | None = None

    def __post_init__(self) -> None:
        for name in ("pair_length", "query_length", "max_answer_length", "max_characters"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"{name} is at least 1, not {value}")
        if self.overlap is not None and self.overlap < 0:
            raise UsageError(f"overlap is at least 0 tokens or None, not {self.overlap}")


@dataclasses.dataclass(frozen=True, slots=True)
class Window:
    """A question with as much of a passage's text as fits.

    Attributes:
        pair: the token ids.
        begin: position of the text's first token among them.
        characters: of each token of the text the half-open range of its characters, int64 ``[T, 2]``.
    """

    pair: Pair
    begin: int
    characters: np.ndarray

    def tokens_of(self, ranges: Sequence[tuple[int, int]], longest: int) -> list[tuple[int, int]]:
        """First and last position of the spans that cover ranges of characters and lie in the window; those of too many tokens left out."""
        spans = []
        for start, end in ranges:
            first = int(np.searchsorted(self.characters[:, 1], start, side="right"))
            last = int(np.searchsorted(self.characters[:, 0], end, side="left")) - 1
            covered = first <= last and self.characters[first, 0] <= start and self.characters[last, 1] >= end
            if covered and last - first < longest:
                spans.append((self.begin + first, self.begin + last))
        return sorted(set(spans))


class ReaderTokenizer(FastTokenizer[ReaderSettings]):
    """Turns questions and passages into windows of token ids as the settings say.

    Args:
        tokenizer: a fast Hugging Face tokeniser.
        settings: how the reader reads them.
        longest: the most tokens that the model takes.
        layout: what stands where.
        token_types: whether the model tells question and passage apart by token types.

    Raises:
        ModelError: the tokeniser is not a fast one, or joins two texts in a way that is not known here.
        UsageError: the settings' length is more than the model takes, or leaves no room for text.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, settings: ReaderSettings, longest: int, *, layout: Layout, token_types: bool
    ) -> None:
        super().__init__(tokenizer, settings, longest, max_characters=settings.max_characters)
        self._layout = layout
        self.token_types = token_types
        self._template = PairTemplate.of(self, token_types=token_types)
        template = self._template
        self._room = settings.pair_length - len(template.before) - len(template.between) - len(template.after)
        if settings.pair_length > longest:
            raise UsageError(f"pairs of {settings.pair_length} tokens are more than the {longest} that the model takes")
        if self._room < 3:
            raise UsageError(f"pairs of {settings.pair_length} tokens leave no room for question, title and text after special tokens")

    @property
    def call(self) -> str:
        """How the tokeniser itself is called for a window: its arguments, as Python code."""
        if self._layout == "qa":
            return '["a question"], ["a title a text"]'
        begin, end = self.tokenizer.cls_token, self.tokenizer.sep_token
        return f'["{begin}a question{end}a title{end}a text"], add_special_tokens=False'

    def windows(self, questions: Sequence[str], titles: Sequence[str], texts: Sequence[str]) -> list[list[Window]]:
        """The windows of each question and passage, at least one each; ``""`` stands for no title.

        A question or title that would fill a window is cut, so that at least a token of the text has room: a title to half of what the
        question leaves.

        Args:
            questions: ``[N]``.
            titles: ``[N]``.
            texts: cleaned by ``clean``, which may change their length, ``[N]``.
        """
        if not self.settings.title:
            titles = [""] * len(texts)
        asked, named, read = self._distinct(questions), self._distinct(titles), self._distinct(texts)
        most = min(self.settings.query_length or self.settings.pair_length // 2, self._room - 2)
        found = []
        for question, title, text in zip(questions, titles, texts, strict=True):
            question_ids = asked[question][0][:most]
            title_ids = named[title][0][: (self._room - len(question_ids)) // 2]
            ids, characters = read[text]
            room = self._room - len(question_ids) - len(title_ids)
            places = _windows(len(ids), room, self.settings.overlap)
            found.append([self._window(question_ids, title_ids, ids[a:b], characters[a:b]) for a, b in places])
        return found

    def pad(self, windows: Sequence[Window], device: torch.device | str = "cpu") -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
        """Token ids, mask and, where the model has them, token types, int64 ``[B, L]``, and which tokens are text, bool ``[B, L]``."""
        ids_BL, mask_BL, types_BL = pad_pairs(
            [window.pair for window in windows], self.pad_id, device, token_types=self._template.types_from_second
        )
        bounds_B2 = torch.tensor([[window.begin, window.begin + len(window.characters)] for window in windows], device=device)
        places_L = torch.arange(ids_BL.shape[1], device=device)
        return ids_BL, mask_BL, types_BL, (places_L >= bounds_B2[:, :1]) & (places_L < bounds_B2[:, 1:])

    def _window(self, question: list[int], title: list[int], text: list[int], characters: np.ndarray) -> Window:
        template = self._template
        first = [*template.before, *question, *template.between]
        lead = [*first, *title, *(template.after if self._layout == "dpr" else [])]
        ids = [*lead, *text, *(template.after if self._layout == "qa" else [])]
        return Window(Pair(ids, len(first) if template.types_from_second else len(ids)), len(lead), characters)

    def _distinct(self, texts: Sequence[str]) -> dict[str, tuple[list[int], np.ndarray]]:
        """Token ids of each distinct text, without special ones, and the characters of each token, int64 ``[T, 2]``."""
        distinct = list(dict.fromkeys(texts))
        if not distinct:
            return {}
        encoded = self.tokenizer(
            [self.clean(text) for text in distinct],
            add_special_tokens=False,
            return_attention_mask=False,
            return_offsets_mapping=True,
            verbose=False,
        )
        characters = [np.array(ranges, dtype=np.int64).reshape(-1, 2) for ranges in encoded["offset_mapping"]]
        return dict(zip(distinct, zip(encoded["input_ids"], characters, strict=True), strict=True))


def _windows(tokens: int, room: int, overlap: int | None) -> list[tuple[int, int]]:
    """Half-open token ranges of the windows of a text, the last one ending with it unless it is cut."""
    if overlap is None or tokens <= room:
        return [(0, min(room, tokens))]
    step = room - min(overlap, room // 2)
    return [(start, min(start + room, tokens)) for start in range(0, tokens - room + step, step)]
