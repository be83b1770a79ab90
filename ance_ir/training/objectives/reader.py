"""What a reader learns: where the answer stands in a positive passage, and that this passage is more relevant than others.

Shapes: b questions of this process, B of all, K passages of each (the positive first), L tokens.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from ance_ir.answers import Answers
from ance_ir.datasets.store.joined import NumberedDocuments
from ance_ir.models import Reader
from ance_ir.models.compute.batching import transferred
from ance_ir.models.reader.model import SpanLogits
from ance_ir.models.reader.text import Window
from ance_ir.training.batches import Batch
from ance_ir.training.objectives.losses.nll import loss as nll
from ance_ir.training.objectives.scoring import in_parts
from ance_ir.training.queries import TrainingQueries
from ance_ir.world import ALONE, World


class ReaderObjective:
    """DPR's reader (Karpukhin et al. 2020, section 6.1): −log of the probability that a span of the positive is an answer, wherever it
    stands there, and −log of that of the positive among itself and its negatives. Negatives that hold an answer are left out.

    Of a passage in several windows the first one with an answer is read, else the first one. Starts and ends are distributed over the
    text alone, as they are searched. A positive whose answer was cut off, or is too long, teaches its relevance alone.

    Args:
        model: trained in place.
        queries: with their positives.
        answers: of each query.
        store: the passages' texts.
        world: the processes that a batch's questions are dealt to.
    """

    in_batch = False

    def __init__(
        self, model: Reader, queries: TrainingQueries, answers: Sequence[Answers], store: NumberedDocuments, world: World = ALONE
    ) -> None:
        self.model = model.float()  # in half precision small updates would vanish
        self.trained: nn.Module = self.model
        self.queries = queries
        self.world = world
        self._answers = answers
        self._store = store
        described = {"name": model.name, "fingerprint": model.fingerprint(), "settings": model.settings.hashed()}
        self.manifest: Mapping[str, Any] = {"model": described, "loss": "span and relevance"}

    def rehearsed(self, world: World) -> Self:
        """See ``Objective.rehearsed``."""
        twin = copy.copy(self)
        twin.world = world
        return twin

    def backward(self, batch: Batch, temperature: float, share: float) -> tuple[Tensor, int]:
        """See ``Objective.backward``; the temperature is relevance's."""
        own = self.world.dealt(len(batch.queries))
        documents_bK = np.concatenate([batch.positives[own, None], batch.negatives[own]], axis=1)
        windows, spans, held_bK = self._windows(batch.queries[own], documents_bK)
        model, tokenizer = self.model, self.model.tokenizer
        lengths = [len(window.pair.ids) for window in windows]

        def read(part: np.ndarray) -> Tensor:
            logits: SpanLogits = model(*tokenizer.pad([windows[i] for i in part], model.device))
            found = torch.stack([_log_likelihood(logits, row, spans[i]) for row, i in enumerate(part.tolist())])
            return torch.stack([logits.relevance_B / temperature, found], dim=1)

        rows = in_parts(read, lengths, model.device).view(*documents_bK.shape, 2)
        held_bK[:, 0] = False  # the positive stays
        relevance_bK = rows[:, :, 0].masked_fill(transferred(held_bK, model.device), -torch.inf)
        shown_b = torch.tensor([bool(found) for found in spans[:: documents_bK.shape[1]]], device=model.device)
        one = np.ones(len(batch.queries), dtype=np.int64)
        relevance_BK, span_B, shown_B = (self.world.gather(each, one) for each in (relevance_bK, rows[:, 0, 1], shown_b.long()))
        loss = nll(relevance_BK[:, 0], relevance_BK[:, 1:]) - span_B.sum() / shown_B.sum().clamp(min=1)
        (loss * share).backward()
        return loss.detach(), sum(lengths)

    def _windows(self, queries: np.ndarray, documents_bK: np.ndarray) -> tuple[list[Window], list[list[tuple[int, int]]], np.ndarray]:
        """The window to read of each query and document, the spans that are answers there, and which texts hold one, bool ``[b, K]``."""
        tokenizer, settings = self.model.tokenizer, self.model.settings
        asked = np.repeat(queries, documents_bK.shape[1])
        documents = [self._store[number] for number in documents_bK.ravel().tolist()]
        texts = [tokenizer.clean(document["text"]) for document in documents]
        titles = [document.get("title", "") for document in documents]
        windows, spans, held = [], [], []
        for query, text, read in zip(
            asked, texts, tokenizer.windows([self.queries.texts[query] for query in asked], titles, texts), strict=True
        ):
            ranges = self._answers[query].find(text)
            found = [(window, window.tokens_of(ranges, settings.max_answer_length)) for window in read]
            window, right = next((pair for pair in found if pair[1]), found[0])
            windows.append(window)
            spans.append(right)
            held.append(bool(ranges))
        return windows, spans, np.array(held, dtype=bool).reshape(documents_bK.shape)


def _log_likelihood(logits: SpanLogits, row: int, spans: Sequence[tuple[int, int]]) -> Tensor:
    """Log of the probability of all spans together; 0 where there are none."""
    if not spans:
        return logits.relevance_B.new_zeros(())
    first, last = torch.tensor(spans, device=logits.start_BL.device).T
    return torch.logsumexp(logits.start_BL[row].log_softmax(0)[first] + logits.end_BL[row].log_softmax(0)[last], 0)
