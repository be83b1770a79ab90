"""The reader: a question and a passage, read together, to the passage's best answer.

Shapes: B windows, L tokens, M tokens of the longest answer.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ance_ir.errors import UsageError
from ance_ir.models.compute.device import find_device
from ance_ir.models.compute.inference import Progress, in_batches
from ance_ir.models.loading.backbones import positions
from ance_ir.models.loading.weights import hash_weights, some
from ance_ir.models.reader.text import Layout, ReaderSettings, ReaderTokenizer, Window
from ance_ir.models.text.pairs import distinct_pairs

logger = logging.getLogger(__name__)

_WINDOW = 1_024
"""Passages that are tokenised and sorted by length together."""

FreshHead = Literal["dpr", "qa"]


class SpanLogits(NamedTuple):
    """What the model says of windows, float32.

    Attributes:
        start_BL: of each token, how well it begins an answer; −∞ outside the text.
        end_BL: how well it ends one; −∞ outside the text.
        relevance_B: how likely the window is to hold the answer, to be compared over the passages of a question.
    """

    start_BL: Tensor
    end_BL: Tensor
    relevance_B: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Readings:
    """What was found in N passages.

    Attributes:
        answers: the best span of each, as it stands in the text; ``""`` where the text has no token.
        scores: of these spans, start and end logit added, float32 ``[N]``; −∞ without a span.
        relevance: of the passages, float32 ``[N]``; −∞ without a span.
    """

    answers: list[str]
    scores: np.ndarray
    relevance: np.ndarray


class Reader(nn.Module):
    """An extractive reader: DPR's, with a relevance of its own, or a model with a head for question answering.

    The latter's relevance of a passage is the score of its best span less that of no answer, which such models put on their first token.

    Args:
        model: a ``DPRReader``, or a Hugging Face model for question answering.
        tokenizer: a fast Hugging Face tokeniser.
        settings: how the model wants questions and passages.
        layout: which of the two it is.
        name: what it is called in messages and manifests.
        unused: names of weights in the checkpoint that the model has no use for.

    Raises:
        ModelError: the tokeniser is not a fast one.
        UsageError: the settings' length is more than the model takes.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        settings: ReaderSettings,
        *,
        layout: Layout,
        name: str = "unnamed",
        unused: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.model = model
        self.layout = layout
        self.name = name
        self.unused = unused
        types = int(getattr(model.config, "type_vocab_size", None) or 0) > 1 and "token_type_ids" in tokenizer.model_input_names
        self.tokenizer = ReaderTokenizer(
            tokenizer, settings, longest(model, tokenizer), layout=layout, token_types=types and layout == "qa"
        )

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        *,
        device: str | torch.device | None = None,
        fresh_head: FreshHead | None = None,
        seed: int = 42,
        **settings: Any,
    ) -> Reader:
        """Open a checkpoint.

        Args:
            name: a folder of a ``DPRReader`` or of a Hugging Face model for question answering, one that this package wrote, a training
                run's folder, or a hub name.
            device: where to put it; by default a GPU where there is one.
            fresh_head: put a new head on a backbone, or in place of the checkpoint's, to be trained: ``"dpr"``, on a BERT, or ``"qa"``.
            seed: of a fresh head's weights.
            **settings: fields of ``ReaderSettings`` to change.

        Raises:
            ModelError: it is not there, does not load, or lacks some of the model's parameters.
            UsageError: there is no such device, or the settings cannot be meant.
        """
        from ance_ir.models.reader.checkpoint import load_reader

        if fresh_head not in (None, *get_args(FreshHead)):
            raise UsageError(f"a fresh head is {' or '.join(get_args(FreshHead))} or None, not {fresh_head!r}")
        place = find_device(device)
        reader = load_reader(str(name), settings, fresh_head=fresh_head, seed=seed)
        if reader.unused:
            logger.warning("%s: weights that have no place in the model: %s", reader.name, some(reader.unused))
        return reader.to(place).eval()

    def save(self, folder: Path | str) -> None:
        """Write a folder, whole or not at all, that this package and transformers open."""
        from ance_ir.models.reader.checkpoint import save_reader

        save_reader(self, Path(folder))

    @property
    def settings(self) -> ReaderSettings:
        """How the model wants questions and passages."""
        return self.tokenizer.settings

    def with_settings(self, **changes: Any) -> Reader:
        """The same model, not copied, under changed settings."""
        settings = replace(self.settings, **changes)
        return Reader(self.model, self.tokenizer.tokenizer, settings, layout=self.layout, name=self.name, unused=self.unused)

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return next(self.parameters()).device

    def fingerprint(self) -> str:
        """Hash (128 bits, hexadecimal) of weights, vocabulary and settings; computed afresh at each call, since training changes it."""
        told = [hash_weights(self.state_dict()), self.tokenizer.vocabulary_hash, asdict(self.settings)]
        return hashlib.blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=16).hexdigest()

    def forward(self, ids_BL: Tensor, mask_BL: Tensor, types_BL: Tensor | None, text_BL: Tensor) -> SpanLogits:
        """The logits of padded windows; ``text_BL`` says which tokens are text."""
        types = {} if types_BL is None else {"token_type_ids": types_BL}
        output = self.model(input_ids=ids_BL, attention_mask=mask_BL, return_dict=True, **types)
        all_BL = output.start_logits.float(), output.end_logits.float()
        start_BL, end_BL = (logits.masked_fill(~text_BL, -torch.inf) for logits in all_BL)
        if self.layout == "dpr":
            return SpanLogits(start_BL, end_BL, output.relevance_logits.float())
        best_B = self._span_scores(start_BL, end_BL).amax((1, 2))
        return SpanLogits(start_BL, end_BL, best_B - all_BL[0][:, 0] - all_BL[1][:, 0])

    def read(
        self, questions: Sequence[str], texts: Sequence[str], titles: Sequence[str] | None = None, progress: Progress | None = None
    ) -> Readings:
        """The best answer in each passage; equal questions and passages are read once and give the same.

        Of spans that score equally the first one is taken, of those that begin together the shortest. Of several windows the most relevant
        one is taken.

        Args:
            questions: ``[N]``.
            texts: of the passages, ``[N]``.
            titles: theirs, ``""`` where there is none, ``[N]``; ``None``: none has one.
            progress: called with the number of windows that a batch has finished.

        Raises:
            UsageError: there are not as many of one as of the other, or one of them is no string.
        """
        titles = [""] * len(texts) if titles is None else titles
        if not len(questions) == len(texts) == len(titles):
            raise UsageError(f"as many questions as texts and titles were expected, not {len(questions)}, {len(texts)} and {len(titles)}")
        for text in (*questions, *texts, *titles):
            if not isinstance(text, str):
                raise UsageError(f"questions, texts and titles are strings, found {text!r}")
        firsts, codes = distinct_pairs(questions, list(zip(titles, texts, strict=True)))
        answers: list[str] = []
        scores, relevance = (np.empty(len(firsts), dtype=np.float32) for _ in range(2))
        for start in range(0, len(firsts), _WINDOW):
            chosen = firsts[start : start + _WINDOW]
            clean = [self.tokenizer.clean(texts[i]) for i in chosen]
            passages = self.tokenizer.windows([questions[i] for i in chosen], [titles[i] for i in chosen], clean)
            found = iter(self._read([window for windows in passages for window in windows], progress))
            for place, (text, windows) in enumerate(zip(clean, passages, strict=True), start):
                best = max((next(found) for _ in windows), key=lambda span: span.relevance)
                answers.append(text[best.begin : best.end])
                scores[place], relevance[place] = best.score, best.relevance
        return Readings(answers=[answers[code] for code in codes], scores=scores[codes], relevance=relevance[codes])

    def _read(self, windows: list[Window], progress: Progress | None) -> list[_Span]:
        """The best span of each window."""
        spans: dict[int, _Span] = {}

        def read(batch: np.ndarray) -> None:
            logits = self(*self.tokenizer.pad([windows[i] for i in batch], self.device))
            scores_BN = self._span_scores(logits.start_BL, logits.end_BL).flatten(1).cpu().numpy()
            relevance_B = logits.relevance_B.cpu().numpy()
            best_B = scores_BN.argmax(1)  # NumPy's is the first of several
            longest = scores_BN.shape[1] // logits.start_BL.shape[1]
            for row, i in enumerate(batch):
                characters = windows[i].characters
                if not len(characters):
                    spans[i] = _Span(0, 0, -np.inf, -np.inf)
                    continue
                first, more = divmod(int(best_B[row]), longest)
                first -= windows[i].begin
                begin, end = int(characters[first, 0]), int(characters[first + more, 1])
                spans[i] = _Span(begin, end, float(scores_BN[row, best_B[row]]), float(relevance_B[row]))

        in_batches(self, [len(window.pair.ids) for window in windows], self.device, read, progress)
        return [spans[i] for i in range(len(windows))]

    def _span_scores(self, start_BL: Tensor, end_BL: Tensor) -> Tensor:
        """Scores of all spans, ``[B, L, M]``: at ``[b, i, j]`` that of the tokens from i to i + j; −∞ where they leave the text."""
        longest = min(self.settings.max_answer_length, start_BL.shape[1])
        end_BLM = nn.functional.pad(end_BL, (0, longest - 1), value=-torch.inf).unfold(1, longest, 1)
        return start_BL.unsqueeze(2) + end_BLM


class _Span(NamedTuple):
    """A span of a text: its characters, half open, its score, and the relevance of its window."""

    begin: int
    end: int
    score: float
    relevance: float


def longest(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """The most tokens that a reader and its tokeniser take."""
    predictor = getattr(model, "span_predictor", None)
    return min(tokenizer.model_max_length, positions(model.base_model if predictor is None else predictor.encoder.bert_model))
