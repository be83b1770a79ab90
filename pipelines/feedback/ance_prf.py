"""ANCE-PRF: a query encoder that reads the first results along with the query (Yu, Xiong and Callan, 2021)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyterrier as pt

from ance_ir.errors import UsageError
from ance_ir.models import DenseEncoder
from ance_ir.models.dense.encoding import encode_windows, gather
from ance_ir.models.text.settings import given_texts
from ance_ir.models.text.tokens import Tokens
from ance_ir.pipelines.feedback.base import Feedback
from ance_ir.ranking import check_queries, finite_vectors
from ance_ir.settings import integer, of_kind
from ance_ir.transformers import labelled


class AncePRF(Feedback):
    """A query encoder that reads the query and the first results together (ANCE-PRF: Yu, Xiong and Callan, 2021).

    Its input is the query and the ``text`` of each result, each followed by the tokeniser's separator, cut to ``length`` tokens.

    Args:
        model: a query encoder trained for this; the index to search is that of the model which it was trained with.
        depth: how many results it reads, at most; a checkpoint is trained for one depth.
        length: tokens, special ones included.

    Raises:
        UsageError: ``depth`` is below 1, or the model does not take so many tokens.
    """

    schematic = labelled("ANCE-PRF")
    model = of_kind(DenseEncoder)
    length = integer(3)

    def __init__(self, model: DenseEncoder, depth: int = 3, *, length: int = 512) -> None:
        super().__init__(depth)
        self.model = model
        self.length = length

    def settle(self, changed: str | None) -> None:
        """See ``Configured``: the model must accept that many tokens."""
        if self.length > self.model.tokenizer.longest:
            raise UsageError(f"length {self.length} is more than the {self.model.tokenizer.longest} tokens that the model takes")

    def _validate(self, inp: pd.DataFrame) -> None:
        pt.validate.result_frame(inp, extra_columns=["score", "query", "text"], context=self)

    def _vectors(self, queries: pd.DataFrame, results: list[pd.DataFrame]) -> np.ndarray:
        check_queries(queries)
        tokenizer = self.model.tokenizer
        texts = [given_texts(found.head(self.depth), "text") for found in results]
        read = tokenizer.joined([[query, *given] for query, given in zip(queries["query"], texts, strict=True)], self.length)
        tokens = (piece for piece in [Tokens.of([ids] for ids in read)])
        return finite_vectors(queries, gather(encode_windows(self.model.query_tower, tokens, tokenizer.pad_id), self.model.dimension)[0])
