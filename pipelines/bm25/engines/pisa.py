"""PISA, which needs no Java.

Its files in the index::

    pisa/                 with the scores' bounds for the default k1 and b
    pisa-k1-1.2-b-0.75/   links to them, with the bounds for other parameters; made when first asked for
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ance_ir.datasets.languages import script_of
from ance_ir.errors import IndexingError
from ance_ir.files import atomic_folder
from ance_ir.locks import alone
from ance_ir.notices import examples
from ance_ir.pipelines.bm25.engine import K1, Analysis, B, Found
from ance_ir.pipelines.pisa import ALGORITHM, ENCODING, building, find_pisa

logger = logging.getLogger(__name__)

_BUILDER = f"""
folder, stemmer, threads, k1, b = sys.argv[1:]
stems = "" if stemmer == "none" else stemmer
if not Path(folder, "pt_meta.json").exists():
    pisathon.index("/dev/stdin", folder, stems, 100_000, int(threads))
    describe(folder, stemmer)
pisathon.prepare_index(pisathon.RetrievalContext(), folder, "{ENCODING}", "bm25", stems, bm25_k1=float(k1), bm25_b=float(b))
"""
"""What ``PisaIndex`` does to build and to prepare an index."""


_WORD = re.compile(r"[A-Za-z0-9]+")
_OTHER = re.compile(r"[^\W\d_\x00-\x7f]")
_EXAMPLES = 4


def _in_another_script(text: str) -> bool:
    """Whether a text has more letters that PISA ignores than characters that it reads."""
    return not text.isascii() and len(_OTHER.findall(text)) > sum(map(len, _WORD.findall(text)))


class Pisa:
    """The engine; stop words are removed from queries alone, so any list goes with any index."""

    stemmers: tuple[str, ...] = ("porter2", "krovetz", "none")
    stopwords: tuple[str, ...] = ("terrier", "lucene", "none")
    languages: tuple[str, ...] = ()
    baked: tuple[str, ...] = ("stemmer", "language")
    has_rm3 = False

    def require(self) -> None:
        """Check that it is installed.

        Raises:
            MissingDependencyError: it is not; it exists for Linux on x86-64.
        """
        _pisa()

    @contextlib.contextmanager
    def writer(self, folder: Path, analysis: Analysis, threads: int) -> Iterator[Callable[[str, str], None]]:
        """Build an index.

        Raises:
            IndexingError: PISA ended with an error.
        """
        (folder / "pisa").mkdir()
        foreign: list[str] = []
        documents = lost = 0
        readable, script = False, None

        def write(docno: str, text: str) -> None:
            nonlocal documents, lost, readable, script
            line = f"{documents} {text}\n"
            documents += 1
            readable = readable or _WORD.search(text) is not None
            if _in_another_script(text):
                lost += 1
                foreign.extend([docno] if lost <= _EXAMPLES else [])
                script = script or script_of(text)
            add(line)

        try:
            with _builder(folder / "pisa", analysis.stemmer, threads, K1, B) as add:
                yield write
                if documents and not readable:
                    raise IndexingError(
                        f"PISA reads words of ASCII letters and digits alone, and none of the {documents} documents has one"
                        f"{f' (these are in {script})' if script else ''}: engine=lucene reads other scripts, and has stemmers for many "
                        "languages: bm25[engine=lucene; language=CODE], or BM25Index(path, engine='lucene', language='CODE')"
                    )
        finally:
            if lost and readable:
                logger.warning(
                    "PISA reads words of ASCII letters and digits alone; %d of %d documents have more letters of other scripts (%s): "
                    "engine=lucene reads these",
                    *(lost, documents, examples(foreign)),
                )

    def open(self, folder: Path, analysis: Analysis, threads: int) -> PisaSearcher:
        """Open an index."""
        return PisaSearcher(folder, analysis, threads)


class PisaSearcher:
    """PISA's own retrievers over an index, one for each k1 and b."""

    def __init__(self, folder: Path, analysis: Analysis, threads: int) -> None:
        self._folder = folder
        self._analysis = analysis
        self._threads = threads
        self._retrievers: dict[tuple[float, float], Any] = {}
        self._temporary: tempfile.TemporaryDirectory[str] | None = None

    def __len__(self) -> int:
        return int(self._index(self._folder / "pisa").num_docs())

    def search(self, queries: Sequence[str], k: int, k1: float, b: float, *, verbose: bool = False) -> Found:
        """The best k documents of each query."""
        retriever = self.retriever(k1, b)
        retriever.verbose, retriever.num_results = verbose, k
        found = retriever.transform(pd.DataFrame({"qid": np.arange(len(queries)), "query": list(queries)}))
        numbers = found["docno"].to_numpy(dtype=object).astype(np.int64)
        found_nothing = np.setdiff1d(np.arange(len(queries)), found["qid"].to_numpy(np.int64))
        self._tell_of_queries_without_words([queries[row] for row in found_nothing])
        return Found(found["qid"].to_numpy(np.int64), numbers, found["score"].to_numpy(np.float32))

    def _tell_of_queries_without_words(self, queries: Sequence[str]) -> None:
        """Warn of queries without results in which PISA finds no word."""
        foreign = [query for query in queries if not _WORD.search(query) and any(map(str.isalnum, query))]
        if foreign:
            logger.warning(
                "PISA reads words of ASCII letters and digits alone, and finds none in %d queries (%s): engine=lucene reads other scripts",
                *(len(foreign), examples(foreign)),
            )

    def retriever(self, k1: float, b: float) -> Any:
        """PISA's retriever for the given parameters of BM25; always the same one."""
        if (k1, b) not in self._retrievers:
            folder = self._folder / ("pisa" if (k1, b) == (K1, B) else f"pisa-k1-{k1}-b-{b}")
            if not folder.exists():
                folder = self._prepared(folder, k1, b)
            self._retrievers[k1, b] = self._index(folder).bm25(k1=k1, b=b, query_algorithm=ALGORITHM)
        return self._retrievers[k1, b]

    def _index(self, folder: Path) -> Any:
        return _pisa().PisaIndex(str(folder), stemmer=self._analysis.stemmer, stops=self._analysis.stopwords, threads=self._threads)

    def _prepared(self, folder: Path, k1: float, b: float) -> Path:
        """Make the index for other parameters of BM25; in a temporary folder if the index is read-only."""
        try:
            with alone(folder, "preparing the index for other parameters"):
                if not folder.exists():
                    self._prepare(folder, k1, b)
            return folder
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise
            logger.warning(
                "%s cannot be written (%s), so PISA's scores for k1=%s and b=%s are computed in a temporary folder, each time",
                *(folder, error.strerror, k1, b),
            )
            self._temporary = self._temporary or tempfile.TemporaryDirectory(prefix="ance_ir-")
            fresh = Path(self._temporary.name) / folder.name
            self._prepare(fresh, k1, b)
            return fresh

    def _prepare(self, folder: Path, k1: float, b: float) -> None:
        source = self._folder.resolve() / "pisa"
        with atomic_folder(folder, "fwd.documents") as fresh:
            for file in source.iterdir():
                if not file.name.startswith("bm25."):
                    (fresh / file.name).symlink_to(os.path.relpath(source / file.name, fresh))  # the index may move
            with _builder(fresh, self._analysis.stemmer, self._threads, k1, b):
                pass


def _pisa() -> Any:
    """The module ``pyterrier_pisa``.

    Raises:
        MissingDependencyError: it is not installed; it exists for Linux on x86-64.
    """
    return find_pisa('BM25Index(engine="pisa")', "use another engine (pip install 'ance_ir[lucene]', engine lucene)")


def _builder(folder: Path, stemmer: str, threads: int, k1: float, b: float) -> AbstractContextManager[Callable[[str], None]]:
    """Run PISA on ``folder``: a function that passes it a line, a document's number and text."""
    arguments = [str(folder.absolute()), stemmer, str(threads), str(k1), str(b)]
    return building(_BUILDER, arguments)


ENGINE = Pisa()
