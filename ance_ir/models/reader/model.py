"""The reader: a question and a passage, read together, to the passage's best answer.

Shapes: B windows, L tokens, M tokens of the longest answer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor, nn
from transformers import DPRReader, PreTrainedModel, PreTrainedTokenizerBase

from ance_ir.choices import check_choice
from ance_ir.errors import UsageError
from ance_ir.models.card import Card
from ance_ir.models.compute.device import find_device
from ance_ir.models.compute.inference import Progress, in_batches
from ance_ir.models.compute.precision import Conversion, Precision, keep_in_float32
from ance_ir.models.export.graph import Graph
from ance_ir.models.loading.backbones import has_token_types
from ance_ir.models.loading.checkpoint import Origin, noting
from ance_ir.models.loading.source import absolute, expanded
from ance_ir.models.pretrained import Pretrained
from ance_ir.models.reader.checkpoint import FreshHead, backbone_of, longest, read_reader, write_reader
from ance_ir.models.reader.graph import graph_of
from ance_ir.models.reader.text import Layout, ReaderSettings, ReaderTokenizer, Window
from ance_ir.models.text.pairs import distinct_pairs

_EXAMPLE = """
from ance_ir import Reader

reader = Reader.from_pretrained("this/folder")
found = reader.read(["who reads"], ["A reader reads passages and finds the answer in them."])
print(found.answers[0])
"""

_WINDOW = 1_024
"""Passages that are tokenised and sorted by length together."""


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
        scores: of these spans, start and end logit added, float32 ``[N]``; −∞ without a span, NaN where what the model says is not finite.
        relevance: of the passages, float32 ``[N]``; −∞ and NaN likewise.
    """

    answers: list[str]
    scores: np.ndarray
    relevance: np.ndarray

    def __repr__(self) -> str:
        return f"Readings({len(self.answers)} passages)"


class Reader(Pretrained[ReaderSettings]):
    """An extractive reader: DPR's, with a relevance of its own, or a model with a head for question answering.

    The latter's relevance of a passage is the score of its best span less that of no answer, which such models put on their first token.

    Args:
        model: a ``DPRReader``, or a Hugging Face model for question answering.
        tokenizer: a fast Hugging Face tokeniser.
        settings: how the model reads questions and passages.
        layout: which of the two it is.
        name: what it is called in messages and manifests.
        origin: what it was opened from.
        conversion: what it was converted from, if it was.

    Raises:
        ModelError: the tokeniser is not a fast one.
        UsageError: the settings' length is more than the model takes.
    """

    card = Card(library="transformers", task="question-answering", tags=("ance_ir", "reader"), title="A reader", example=_EXAMPLE)
    telling = ()
    tokenizer: ReaderTokenizer

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        settings: ReaderSettings,
        *,
        layout: Layout,
        name: str = "unnamed",
        origin: Origin | None = None,
        conversion: Conversion | None = None,
    ) -> None:
        types = layout == "qa" and has_token_types(model.config, tokenizer)
        made = ReaderTokenizer(tokenizer, settings, longest(model, tokenizer), layout=layout, token_types=types)
        super().__init__(made, name=name, origin=origin, conversion=conversion)
        self.model = model
        self.layout = layout

    @classmethod
    @noting
    def from_pretrained(
        cls,
        name: str | Path,
        *,
        fresh_head: FreshHead | None = None,
        seed: int = 42,
        device: str | torch.device | None = None,
        precision: Precision | None = None,
        layers: int | None = None,
        **settings: Any,
    ) -> Reader:
        """Open a checkpoint.

        Args:
            name: a folder of a ``DPRReader`` or of a Hugging Face model for question answering, one that this package wrote, a training
                run's folder, or a hub name.
            fresh_head: put a new head on a backbone, or in place of the checkpoint's, to be trained: ``"dpr"``, on a BERT, or ``"qa"``.
            seed: of the fresh head's weights.
            device: where to put it; by default a GPU where there is one.
            precision: what to compute in: ``"float32"`` or ``"bfloat16"``, but for the head, which is in float32; by default the
                checkpoint's own. Another one than that reads only.
            layers: keep only so many first layers of the backbone. By default all.
            **settings: fields of ``ReaderSettings`` to change.

        Raises:
            ModelError: it is not there, does not load, or lacks some of the model's parameters.
            UsageError: there is no such device, setting, precision or head, or the backbone has fewer layers.
        """
        place = find_device(device)
        if fresh_head is not None:
            check_choice("fresh head", fresh_head, get_args(FreshHead))
        name = expanded(str(name))
        opened = read_reader(name, fresh_head=fresh_head, seed=seed)
        layout: Layout = "dpr" if isinstance(opened.model, DPRReader) else "qa"
        model = cls(opened.model, opened.tokenizer, opened.settings, layout=layout, name=absolute(name), origin=opened.origin)
        return model._ready(place, layers, precision, settings)

    def _backbones(self) -> list[PreTrainedModel]:
        return [backbone_of(self.model)]

    def _parts(self) -> dict[str, Any]:
        return {"model": self.model, "layout": self.layout}

    def _facts(self) -> dict[str, str]:
        heads = {"dpr": "start, end and relevance, as DPR's", "qa": "start and end; relevance from their scores"}
        return {"head": heads[self.layout]}

    def _write_for_export(self, folder: Path) -> dict[str, Graph]:
        self.model.config.save_pretrained(folder)
        self.tokenizer.tokenizer.save_pretrained(folder)
        return {".": graph_of(self.model, self.tokenizer)}

    def _write(self, folder: Path) -> None:
        write_reader(self.model, self.tokenizer.tokenizer, self.settings, folder)

    def _converted(self, precision: Precision) -> dict[str, Any]:
        for name, module in self.model.named_modules():
            if isinstance(module, nn.Linear) and name.endswith(("qa_outputs", "qa_classifier")):
                keep_in_float32(module)
        return super()._converted(precision)

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
                best = max((next(found) for _ in windows), key=lambda span: (math.isnan(span.relevance), span.relevance))
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
                score, relevance = float(scores_BN[row, best_B[row]]), float(relevance_B[row])
                if not len(characters) or not math.isfinite(score + relevance):
                    nothing = -math.inf if not len(characters) else math.nan
                    spans[i] = _Span(0, 0, nothing, nothing)
                    continue
                first, more = divmod(int(best_B[row]), longest)
                first -= windows[i].begin
                begin, end = int(characters[first, 0]), int(characters[first + more, 1])
                spans[i] = _Span(begin, end, score, relevance)

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
