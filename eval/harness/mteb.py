"""Our encoders and systems in MTEB: ``mteb.evaluate(MtebEncoder(model), tasks)``, ``mteb.evaluate(MtebSearch("bm25"), tasks)``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ance_ir.digests import digest_of
from ance_ir.errors import UsageError
from ance_ir.eval.harness._corpus import HeldCorpus, search_held
from ance_ir.eval.runs.dataset_runs import RunRetriever
from ance_ir.models import DenseEncoder
from ance_ir.optional import optional

_REMEDY = "pip install 'ance_ir[harness]'"
_CANDIDATES = "candidates"
"""The stage, as it is called where ``ir_datasets`` has candidates."""


def _meta(name: str, revision: str, **facts: Any) -> Any:
    """MTEB's description of a model."""
    meta = optional("mteb.models.model_meta", needed_for="MTEB", remedy=_REMEDY)
    safe = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "system"
    return meta.ModelMeta.create_empty(overwrites={"name": f"ance_ir/{safe}", "revision": revision, **facts})


class MtebEncoder:
    """An encoder for all of MTEB's tasks (its ``EncoderProtocol``).

    Queries are read by the query tower, documents by the passage tower with title and text joined as the model does, and texts of other
    tasks as ``DenseEncoder.encode`` reads them. Prompts are those of the model's settings; a task's own are not added.

    Args:
        model: the encoder.
    """

    def __init__(self, model: DenseEncoder) -> None:
        self._model = model

    @cached_property
    def mteb_model_meta(self) -> Any:
        """MTEB's description of the model; its revision is the model's fingerprint."""
        model = self._model
        return _meta(
            model.name.rstrip("/").rpartition("/")[2],
            model.fingerprint(),
            embed_dim=model.dimension,
            max_tokens=model.settings.passage_length,
            n_parameters=sum(parameter.numel() for parameter in model.parameters()),
            similarity_fn_name=optional("mteb.models.model_meta", needed_for="MTEB", remedy=_REMEDY).ScoringFunction(model.similarity),
        )

    def encode(self, inputs: Iterable[Mapping[str, Any]], *, prompt_type: Any = None, **kwargs: Any) -> np.ndarray:
        """Vectors of all batches, float32 ``[texts, D]``."""
        role = None if prompt_type is None else str(getattr(prompt_type, "value", prompt_type))
        model = self._model
        texts: list[Any] = []
        for batch in inputs:
            if role == "document" and "body" in batch:
                titles = batch.get("title") or [""] * len(batch["body"])
                fields = zip(titles, batch["body"], strict=True)
                texts += [model.settings.join({"title": title or "", "text": text}) for title, text in fields]
            else:
                texts += batch["text"]
        if role == "query":
            return model.encode_queries(texts)
        if role == "document":
            return model.encode_passages(texts)
        return np.asarray(model.encode(texts))

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Tensor:
        """Similarities of all pairs, ``[A, B]``."""
        first, second = self._vectors(embeddings1), self._vectors(embeddings2)
        return first @ second.T

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Tensor:
        """Similarities of pairs, ``[A]``."""
        return (self._vectors(embeddings1) * self._vectors(embeddings2)).sum(-1)

    def _vectors(self, embeddings: Any) -> Tensor:
        vectors = torch.atleast_2d(torch.as_tensor(np.asarray(embeddings), dtype=torch.float32))
        return torch.nn.functional.normalize(vectors, dim=-1) if self._model.similarity == "cosine" else vectors


class MtebSearch:
    """A system for MTEB's retrieval tasks (its ``SearchProtocol``).

    In its reranking tasks the task's candidates are the stage ``candidates``, which the system begins with.

    Args:
        system: what ``ance-ir eval --system`` takes: ``"bm25"``, ``"bm25 % 100 >> ance[model=M]"``, ``"candidates >> ance[model=M]"``. An
            index's folder belongs to one corpus; ``ance[model=M]`` builds one for each.
        name: what MTEB calls it; by default the system's text.
        options: ``device``, ``precision``, ``pipelines``, … of ``search_on_dataset``.
    """

    def __init__(self, system: str, *, name: str | None = None, **options: Any) -> None:
        self._system = system
        self._options = options
        self._name = name or system
        self._corpus: HeldCorpus | None = None

    @cached_property
    def mteb_model_meta(self) -> Any:
        """MTEB's description of the system."""
        return _meta(self._name, digest_of(self._system))

    def index(self, corpus: Any, *, task_metadata: Any = None, **kwargs: Any) -> None:
        """Take a task's corpus; what the system needs is built at the first search."""
        self._corpus = HeldCorpus(f"mteb/{getattr(task_metadata, 'name', 'corpus')}", lambda: map(_document, corpus))

    def search(
        self, queries: Any, *, top_k: int, top_ranked: Mapping[str, Sequence[str]] | None = None, **kwargs: Any
    ) -> dict[str, dict[str, float]]:
        """Scores by the ids of queries and documents.

        Raises:
            UsageError: no corpus was indexed; or the task gives candidates, and the system does not begin with them.
        """
        asked = {str(query["id"]): _text(query) for query in queries}
        options = self._options
        if top_ranked is not None:
            if not re.match(rf"([\w.-]+=)?\(*{_CANDIDATES}\b", self._system):
                raise UsageError(
                    f"a reranking task gives candidates, and {self._system!r} retrieves its own; begin with the task's: "
                    f'MtebSearch("{_CANDIDATES} >> …")'
                )
            retriever = RunRetriever(_CANDIDATES, lambda: _as_run(top_ranked))
            options = {**options, "pipelines": {**options.get("pipelines", {}), _CANDIDATES: retriever}}
        return search_held(self._corpus, self._system, asked, top_k, **options)


def _as_run(candidates: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Candidates in their order."""
    rows = [(qid, docno, -float(place)) for qid, docnos in candidates.items() for place, docno in enumerate(docnos)]
    return pd.DataFrame(rows, columns=["qid", "docno", "score"])


def _document(row: Mapping[str, Any]) -> dict[str, str]:
    return {"docno": str(row["id"]), "title": row.get("title") or "", "text": row.get("text") or ""}


def _text(query: Mapping[str, Any]) -> str:
    """The text of a query with its instruction after it, or of a conversation with its instruction before it, as MTEB joins them."""
    text, instruction = query["text"], query.get("instruction")
    if isinstance(text, str):
        return f"{text} {instruction}" if instruction else text
    turns = "; ".join(turn if isinstance(turn, str) else f"{turn['role']}: {turn['content']}" for turn in text)
    return f"{instruction} {turns}" if instruction else turns
