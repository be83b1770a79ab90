"""The encoder as PyTerrier transformers: queries to ``query_vec``, documents to ``doc_vec``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyterrier as pt

from ance_ir.files import as_path
from ance_ir.models.compute.batching import WINDOW
from ance_ir.models.compute.inference import Progress
from ance_ir.models.dense.encoder import Encoder
from ance_ir.models.dense.query_cache import QueryCache
from ance_ir.models.text.settings import FIELDS, TextSettings
from ance_ir.ragged import owners_of, places_of
from ance_ir.ranking import check_queries, finite_vectors
from ance_ir.settings import Setting
from ance_ir.transformers import Configured

PASSAGE_SEPARATOR = "#"
"""Stands between a document's docno and a passage's number: ``d7#0``, ``d7#1``, …"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Encoding:
    """How a document vector was made; travels with it from the encoder into the index's manifest.

    Attributes:
        model: the model's name or folder.
        fingerprint: the model's fingerprint.
        text: its text settings.
        similarity: ``"dot"`` or ``"cosine"``.
        pooling: the name of one of ``POOLINGS``; ``None`` where it is not known.
        passage_fingerprint: what the model's query tower has no part in; ``None`` where it is not known.
        passages: the passage scheme's text form, e.g. ``maxp:512,4``; ``None`` where the rows are documents, not passages.
        precision: what the model computed in.
    """

    model: str
    fingerprint: str
    text: TextSettings
    similarity: str
    passages: str | None
    precision: str
    pooling: str | None = None
    passage_fingerprint: str | None = None

    @classmethod
    def of(cls, model: Encoder, passages: str | None) -> Encoding:
        """The encoding that a model makes in its present state."""
        fingerprint, of_passages = model.fingerprints()
        return cls(
            model=model.name,
            fingerprint=fingerprint,
            text=model.settings,
            similarity=model.similarity,
            passages=passages,
            precision=model.precision,
            pooling=model.query_tower.pooling,
            passage_fingerprint=of_passages,
        )

    def same_model(self, made: Mapping[str, Any]) -> bool:
        """Whether the model makes the vectors of an index, by the ``encoding`` in its manifest: its query tower may be another."""
        known = self.passage_fingerprint
        return made["fingerprint"] == self.fingerprint or (known is not None and made.get("passage_fingerprint") == known)


def query_vectors(model: Encoder, frame: pd.DataFrame, cache: QueryCache | None = None) -> np.ndarray:
    """A vector for each row of a frame with ``qid`` and ``query``, float32 ``[len(frame), D]``; each distinct text is encoded once.

    Args:
        model: encodes.
        frame: the queries.
        cache: of their vectors.

    Raises:
        UsageError: a query is no string, or its vector is not finite.
    """
    check_queries(frame)
    codes, texts = pd.factorize(frame["query"])
    if not len(texts):
        return np.zeros((0, model.dimension), dtype=np.float32)
    vectors: np.ndarray = (model.encode_queries(list(texts)) if cache is None else cache.encode(model, list(texts)))[codes]
    return finite_vectors(frame, vectors)


class _Encoder(Configured, pt.Transformer):
    """Common to both: the model is no pipeline stage."""

    model: Setting[Encoder] = Setting(lambda value: value)


class QueryEncoder(_Encoder):
    """Adds ``query_vec``, float32 ``[D]``, to a frame with ``qid`` and ``query``.

    Args:
        model: the encoder.
        cache: a file in which vectors are kept, by the model's fingerprint and the query's text, and from which they are read when they
            are asked for again; several models and processes may share it. The model is taken as it is now: make another encoder after
            training.
    """

    schematic: ClassVar[dict[str, str | None]] = {"label": "Query encoder", "help_url": None}
    cache: Setting[Path | None] = Setting(lambda value: None if value is None else as_path(value))

    def __init__(self, model: Encoder, cache: Path | str | None = None) -> None:
        self.model = model
        self.cache = cache

    def settle(self, changed: str | None) -> None:
        """See ``Configured``: the cache keeps vectors of this model."""
        self._vectors = None if self.cache is None else QueryCache(self.cache, self.model)

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """Encode each distinct query once."""
        pt.validate.columns(inp, includes=["qid", "query"])
        vectors = query_vectors(self.model, inp, self._vectors)
        return inp.assign(query_vec=pd.Series(list(vectors), index=inp.index, dtype=object))


class PassageEncoder(_Encoder):
    """Adds ``doc_vec``, float32 ``[D]``, and ``encoding`` to a frame with ``docno`` and ``text`` (``title``, ``url``).

    After a passage scheme (``MaxP(512, 4) >> model.passages()``) a row for each passage comes out, ``docno`` being ``docno#0``,
    ``docno#1``, …, and the text columns, which are the document's, left out. Otherwise each row is encoded as it is, cut to the model's
    passage length.

    Args:
        model: the encoder.
        progress: called with the number of passages of each batch that is done.
    """

    schematic: ClassVar[dict[str, str | None]] = {"label": "Passage encoder", "help_url": None}
    progress: Setting[Progress | None] = Setting(lambda value: value)
    batch_size = WINDOW
    """Documents that PyTerrier should hand over at once: they are sorted by length together."""

    def __init__(self, model: Encoder, progress: Progress | None = None) -> None:
        self.model = model
        self.progress = progress

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """Encode the rows' texts.

        Raises:
            UsageError: a row has no text, or a field of another type.
        """
        pt.validate.columns(inp, includes=["docno", "text"])
        cut = "passages" in inp.columns
        if inp.empty:
            kept = [column for column in inp.columns if not cut or column not in (*FIELDS, "passages")]
            return inp[kept].assign(doc_vec=pd.Series(dtype=object), encoding=pd.Series(dtype=object))
        texts = self.model.settings.join_frame(inp)
        if not cut:
            return self._with_vectors(inp, self.model.encode_passages(texts), None)
        scheme = inp["passages"].iloc[0]
        vectors, counts = self.model.encode_documents(texts, scheme, self.progress)
        rows = inp.iloc[owners_of(counts)].drop(columns=[*FIELDS, "passages"], errors="ignore").reset_index(drop=True)
        numbers = places_of(counts)
        rows["docno"] = [f"{docno}{PASSAGE_SEPARATOR}{number}" for docno, number in zip(rows["docno"], numbers, strict=True)]
        return self._with_vectors(rows, vectors, str(scheme))

    def _with_vectors(self, rows: pd.DataFrame, vectors: np.ndarray, passages: str | None) -> pd.DataFrame:
        encoding = Encoding.of(self.model, passages)
        return rows.assign(
            doc_vec=pd.Series(list(vectors), index=rows.index, dtype=object),
            encoding=pd.Series([encoding] * len(rows), index=rows.index, dtype=object),
        )
