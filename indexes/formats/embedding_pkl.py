"""Pyserini's encoded queries: ``embedding.pkl``, a pickled DataFrame of ``id``, ``text`` and ``embedding``, looked up by text.

Nothing in the pickle is run to read it; see ``restricted.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyterrier as pt

from ance_ir.datasets.ids import Ids
from ance_ir.errors import DatasetError
from ance_ir.files import as_path, atomic_path
from ance_ir.indexes.formats.pickled_frame import frame_columns
from ance_ir.indexes.formats.restricted import read_records

FILE = "embedding.pkl"
_COLUMNS = ("id", "text", "embedding")


def read_query_vectors(path: Path | str) -> pd.DataFrame:
    """Queries with their vectors, to be piped into a ``DenseRetriever``.

    Args:
        path: the file, or the folder that has ``embedding.pkl``.

    Returns:
        ``qid``, ``query`` and ``query_vec`` (float32 ``[D]``).

    Raises:
        DatasetError: there is no such file, it is not such a frame, it names something that no frame needs, or a vector is not finite or
            of another dimension than the first.
    """
    path = as_path(path)
    path = path / FILE if path.is_dir() else path
    if not path.exists():
        raise DatasetError(f"{path}: a pickled frame of {', '.join(_COLUMNS)} was expected; there is none")
    records = read_records(path)
    try:
        columns = frame_columns(records)
        if missing := [name for name in _COLUMNS if name not in columns]:
            raise KeyError(f"no {', '.join(missing)} among its columns {', '.join(map(str, columns))}")
        names = Ids(path)
        ids = [names.given(one, "qid") for one in columns["id"]]
        texts = [_text(text) for text in columns["text"]]
        vectors = pd.Series(_vectors(columns["embedding"]), dtype=object)
        names.report()
        return pd.DataFrame({"qid": ids, "query": texts, "query_vec": vectors})
    except (TypeError, ValueError, LookupError, AttributeError, OverflowError, RecursionError) as error:
        raise DatasetError(f"{path} holds no readable frame of {', '.join(_COLUMNS)}: {error.args[0] if error.args else error}") from error


def write_query_vectors(queries: pd.DataFrame, path: Path | str) -> None:
    """Write queries with their vectors as Pyserini reads them, whole or not at all.

    Args:
        queries: ``qid``, ``query`` and ``query_vec``.
        path: the file, or the folder for ``embedding.pkl``.
    """
    pt.validate.columns(queries, includes=["qid", "query", "query_vec"])
    path = as_path(path)
    path = path / FILE if path.suffix != ".pkl" else path
    # objects and protocol 4 are read by old versions too: the strings of pandas 3 need pandas 3, arrays in protocol 5 the same numpy
    queries = queries.reset_index(drop=True)
    frame = pd.DataFrame(
        {
            "id": queries["qid"].astype(object),
            "text": queries["query"].astype(object),
            "embedding": [np.asarray(vector, dtype=np.float32) for vector in queries["query_vec"]],
        },
        columns=pd.Index(_COLUMNS, dtype=object),
    )
    with atomic_path(path) as temporary:
        frame.to_pickle(temporary, compression=None, protocol=4)


def _text(text: Any) -> str:
    if not isinstance(text, str):
        raise TypeError(f"a text was expected, found {type(text).__name__}")
    return text


def _vectors(found: np.ndarray) -> list[np.ndarray]:
    converted: dict[int, np.ndarray] = {}  # a vector that many rows share is converted once
    for vector in found:
        if id(vector) not in converted:
            converted[id(vector)] = _vector(vector)
    vectors = [converted[id(vector)] for vector in found]
    if any(vector.ndim != 1 or vector.shape != vectors[0].shape or not np.isfinite(vector).all() for vector in vectors):
        raise ValueError("its vectors are not finite or not of one dimension")
    return vectors


def _vector(numbers: Any) -> np.ndarray:
    if not isinstance(numbers, np.ndarray) and not (isinstance(numbers, list) and all(type(one) in (int, float) for one in numbers)):
        raise TypeError(f"an array or a list of numbers was expected, found {type(numbers).__name__}")
    with np.errstate(over="ignore"):
        return np.asarray(numbers, dtype=np.float32)
