"""The cross-encoder: a query and a document, read together, to the score of their relevance.

Shapes: B pairs, L tokens, C logits.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ance_ir.errors import ModelError, UsageError
from ance_ir.models.compute.device import find_device
from ance_ir.models.compute.inference import Progress, in_batches
from ance_ir.models.cross.pairs import PairSettings, PairTokenizer
from ance_ir.models.loading.backbones import positions
from ance_ir.models.loading.weights import hash_weights, some
from ance_ir.models.text.pairs import Pair, distinct_pairs
from ance_ir.models.text.settings import PassageScheme
from ance_ir.ragged import starts_of

logger = logging.getLogger(__name__)

_WINDOW = 1_024
"""Pairs, of documents of any length, that are tokenised and sorted by length together."""

HeadChoice = Literal["trained", "fresh"]

Combine = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""Documents' scores ``[N]``, of passages' scores, float64 ``[P]``, where each document's begin, and how many they are, int64 ``[N]``."""


class CrossEncoder(nn.Module):
    """A sequence-classification model with one or two logits.

    Args:
        classifier: a Hugging Face model for sequence classification.
        tokenizer: a fast Hugging Face tokeniser.
        settings: how the model wants its pairs.
        name: what it is called in messages and manifests.
        unused: names of weights in the checkpoint that the model has no use for.

    Raises:
        ModelError: the model has other than one or two logits.
        UsageError: the settings' length is more than the model takes.
    """

    def __init__(
        self,
        classifier: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        settings: PairSettings,
        *,
        name: str = "unnamed",
        unused: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        labels = classifier.config.num_labels
        if labels not in (1, 2):
            raise ModelError(f"{name}: a reranker has one logit or two, this model has {labels}")
        self.classifier = classifier
        self.name = name
        self.unused = unused
        types = int(getattr(classifier.config, "type_vocab_size", None) or 0) > 1 and "token_type_ids" in tokenizer.model_input_names
        longest = min(tokenizer.model_max_length, positions(classifier.base_model))
        self.tokenizer = PairTokenizer(tokenizer, settings, longest, token_types=types)
        _keep_logits_in_float32(classifier, labels)

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        *,
        device: str | torch.device | None = None,
        head: HeadChoice = "trained",
        seed: int = 42,
        **settings: Any,
    ) -> CrossEncoder:
        """Open a checkpoint.

        Args:
            name: a folder of a Hugging Face sequence-classification model, one that this package or sentence-transformers wrote, a training
                run's folder, or a hub name.
            device: where to put it; by default a GPU where there is one.
            head: ``"trained"`` is the checkpoint's. ``"fresh"`` is a new one with one logit, to be trained: on a bare backbone, or in place
                of the checkpoint's.
            seed: of a fresh head's weights.
            **settings: fields of ``PairSettings`` to change.

        Raises:
            ModelError: it is not there, does not load, or lacks some of the model's parameters.
            UsageError: there is no such device, or the settings cannot be meant.
        """
        from ance_ir.models.cross.checkpoint import load_cross_encoder

        if head not in get_args(HeadChoice):
            raise UsageError(f"head is one of {', '.join(get_args(HeadChoice))}, not {head!r}")
        place = find_device(device)
        model = load_cross_encoder(str(name), settings, fresh_head=head == "fresh", seed=seed)
        if model.unused:
            logger.warning("%s: weights that have no place in the model: %s", model.name, some(model.unused))
        return model.to(place).eval()

    def save(self, folder: Path | str) -> None:
        """Write a folder, whole or not at all, that this package, ``AutoModelForSequenceClassification`` and sentence-transformers open."""
        from ance_ir.models.cross.checkpoint import save_cross_encoder

        save_cross_encoder(self, Path(folder))

    @property
    def settings(self) -> PairSettings:
        """How the model wants its pairs."""
        return self.tokenizer.settings

    def with_settings(self, **changes: Any) -> CrossEncoder:
        """The same model, not copied, under changed settings."""
        settings = replace(self.settings, **changes)
        return CrossEncoder(self.classifier, self.tokenizer.tokenizer, settings, name=self.name, unused=self.unused)

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return next(self.parameters()).device

    def fingerprint(self) -> str:
        """Hash (128 bits, hexadecimal) of weights, vocabulary and settings; computed afresh at each call, since training changes it."""
        told = [hash_weights(self.state_dict()), self.tokenizer.vocabulary_hash, asdict(self.settings)]
        return hashlib.blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=16).hexdigest()

    def forward(self, ids_BL: Tensor, mask_BL: Tensor, types_BL: Tensor | None = None) -> Tensor:
        """Log-odds of relevance, float32 ``[B]``, of padded pairs."""
        types = {} if types_BL is None else {"token_type_ids": types_BL}
        logits_BC = self.classifier(input_ids=ids_BL, attention_mask=mask_BL, **types).logits.float()
        relevant = self.settings.relevant_class
        log_odds_B: Tensor = logits_BC[:, 0] if logits_BC.shape[1] == 1 else logits_BC[:, relevant] - logits_BC[:, 1 - relevant]
        return log_odds_B

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
        """What documents are ranked by, whatever ``PairSettings.score`` says: it never saturates.

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
        return torch.sigmoid(torch.from_numpy(log_odds)).numpy()


def _keep_logits_in_float32(classifier: PreTrainedModel, labels: int) -> None:
    """Have the last layer compute in float32 even where the weights are in half precision, in which close logits would be equal."""
    linear = [module for module in classifier.modules() if isinstance(module, nn.Linear) and module.out_features == labels]
    if linear and not linear[-1]._forward_hooks:
        linear[-1].register_forward_hook(_in_float32)


def _in_float32(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    if output.dtype == torch.float32:
        return output
    assert isinstance(module, nn.Linear)
    bias = None if module.bias is None else module.bias.float()
    with torch.autocast(output.device.type, enabled=False):
        return nn.functional.linear(inputs[0].float(), module.weight.float(), bias)
