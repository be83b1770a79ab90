"""Reranking by late interaction, as a PyTerrier transformer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyterrier as pt
import torch
from tqdm.auto import tqdm

from ance_ir.datasets import Dataset
from ance_ir.files import as_path
from ance_ir.models import MultiVectorEncoder
from ance_ir.models.library.token_cache import TokenCache
from ance_ir.pipelines.bm25.documents import clean
from ance_ir.pipelines.texts import FIELDS, title_and_text, with_texts
from ance_ir.ranking import rank_results
from ance_ir.settings import Setting, flag, having, of_kind
from ance_ir.transformers import Configured, labelled

_QUERIES, _DOCUMENTS = 1024, 256
"""Texts whose vectors are held at once."""


class LateInteractionReranker(Configured, pt.Transformer):
    """Reranks documents by the similarities of their tokens to the query's: ColBERT's MaxSim.

    ``bm25 % 100 >> LateInteractionReranker(model, dataset=dataset)`` takes the texts from a dataset; ``bm25 % 100 >> loader >>
    LateInteractionReranker(model)``, from any transformer that adds a column ``text``. A title stands before the text.

    Args:
        model: the encoder.
        dataset: where the texts of a frame without ``text`` come from.
        cache: a file in which the token vectors of documents are kept, by the model's fingerprint and the document's text, and from which
            they are read when they are asked for again; several models and processes may share it. Each token takes 4 bytes a dimension.
        verbose: show progress.
    """

    schematic = labelled("Late interaction")
    model = of_kind(MultiVectorEncoder)
    dataset: Setting[Dataset | None] = having("a dataset or None", "text_loader")
    cache: Setting[Path | None] = Setting(lambda value: None if value is None else as_path(value))
    verbose = flag()

    def __init__(
        self,
        model: MultiVectorEncoder,
        *,
        dataset: Dataset | None = None,
        cache: Path | str | None = None,
        verbose: bool = False,
    ) -> None:
        self.model = model
        self.dataset = dataset
        self.cache = cache
        self.verbose = verbose

    def settle(self, changed: str | None) -> None:
        """See ``Configured``: the cache keeps vectors of this model."""
        self._kept = None if self.cache is None else TokenCache(self.cache, self.model)

    @classmethod
    def from_pretrained(cls, name: str | Path, *, device: str | torch.device | None = None, **settings: Any) -> LateInteractionReranker:
        """Open a checkpoint; see ``MultiVectorEncoder.from_pretrained``."""
        return cls(MultiVectorEncoder.from_pretrained(name, device=device), **settings)

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """Score and rerank; every other column is kept.

        Raises:
            UsageError: a query is no string.
            DocumentNotFoundError: a frame without ``text`` has documents that the dataset does not hold.
        """
        read = with_texts(self, inp, self.dataset, FIELDS)
        if inp.empty:
            return inp.assign(score=pd.Series(dtype=float), rank=pd.Series(dtype=int))
        scores = self._scores(np.array(list(map(clean, inp["query"])), dtype=object), np.array(title_and_text(read), dtype=object))
        return rank_results(inp.assign(score=scores.astype(np.float64)))

    def _scores(self, queries: np.ndarray, documents: np.ndarray) -> np.ndarray:
        """The score of each pair of texts, float32; vectors are held of some queries and documents at a time."""
        scores = np.empty(len(queries), dtype=np.float32)
        query, query_texts = pd.factorize(queries)
        with tqdm(total=len(scores), desc="late interaction", unit=" documents", disable=not self.verbose) as bar:
            for first in range(0, len(query_texts), _QUERIES):
                asked = np.flatnonzero((query >= first) & (query < first + _QUERIES))
                query_vectors = self.model.encode_queries(query_texts[first : first + _QUERIES].tolist())
                document, document_texts = pd.factorize(documents[asked])
                for begin in range(0, len(document_texts), _DOCUMENTS):
                    within = (document >= begin) & (document < begin + _DOCUMENTS)
                    rows, vectors = asked[within], self._vectors(document_texts[begin : begin + _DOCUMENTS].tolist())
                    pairs = [query_vectors[row] for row in query[rows] - first], [vectors[row] for row in document[within] - begin]
                    scores[rows] = self.model.score(*pairs)
                    bar.update(len(rows))
        return scores

    def _vectors(self, texts: Sequence[str]) -> list[np.ndarray]:
        return self.model.encode_documents(texts) if self._kept is None else self._kept.encode(self.model, texts)
