"""Our encoders and systems in BEIR's harness (``beir.retrieval.evaluation.EvaluateRetrieval``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ance_ir.eval.harness._corpus import HeldCorpus, search_held
from ance_ir.models import DenseEncoder


class BeirEncoder:
    """What BEIR's ``DenseRetrievalExactSearch`` asks of a model. Use ``score_function`` of this object with it.

    Args:
        model: the encoder.

    Attributes:
        score_function: ``"cos_sim"`` or ``"dot"``, as the model compares vectors.
    """

    def __init__(self, model: DenseEncoder) -> None:
        self._model = model
        self.score_function = "cos_sim" if model.similarity == "cosine" else "dot"

    def encode_queries(self, queries: Sequence[str], *, convert_to_tensor: bool = False, **kwargs: Any) -> np.ndarray | Tensor:
        """Vectors of queries, float32 ``[len(queries), D]``; other arguments have no effect."""
        return _given(self._model.encode_queries(list(queries)), convert_to_tensor)

    def encode_corpus(self, corpus: Sequence[Mapping[str, str]], *, convert_to_tensor: bool = False, **kwargs: Any) -> np.ndarray | Tensor:
        """Vectors of documents, titles and texts joined as the model reads them, float32 ``[len(corpus), D]``."""
        texts = [self._model.settings.join(document) for document in corpus]
        return _given(self._model.encode_passages(texts), convert_to_tensor)


class BeirSearch:
    """A system as a retriever of BEIR's harness.

    Args:
        system: what ``ance-ir eval --system`` takes: ``"bm25"``, ``"bm25 % 100 >> ance[model=M]"``. An index's folder belongs to one
            corpus; ``ance[model=M]`` builds one for each.
        name: what the corpus is called; a name of BEIR's leaves out results whose docno is the qid, as BEIR's own evaluation does.
        options: ``device``, ``precision``, ``pipelines``, … of ``search_on_dataset``.
    """

    def __init__(self, system: str, *, name: str = "beir/corpus", **options: Any) -> None:
        self._system = system
        self._name = name
        self._options = options

    def search(
        self, corpus: Mapping[str, Mapping[str, str]], queries: Mapping[str, str], top_k: int, *args: Any, **kwargs: Any
    ) -> dict[str, dict[str, float]]:
        """Scores by qid and docno; BEIR's ``score_function`` and other arguments have no effect."""
        held = HeldCorpus(self._name, lambda: ({"docno": docno, **_fields(document)} for docno, document in corpus.items()))
        return search_held(held, self._system, dict(queries), top_k, **self._options)


def _fields(document: Mapping[str, str]) -> dict[str, str]:
    return {"title": document.get("title") or "", "text": document.get("text") or ""}


def _given(vectors: np.ndarray, as_tensor: bool) -> np.ndarray | Tensor:
    return torch.from_numpy(vectors) if as_tensor else vectors
