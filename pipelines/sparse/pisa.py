"""PISA's files of a sparse index, and its search over them.

Terms are named by their numbers, as many digits each, so that their order is that of the numbers. The uncompressed postings from which
PISA packs its own are written here, straight from the matrices, in memory that does not grow with the documents; once packed, they are
removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from ance_ir.errors import IndexingError
from ance_ir.pipelines.bm25.engine import Found
from ance_ir.pipelines.pisa import ALGORITHM, ENCODING, building, find_pisa

_SCRIPT = f"""
(folder,) = sys.argv[1:]
pisathon.build_binlex(folder + "/fwd.documents", folder + "/fwd.doclex")
pisathon.build_binlex(folder + "/fwd.terms", folder + "/fwd.termlex")
describe(folder, "none")
pisathon.prepare_index(pisathon.RetrievalContext(), folder, "{ENCODING}", "quantized", "")
"""

_POSTINGS = ("inv.docs", "inv.freqs")

Blocks = Callable[[], Iterator[csr_array]]
"""Gives the impacts of all documents in their order, uint32 ``[documents of the block, V]``; may be called again."""


def require_pisa() -> Any:
    """The module ``pyterrier_pisa``.

    Raises:
        MissingDependencyError: it is not installed.
    """
    return find_pisa("a sparse index", "there is no other engine for it yet")


def write_files(folder: Path, blocks: Blocks, documents: int, vocabulary: int) -> int:
    """Write PISA's files into an empty folder; returns the number of postings.

    Args:
        folder: an existing folder.
        blocks: the impacts.
        documents: how many there are.
        vocabulary: the number of terms, V.

    Raises:
        IndexingError: no document has a term, or PISA ended with an error.
    """
    require_pisa()
    frequencies = np.zeros(vocabulary, dtype=np.int64)
    for block in blocks():
        frequencies += np.bincount(block.indices, minlength=vocabulary)
    terms = np.flatnonzero(frequencies)
    if not len(terms):
        raise IndexingError("no document has a term of a weight above 0, so there is nothing to index")
    (folder / "fwd.terms").write_text("".join(f"{term_name(term)}\n" for term in terms.tolist()), encoding="ascii")
    with (folder / "fwd.documents").open("w", encoding="ascii") as stream:
        stream.writelines(f"{number}\n" for number in range(documents))
    _write_postings(folder, blocks, documents, frequencies)
    with building(_SCRIPT, [str(folder.absolute())]):
        pass
    for name in _POSTINGS:
        (folder / name).unlink()
    return int(frequencies.sum())


def term_name(term: int) -> str:
    """What PISA knows a term by."""
    return f"{term:07d}"


def _write_postings(folder: Path, blocks: Blocks, documents: int, frequencies: np.ndarray) -> None:
    """Write for each term the documents that have it, and their impacts; each list begins with its length."""
    lengths = frequencies[frequencies > 0]
    starts = np.cumsum(lengths + 1) - (lengths + 1)  # among the impacts; the documents' file has two numbers before
    of_documents, of_impacts = (
        np.memmap(folder / name, dtype="<u4", mode="w+", shape=(extra + int((lengths + 1).sum()),))
        for name, extra in zip(_POSTINGS, (2, 0), strict=True)
    )
    of_documents[:2] = 1, documents
    of_documents[starts + 2] = of_impacts[starts] = lengths
    free = np.zeros(len(frequencies), dtype=np.int64)
    free[frequencies > 0] = starts + 1
    with (folder / "inv.sizes").open("wb") as sizes:
        sizes.write(np.array([documents], dtype="<u4").tobytes())
        first = 0
        for block in blocks():
            sizes.write(np.asarray(block.sum(axis=1)).astype("<u4").tobytes())
            columns = block.tocsc()
            counts = np.diff(columns.indptr)
            places = np.repeat(free - columns.indptr[:-1], counts) + np.arange(columns.nnz)
            of_documents[places + 2] = columns.indices + first
            of_impacts[places] = columns.data
            free += counts
            first += block.shape[0]
    of_documents.flush()
    of_impacts.flush()


class Searcher:
    """PISA over the files that ``write_files`` wrote.

    Args:
        folder: of the files.
        threads: for searching.
    """

    def __init__(self, folder: Path, threads: int) -> None:
        index = require_pisa().PisaIndex(str(folder), stemmer="none", stops="none", threads=threads)
        self._retriever = index.quantized(query_algorithm=ALGORITHM, toks_scale=1)

    def search(self, queries: csr_array, k: int, *, verbose: bool = False) -> Found:
        """The best k documents of each query that share a term with it, equal ones in any order; scores are sums of products.

        Args:
            queries: impacts, ``[queries, V]``.
            k: documents a query; at most the number of documents.
            verbose: show progress.
        """
        tokens = [_tokens(queries.indices[first:end], queries.data[first:end]) for first, end in pairwise(queries.indptr.tolist())]
        self._retriever.verbose, self._retriever.num_results = verbose, k
        found = self._retriever.transform(pd.DataFrame({"qid": np.arange(len(tokens)), "query_toks": tokens}))
        numbers = found["docno"].to_numpy(dtype=object).astype(np.int64)
        return Found(found["qid"].to_numpy(np.int64), numbers, found["score"].to_numpy(np.float32))


def _tokens(terms: np.ndarray, impacts: np.ndarray) -> dict[str, float]:
    return {term_name(term): float(impact) for term, impact in zip(terms.tolist(), impacts.tolist(), strict=True)}
