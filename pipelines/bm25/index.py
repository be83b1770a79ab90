"""An index for BM25: the files of one engine, complete or absent on disk.

A complete index is a folder::

    x.bm25/manifest.json    engine, documents, language, stemmer, stop words where they are left out of the index
    x.bm25/pisa/, lucene/ … the engine's files
    x.bm25/docnos/          number to docno: engines know documents by number only
    x.bm25/tie_order.npy    int64 [documents]; of two documents with equal scores the one with the smaller number comes first
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np
import pyterrier as pt

from ance_ir.arrays import map_array, save_array
from ance_ir.datasets import DocnoMap
from ance_ir.datasets.languages import ENGLISH
from ance_ir.digests import digest_of
from ance_ir.errors import DamagedIndexError, IndexingError, UsageError
from ance_ir.files import as_path, atomic_folder, restore, write_json
from ance_ir.indexes.info import IndexInfo, size_on_disk
from ance_ir.indexes.store.tie_order import tie_order
from ance_ir.pipelines.bm25.documents import feed
from ance_ir.pipelines.bm25.engine import K1, RM3, Analysis, B, Engine, Searcher, find_analysis
from ance_ir.pipelines.bm25.engines import ENGINES, default_engine
from ance_ir.pipelines.bm25.retriever import BM25Retriever
from ance_ir.transformers import labelled
from ance_ir.typed_json import read_typed

FORMAT = 2
"""Format 1 dates from when PISA was the only engine: its manifest names none."""

_REMEDY = "build the index again"
_ANALYSIS = ("stemmer", "stopwords", "language")


class _Format(TypedDict):
    format: int


class _Manifest(TypedDict):
    documents: int
    engine: NotRequired[str]
    content: NotRequired[str]
    stemmer: NotRequired[str]
    stopwords: NotRequired[str]
    language: NotRequired[str]


class BM25Index(pt.Indexer):
    """A BM25 index on disk: an indexer at the end of a pipeline, and the source of retrievers.

    Args:
        path: its folder.
        engine: ``pisa`` (needs no Java, Linux on x86-64), ``lucene`` (Anserini's; has RM3) or ``terrier`` (PyTerrier's, where its jar is);
            by default ``pisa``, or ``lucene`` where only that is installed.
        stemmer: for documents and queries alike: ``porter2``, ``porter``, ``krovetz`` or ``none``, if the engine has it;
            by default the engine's own: ``porter2`` of pisa, ``porter`` of lucene and terrier.
        stopwords: list of words to leave out: ``terrier``, ``lucene`` or ``none``, if the engine has it; by default the engine's own.
            PISA takes them from queries, the others from documents too.
        language: of documents and queries, by its code in ISO 639; English by default. Lucene has analysers of many, each with a stemmer
            and stop words of its own (both called ``lucene``); an engine that lacks the language takes ``stemmer="none"`` alone.
        threads: for searching, and with pisa for building.
        overwrite: whether ``index`` may replace an existing index.

    Raises:
        UsageError: there is no such engine, or it has no such language, stemmer or list.
        MissingDependencyError: something that the engine needs is not installed.
    """

    schematic = labelled("BM25 index")

    def __init__(
        self,
        path: Path | str,
        *,
        engine: str | None = None,
        stemmer: str | None = None,
        stopwords: str | None = None,
        language: str | None = None,
        threads: int = 1,
        overwrite: bool = False,
    ) -> None:
        if threads < 1:
            raise UsageError(f"threads must be at least 1, not {threads}")
        engine = default_engine() if engine is None else engine
        analysis = find_analysis(ENGINES.find(engine), stemmer, stopwords, language)
        ENGINES[engine].require()
        self.path = as_path(path)
        self.engine = engine
        self.stemmer = analysis.stemmer
        self.stopwords = analysis.stopwords
        self.language = analysis.language
        self.threads = threads
        self.overwrite = overwrite

    @classmethod
    def open(cls, path: Path | str, **named: Any) -> BM25Index:
        """An index as it was built.

        Args:
            path: its folder.
            named: arguments of the class in place of what the index says; refused where it was built otherwise.

        Raises:
            DamagedIndexError: its manifest cannot be read.
        """
        manifest: dict[str, Any] = read_typed(as_path(path) / "manifest.json", _Manifest, error=DamagedIndexError, remedy=_REMEDY)
        built = {"engine": "pisa", "language": ENGLISH} | manifest
        if named.get("engine") not in (None, built["engine"]):
            return cls(path, **named)
        return cls(path, **{name: built[name] for name in ("engine", *_ANALYSIS) if name in built} | named)

    @property
    def _engine(self) -> Engine:
        return ENGINES[self.engine]

    @property
    def _analysis(self) -> Analysis:
        return Analysis(stemmer=self.stemmer, stopwords=self.stopwords, language=self.language)

    def index_inputs(self) -> list[list[str]]:
        """The columns that ``index`` needs; ``title`` is indexed too where there is one."""
        return [["docno", "text"]]

    def index(self, iter: Iterable[dict[str, Any]]) -> BM25Index:  # type: ignore[override]  # no keyword is swallowed
        """Build the index from a stream of ``docno``, ``text`` and perhaps ``title``; whole or not at all.

        Raises:
            IndexingError: there is an index at the path, a document is not as expected, or the engine could not build it.
            DatasetError: a docno comes twice.
        """
        if self.built() and not self.overwrite:
            raise IndexingError(f"{self.path} holds an index already; choose another path, or overwrite=True")
        content = hashlib.blake2b(digest_size=16)
        with atomic_folder(self.path, "manifest.json") as folder:
            with self._engine.writer(folder, self._analysis, self.threads) as add:

                def hashed(docno: str, text: str) -> None:
                    content.update(f"{docno}\n{text}\n".encode(errors="replace"))
                    add(docno, text)

                (folder / "docnos").mkdir()
                docnos = DocnoMap.write(feed(iter, hashed), folder / "docnos")
                if not len(docnos):
                    raise IndexingError("there is no document to index")
            indexed = len(self._engine.open(folder, self._analysis, self.threads))
            if indexed != len(docnos):
                raise IndexingError(f"{len(docnos)} documents were given, {self.engine} indexed {indexed}")
            save_array(folder / "tie_order.npy", tie_order(docnos))
            manifest = {"format": FORMAT, "engine": self.engine, "documents": len(docnos), "content": content.hexdigest()}
            write_json(folder / "manifest.json", manifest | {name: getattr(self, name) for name in self._engine.baked})
        self.__dict__ = self.__getstate__()
        return self

    def built(self) -> bool:
        """Whether a complete index is there."""
        return (self.path / "manifest.json").exists()

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The index's manifest.

        Raises:
            IndexingError: there is no index, or one of another engine or analysis.
            DamagedIndexError: it is incomplete or altered.
        """
        restore(self.path)
        if not self.path.is_dir():
            raise IndexingError(f"{self.path}: there is no index; build one with BM25Index(path).index(documents)")
        if not self.built():
            raise DamagedIndexError(f"{self.path}: no manifest.json, so this is no complete index; build it again")
        written = read_typed(self.path / "manifest.json", _Format, error=DamagedIndexError, remedy=_REMEDY)["format"]
        if written not in (1, FORMAT):
            raise DamagedIndexError(f"{self.path}: format {written!r} is not {FORMAT}; build it again")
        manifest: dict[str, Any] = read_typed(self.path / "manifest.json", _Manifest, error=DamagedIndexError, remedy=_REMEDY)
        manifest = {"engine": "pisa", "language": ENGLISH} | manifest
        for name in ("engine", *self._engine.baked):
            if name not in manifest:
                raise DamagedIndexError(f"{self.path / 'manifest.json'}: expected the key {name!r}; {_REMEDY}")
            if manifest[name] != getattr(self, name):
                raise IndexingError(
                    f"{self.path} was built with {name}={manifest[name]!r}, not {getattr(self, name)!r}: open it so, or build it again"
                )
        return manifest

    @property
    def fingerprint(self) -> str | None:
        """Hash (128 bits, hexadecimal) of documents, engine and analysis; ``None`` for indexes that older versions built."""
        if "content" not in self.manifest:
            return None
        other = [] if self.language == ENGLISH else [self.language]
        return digest_of([self.manifest["content"], self.engine, self.stemmer, self.stopwords, *other])

    @cached_property
    def docnos(self) -> DocnoMap:
        """Document numbers to docnos."""
        return DocnoMap(self.path / "docnos")

    @cached_property
    def tie_order(self) -> np.ndarray:
        """Each document's place among those with its score, int64 ``[documents]``."""
        return map_array(self.path / "tie_order.npy", "int64", (len(self.docnos),), error=DamagedIndexError, remedy=_REMEDY)

    @cached_property
    def searcher(self) -> Searcher:
        """The index as its engine opened it; the same object until the index is built again."""
        return self._engine.open(self.path, self._analysis, self.threads)

    @property
    def has_rm3(self) -> bool:
        """Whether the engine has RM3."""
        return self._engine.has_rm3

    def __len__(self) -> int:
        return int(self.manifest["documents"])

    def retriever(
        self, num_results: int = 1000, k1: float = K1, b: float = B, *, rm3: RM3 | None = None, verbose: bool = False
    ) -> BM25Retriever:
        """A PyTerrier retriever: queries to the index's best documents; see ``BM25Retriever``."""
        return BM25Retriever(self, num_results, k1, b, rm3=rm3, verbose=verbose)

    def info(self) -> IndexInfo:
        """What the index holds and how its texts were analysed; by name, shown as a table."""
        rows = {"documents": f"{len(self):,}", "engine": self.engine, "language": self.language}
        rows |= {"stemmer": self.stemmer, "stop words": self.stopwords, "size on disk": size_on_disk(self.path)}
        return IndexInfo(self.path, rows)

    def __repr__(self) -> str:
        return f"BM25Index({str(self.path)!r}{'' if self.engine == 'pisa' else f', engine={self.engine!r}'})"

    def _configuration(self) -> tuple[Any, ...]:
        return self.path.resolve(), self.engine, self._analysis

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BM25Index) and self._configuration() == other._configuration()

    def __hash__(self) -> int:
        return hash(self._configuration())

    def __getstate__(self) -> dict[str, Any]:
        opened = ("manifest", "docnos", "tie_order", "searcher")
        return {name: value for name, value in self.__dict__.items() if name not in opened}
