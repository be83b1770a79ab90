"""BM25 over a PISA index: no Java, whole or absent on disk, ties by docno.

A complete index is a folder::

    x.bm25/manifest.json               documents, stemmer
    x.bm25/pisa/                       PISA's files, with the scores' bounds for the default k1 and b
    x.bm25/pisa-k1-1.2-b-0.75/         links to them, with the bounds for other parameters; made when first asked for
    x.bm25/docnos/                     number to docno: PISA itself knows documents by number only
    x.bm25/tie_order.npy               int64 [documents]; of two documents with equal scores the one with the smaller number comes first
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import pandas as pd
import pyterrier as pt

from ance_ir.datasets import DocnoMap
from ance_ir.errors import DamagedIndexError, IndexingError, UsageError
from ance_ir.files import atomic_folder, read_json, write_json
from ance_ir.indexes.docnos import tie_order
from ance_ir.pipelines.pisa import builder, feed, pisa

Stemmer = Literal["porter2", "krovetz", "none"]
Stopwords = Literal["terrier", "lucene", "none"]

FORMAT = 1
K1, B = 0.9, 0.4

_ALGORITHM = "maxscore"
"""Of PISA's algorithms the fast one that adds up a document's terms always in the same order, so that equal documents score equally."""


class BM25Index(pt.Indexer):
    """A BM25 index on disk; an indexer at the end of a pipeline, then a factory of retrievers.

    Args:
        path: its folder.
        stemmer: for documents and queries alike.
        stopwords: the words that queries lose; documents keep theirs.
        threads: for building and for searching.
        overwrite: whether ``index`` may take the place of an index that is there.

    Raises:
        MissingDependencyError: PISA is not installed; it exists for Linux on x86-64.
    """

    # without a help_url PyTerrier asks its documentation on the network
    schematic: ClassVar[dict[str, str | None]] = {"label": "BM25 index", "help_url": None}

    def __init__(
        self,
        path: Path | str,
        *,
        stemmer: Stemmer = "porter2",
        stopwords: Stopwords = "terrier",
        threads: int = 1,
        overwrite: bool = False,
    ) -> None:
        pisa()
        if threads < 1:
            raise UsageError(f"threads must be at least 1, not {threads}")
        for name, value, known in (("stemmer", stemmer, get_args(Stemmer)), ("stopwords", stopwords, get_args(Stopwords))):
            if value not in known:
                raise UsageError(f"{name} must be one of {', '.join(known)}, not {value!r}")
        self.path = Path(path)
        self.stemmer = stemmer
        self.stopwords = stopwords
        self.threads = threads
        self.overwrite = overwrite
        self._engines: dict[tuple[float, float], Any] = {}

    def index_inputs(self) -> list[list[str]]:
        """The columns that ``index`` needs; ``title`` is indexed too where there is one."""
        return [["docno", "text"]]

    def index(self, iter: Iterable[dict[str, Any]], **_: Any) -> BM25Index:
        """Build the index from a stream of ``docno``, ``text`` and perhaps ``title``; whole or not at all.

        Raises:
            IndexingError: there is an index at the path, a document is not as expected, or no document has a word.
            DatasetError: a docno comes twice.
        """
        if self.built() and not self.overwrite:
            raise IndexingError(f"{self.path} holds an index already; choose another path, or overwrite=True")
        with atomic_folder(self.path, "manifest.json") as folder:
            for name in ("pisa", "docnos"):
                (folder / name).mkdir()
            with builder(folder / "pisa", self.stemmer, self.threads, K1, B) as add:
                docnos = DocnoMap.write(feed(iter, add), folder / "docnos")
                if not len(docnos):
                    raise IndexingError("there was no document to index")
            indexed = pisa().PisaIndex(str(folder / "pisa"), stemmer=self.stemmer).num_docs()
            if indexed != len(docnos):
                raise IndexingError(f"{len(docnos)} documents were given, PISA indexed {indexed}")
            np.save(folder / "tie_order.npy", tie_order(docnos), allow_pickle=False)
            write_json(folder / "manifest.json", {"format": FORMAT, "documents": len(docnos), "stemmer": self.stemmer})
        self.__dict__ = self.__getstate__()
        return self

    def built(self) -> bool:
        """Whether a complete index is there."""
        return (self.path / "manifest.json").exists()

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What the index says of itself.

        Raises:
            IndexingError: there is no index, or one with another stemmer.
            DamagedIndexError: it is incomplete or altered.
        """
        if not self.path.is_dir():
            raise IndexingError(f"{self.path}: there is no index; build one with BM25Index(path).index(documents)")
        if not self.built():
            raise DamagedIndexError(f"{self.path}: no manifest.json, so this is no complete index; build it again")
        try:
            manifest: dict[str, Any] = read_json(self.path / "manifest.json")
        except ValueError as error:
            raise DamagedIndexError(f"{self.path / 'manifest.json'}: expected JSON, {error}") from error
        if manifest.get("format") != FORMAT:
            raise DamagedIndexError(f"{self.path}: format {manifest.get('format')!r} is not {FORMAT}; build it again")
        if manifest["stemmer"] != self.stemmer:
            raise IndexingError(
                f"{self.path} was built with stemmer={manifest['stemmer']!r}, not {self.stemmer!r}: ask for that, or build anew"
            )
        return manifest

    @cached_property
    def docnos(self) -> DocnoMap:
        """Document numbers to docnos."""
        return DocnoMap(self.path / "docnos")

    @cached_property
    def tie_order(self) -> np.ndarray:
        """Each document's place among those with its score, int64 ``[documents]``."""
        order: np.ndarray = np.load(self.path / "tie_order.npy", mmap_mode="r", allow_pickle=False)
        return order

    def __len__(self) -> int:
        return int(self.manifest["documents"])

    def retriever(self, num_results: int = 1000, k1: float = K1, b: float = B, *, verbose: bool = False) -> BM25Retriever:
        """A PyTerrier retriever: queries to the index's best documents; see ``BM25Retriever``."""
        return BM25Retriever(self, num_results, k1, b, verbose=verbose)

    def engine(self, k1: float, b: float) -> Any:
        """PISA's own retriever, for the given parameters of BM25; one and the same until the index is built anew."""
        if (k1, b) not in self._engines:
            folder = self.path / ("pisa" if (k1, b) == (K1, B) else f"pisa-k1-{k1}-b-{b}")
            if not folder.exists():
                self._prepare(folder, k1, b)
            index = pisa().PisaIndex(str(folder), stemmer=self.stemmer, stops=self.stopwords, threads=self.threads)
            self._engines[k1, b] = index.bm25(k1=k1, b=b, query_algorithm=_ALGORITHM)
        return self._engines[k1, b]

    def _prepare(self, folder: Path, k1: float, b: float) -> None:
        with atomic_folder(folder, "fwd.documents") as fresh:
            for file in (self.path / "pisa").iterdir():
                if not file.name.startswith("bm25."):
                    (fresh / file.name).symlink_to(Path("..", "pisa", file.name))
            with builder(fresh, self.stemmer, self.threads, k1, b):
                pass

    def __repr__(self) -> str:
        return f"BM25Index({str(self.path)!r})"

    def _configuration(self) -> tuple[Any, ...]:
        return self.path.resolve(), self.stemmer, self.stopwords

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BM25Index) and self._configuration() == other._configuration()

    def __hash__(self) -> int:
        return hash(self._configuration())

    def __getstate__(self) -> dict[str, Any]:
        opened = ("manifest", "docnos", "tie_order")
        return {name: value for name, value in self.__dict__.items() if name not in opened} | {"_engines": {}}


class BM25Retriever(pt.Transformer):
    """Queries to the best documents of a BM25 index; fewer, or none, where fewer share a word with the query.

    Args:
        index: where to search.
        num_results: documents a query, at most.
        k1: saturation of term frequencies.
        b: normalisation by document length, 0 to 1.
        verbose: show progress.

    Raises:
        IndexingError: there is no index.
    """

    schematic: ClassVar[dict[str, str | None]] = {"label": "BM25", "help_url": None}

    def __init__(self, index: BM25Index, num_results: int = 1000, k1: float = K1, b: float = B, *, verbose: bool = False) -> None:
        if num_results < 1:
            raise UsageError(f"at least 1 document is to be found, not {num_results}")
        if not k1 >= 0 or not 0 <= b <= 1:
            raise UsageError(f"k1 must be at least 0 and b between 0 and 1, not k1={k1}, b={b}")
        self.index = index
        self.num_results = num_results
        self.k1 = float(k1)
        self.b = float(b)
        self.verbose = verbose
        _ = index.manifest

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """Search; the result has every column of the queries, ``docno``, ``score`` and ``rank``."""
        pt.validate.query_frame(inp, extra_columns=["query"], context=self)
        queries = inp.drop(columns=["score", "rank"], errors="ignore")
        if inp.empty:
            return queries.assign(docno=pd.Series(dtype=str), score=pd.Series(dtype=float), rank=pd.Series(dtype=int))
        row, number, score = self._search([_clean(qid, query) for qid, query in zip(inp["qid"], inp["query"], strict=True)])
        order = np.lexsort((self.index.tie_order[number], -score, row))
        row, number, score = row[order], number[order], score[order]
        rank = np.arange(len(row)) - np.searchsorted(row, row)
        kept = rank < self.num_results
        results = queries.iloc[row[kept]].reset_index(drop=True)
        docnos = pd.Series(self.index.docnos.docnos(number[kept]), dtype=str)
        return results.assign(docno=docnos, score=score[kept].astype(np.float64), rank=rank[kept])

    def _search(self, queries: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The first ``num_results`` documents of each query and all that tie with the last: query row, document number, float32 score."""
        engine = self.index.engine(self.k1, self.b)
        engine.verbose = self.verbose
        parts = []
        pending = np.arange(len(queries))
        k = min(self.num_results + 1, len(self.index))
        while len(pending):
            engine.num_results = k
            found = engine.transform(pd.DataFrame({"qid": pending, "query": [queries[row] for row in pending]}))
            row, place, score = found["qid"].to_numpy(np.int64), found["rank"].to_numpy(), found["score"].to_numpy(np.float32)
            cutoff = np.full(len(queries), np.nan, dtype=np.float32)
            last = cutoff.copy()
            cutoff[row[place == self.num_results - 1]] = score[place == self.num_results - 1]
            last[row[place == k - 1]] = score[place == k - 1]
            tied = (cutoff == last) & (k < len(self.index))
            number = found["docno"].to_numpy(dtype=object).astype(np.int64)
            parts.append([column[~tied[row]] for column in (row, number, score)])
            pending = np.flatnonzero(tied)
            k = min(4 * k, len(self.index))
        row, number, score = (np.concatenate(column) for column in zip(*parts, strict=True))
        return row, number, score

    def fuse_rank_cutoff(self, k: int) -> BM25Retriever:
        """The same retriever with at most k results."""
        return self if self.num_results <= k else self.index.retriever(k, self.k1, self.b, verbose=self.verbose)

    def __mod__(self, right: int) -> BM25Retriever:
        return self.fuse_rank_cutoff(right)

    def subtransformers(self) -> dict[str, Any]:
        """None."""
        return {}

    def _configuration(self) -> tuple[Any, ...]:
        return self.index, self.num_results, self.k1, self.b

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BM25Retriever) and self._configuration() == other._configuration()

    def __hash__(self) -> int:
        return hash(self._configuration())


def _clean(qid: str, query: object) -> str:
    """A query that PISA can take: UTF-8 without NUL.

    Raises:
        UsageError: it is no string.
    """
    if not isinstance(query, str):
        raise UsageError(f"query {qid} must be a string, found {query!r}")
    return query.replace("\0", " ").encode("utf-8", errors="replace").decode("utf-8")
