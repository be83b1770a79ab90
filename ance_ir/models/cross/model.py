"""The cross-encoder: a query and a document, read together, to the score of their relevance.

Shapes: B pairs, L tokens, C logits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ance_ir.choices import check_choice
from ance_ir.errors import ModelError, UsageError
from ance_ir.models.card import Card
from ance_ir.models.compute.device import find_device
from ance_ir.models.compute.inference import Progress, in_batches
from ance_ir.models.compute.precision import Conversion, Precision
from ance_ir.models.cross.checkpoint import layout_of, read_cross_encoder, write_cross_encoder
from ance_ir.models.cross.layout import Choices, Parts
from ance_ir.models.cross.pairs import PairSettings, PairTokenizer
from ance_ir.models.export.graph import Graph
from ance_ir.models.loading.checkpoint import Origin, noting
from ance_ir.models.loading.source import absolute, expanded
from ance_ir.models.pretrained import Pretrained
from ance_ir.models.text.pairs import Pair, distinct_pairs
from ance_ir.models.text.settings import PassageScheme
from ance_ir.moved import warn_of_old_name
from ance_ir.ragged import starts_of

_EXAMPLE = """
from ance_ir import CrossEncoder

model = CrossEncoder.from_pretrained("this/folder")
scores = model.score(["what is a reranker"], ["A reranker reads the query and the document together."])
"""
_ELSEWHERE = """
from sentence_transformers import CrossEncoder

model = CrossEncoder("this/folder")
scores = model.predict([("what is a reranker", "A reranker reads the query and the document together.")])
"""

FRESH_HEADS = ("logit",)

_WINDOW = 1_024
"""Pairs, of documents of any length, that are tokenised and sorted by length together."""

Combine = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""Documents' scores ``[N]``, of passages' scores, float64 ``[P]``, where each document's begin, and how many they are, int64 ``[N]``."""


class CrossEncoder(Pretrained[PairSettings]):
    """A sequence-classification model with one or two logits, or a language model that answers by a token.

    Args:
        classifier: a Hugging Face model of one of the layouts' classes.
        tokenizer: a fast Hugging Face tokeniser.
        settings: how the model reads pairs.
        name: what it is called in messages and manifests.
        origin: what it was opened from.
        conversion: what it was converted from, if it was.

    Raises:
        ModelError: the model is of no layout, or has other than one or two logits.
        UsageError: the settings' length is more than the model takes, or an answer is no token.
    """

    card = Card(
        library="sentence-transformers",
        task="text-ranking",
        tags=("ance_ir", "cross-encoder", "reranker"),
        title="A reranker",
        example=_EXAMPLE,
        elsewhere=_ELSEWHERE,
    )
    telling = ("logits",)
    tokenizer: PairTokenizer

    def __init__(
        self,
        classifier: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        settings: PairSettings,
        *,
        name: str = "unnamed",
        origin: Origin | None = None,
        conversion: Conversion | None = None,
    ) -> None:
        self._layout = layout_of(classifier)
        try:
            made = self._layout.pairs(classifier, tokenizer, settings)
        except ModelError as error:
            raise ModelError(f"{name}: {error}") from error
        super().__init__(made, name=name, origin=origin, conversion=conversion)
        self.classifier = classifier

    @classmethod
    @noting
    def from_pretrained(
        cls,
        name: str | Path,
        *,
        fresh_head: str | None = None,
        seed: int = 42,
        device: str | torch.device | None = None,
        precision: Precision | None = None,
        layers: int | None = None,
        merge_adapter: bool = False,
        **settings: Any,
    ) -> CrossEncoder:
        """Open a checkpoint.

        Args:
            name: a folder of one of the layouts, one that this package or sentence-transformers wrote, a training run's folder, or a hub
                name.
            fresh_head: ``"logit"`` puts a new head with one logit, to be trained, on a bare backbone or in place of the checkpoint's.
            seed: of the fresh head's weights.
            device: where to put it; by default a GPU where there is one.
            precision: what to compute in: ``"float32"`` or ``"bfloat16"``, but for the last layer, which is in float32; by default the
                checkpoint's own. Another one than that scores only.
            layers: keep only so many first layers of the backbone. By default all.
            merge_adapter: add an adapter to the weights of its base, which rounds them; by default it is computed beside them.
            **settings: fields of ``PairSettings`` to change.

        Raises:
            ModelError: it is not there, does not load, or lacks some of the model's parameters.
            UsageError: there is no such device, setting, precision or head, or the backbone has fewer layers.
        """
        if "head" in settings:
            warn_of_old_name("head=", "fresh_head=")
            head = settings.pop("head")
            fresh_head = {"fresh": "logit", "trained": None}.get(head, head)
        place = find_device(device)
        if fresh_head is not None:
            check_choice("fresh head", fresh_head, FRESH_HEADS)
        name = expanded(str(name))
        opened = read_cross_encoder(
            name, Choices(settings=settings, fresh_head=fresh_head is not None, seed=seed, merge_adapter=merge_adapter)
        )
        read = opened.settings.changed(**settings)  # a template and answers, without which some models cannot be made
        model = cls(opened.model, opened.tokenizer, read, name=absolute(name), origin=opened.origin.changed(opened.settings, read))
        made = {"fresh_head": fresh_head, "merge_adapter": merge_adapter or None}
        return model._ready(place, layers, precision, {}, **made)

    def _backbones(self) -> list[PreTrainedModel]:
        backbone = self.classifier.base_model
        assert isinstance(backbone, PreTrainedModel)
        return [backbone]

    def _adaptable(self) -> dict[str, PreTrainedModel]:
        return {".": self.classifier}

    def _parts(self) -> dict[str, Any]:
        return {"classifier": self.classifier}

    def _facts(self) -> dict[str, str]:
        return self._layout.facts(self.classifier, self.settings)

    def _opens_elsewhere(self) -> bool:
        return self._layout.elsewhere

    def _written(self) -> Parts:
        return Parts(model=self.classifier, tokenizer=self.tokenizer.tokenizer, settings=self.settings)

    def _write_for_export(self, folder: Path) -> dict[str, Graph]:
        graph = self._layout.graph(self.classifier, self.tokenizer)
        self._layout.write_for_export(replace(self._written(), weights=False), folder)
        return {".": graph}

    def _write(self, folder: Path) -> None:
        write_cross_encoder(self._written(), folder)

    def forward(self, ids_BL: Tensor, mask_BL: Tensor, types_BL: Tensor | None = None) -> Tensor:
        """Log-odds of relevance, float32 ``[B]``, of padded pairs."""
        return self._layout.log_odds(self.classifier, self.tokenizer, ids_BL, mask_BL, types_BL)

    def score(self, queries: Sequence[str], texts: Sequence[str]) -> np.ndarray:
        """Scores of pairs, each text cut where its pair is full, float32 ``[N]``; see ``PairSettings.score``."""
        return self._activated(self.log_odds(queries, texts))

    def score_documents(self, queries: Sequence[str], texts: Sequence[str], scheme: PassageScheme) -> np.ndarray:
        """Scores of documents, each that of its best passage, float32 ``[N]``.

        Args:
            queries: ``[N]``.
            texts: of the documents, ``[N]``.
            scheme: how documents are cut.
        """
        return self._activated(self.log_odds(queries, texts, scheme))

    def log_odds(
        self,
        queries: Sequence[str],
        texts: Sequence[str],
        scheme: PassageScheme | None = None,
        progress: Progress | None = None,
        combine: Combine | None = None,
    ) -> np.ndarray:
        """Log-odds of relevance, by which documents are ranked independently of ``PairSettings.score``: they never saturate.

        Equal pairs are read once and score equally.

        Args:
            queries: ``[N]``.
            texts: ``[N]``.
            scheme: how texts are cut. ``None``: the text is cut where its pair is full.
            progress: called with the number of pairs that a batch has finished.
            combine: how the passages of a text make its score; by default it is as relevant as its best passage.

        Returns:
            float32 ``[N]``.

        Raises:
            UsageError: there are not as many queries as texts, or one of them is no string.
        """
        if len(queries) != len(texts):
            raise UsageError(f"as many queries as texts were expected, not {len(queries)} and {len(texts)}")
        for text in (*queries, *texts):
            if not isinstance(text, str):
                raise UsageError(f"queries and texts are strings, found {text!r}")
        firsts, codes = distinct_pairs(queries, texts)
        found = np.empty(len(firsts), dtype=np.float32)
        for start in range(0, len(firsts), _WINDOW):
            window = firsts[start : start + _WINDOW]
            passages = self.tokenizer.pairs([queries[i] for i in window], [texts[i] for i in window], scheme)
            logits = self._read([pair for pairs in passages for pair in pairs], progress)
            counts = np.array([len(pairs) for pairs in passages])
            begins = starts_of(counts)
            best = np.maximum.reduceat(logits, begins) if combine is None else combine(logits.astype(np.float64), begins, counts)
            found[start : start + len(window)] = best
        scores: np.ndarray = found[codes]
        return scores

    def _read(self, pairs: list[Pair], progress: Progress | None) -> np.ndarray:
        """Log-odds of tokenised pairs, float32 ``[len(pairs)]``, read in batches of similar length."""
        logits = np.empty(len(pairs), dtype=np.float32)

        def read(batch: np.ndarray) -> None:
            logits[batch] = self(*self.tokenizer.pad([pairs[i] for i in batch], self.device)).cpu().numpy()

        in_batches(self, [len(pair.ids) for pair in pairs], self.device, read, progress)
        return logits

    def _activated(self, log_odds: np.ndarray) -> np.ndarray:
        if self.settings.score == "logit":
            return log_odds
        of = torch.sigmoid if self.settings.score == "probability" else torch.nn.functional.logsigmoid
        return of(torch.from_numpy(log_odds)).numpy()
