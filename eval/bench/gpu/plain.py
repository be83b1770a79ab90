"""The loops that one would write with transformers and torch alone, which are also those of sentence-transformers: ``encode``, and a step
with ``MultipleNegativesRankingLoss``. They need nothing that is not on a machine with transformers.

Shapes: B texts, L tokens, H the backbone's width.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ance_ir.models import DenseEncoder

_SCALE = 20.0
"""Of cosines, in the loss."""


class Plain:
    """A backbone with the weights of an encoder, and mean pooling.

    Args:
        model: the encoder.
    """

    def __init__(self, model: DenseEncoder) -> None:
        self._backbone = copy.deepcopy(model.passage_tower.backbone)
        self._tokenizer = model.tokenizer.tokenizer
        self._device = model.device
        self._optimiser: torch.optim.Optimizer | None = None

    def vectors(self, texts: Sequence[str], length: int) -> Tensor:
        """Of texts that are cut to so many tokens, ``[B, H]``."""
        inputs = self._tokenizer(list(texts), padding=True, truncation=True, max_length=length, return_tensors="pt").to(self._device)
        hidden_BLH = self._backbone(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).last_hidden_state
        mask_BL1 = inputs["attention_mask"][:, :, None].to(hidden_BLH.dtype)
        found: Tensor = (hidden_BLH * mask_BL1).sum(1) / mask_BL1.sum(1)
        return found

    @torch.inference_mode()
    def encode(self, texts: Sequence[str], length: int, batch: int) -> Tensor:
        """Vectors on the processor, float32 ``[B, H]``; batches of texts of similar length."""
        self._backbone.eval()
        order = sorted(range(len(texts)), key=lambda number: -len(texts[number]))
        parts = [self.vectors([texts[i] for i in order[start : start + batch]], length) for start in range(0, len(texts), batch)]
        return torch.cat(parts).float().cpu()[torch.tensor(order).argsort()]

    def step(self, asked: Sequence[str], positives: Sequence[str], negatives: Sequence[str], *, query: int, passage: int) -> float:
        """A step with AdamW, in bfloat16: the positive of a query against all positives and negatives. The loss."""
        if self._optimiser is None:
            self._optimiser = torch.optim.AdamW(self._backbone.parameters(), lr=1e-5)
        self._backbone.train()
        self._optimiser.zero_grad()
        with torch.autocast(self._device.type, torch.bfloat16):
            queries_BH = nn.functional.normalize(self.vectors(asked, query), dim=1)
            passages = torch.cat([self.vectors(some, passage) for some in (positives, negatives)])
            scores = queries_BH @ nn.functional.normalize(passages, dim=1).T
            loss = nn.functional.cross_entropy(_SCALE * scores, torch.arange(len(asked), device=self._device))
        loss.backward()
        nn.utils.clip_grad_norm_(self._backbone.parameters(), 1.0)
        self._optimiser.step()
        return loss.item()
