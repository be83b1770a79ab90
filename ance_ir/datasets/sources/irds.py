"""An id of ir_datasets, or an alias for one."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from types import TracebackType
from typing import Any, TypeVar

import pandas as pd

from ance_ir.datasets.dataset import Dataset, Documents
from ance_ir.datasets.frames import answers_frame, qrels_frame, queries_frame
from ance_ir.datasets.ids import Ids, clean_ids, clean_queries
from ance_ir.datasets.judgements import clean_qrels
from ance_ir.datasets.screening import Document, Unusable, check_document
from ance_ir.datasets.source import Source
from ance_ir.digests import digest_bytes
from ance_ir.errors import DatasetError, DatasetNotFoundError

logger = logging.getLogger(__name__)

T = TypeVar("T")

_PULLED = 1024
"""Records that are read at a time."""


ALIASES = {
    "trec-dl-2019": "msmarco-passage/trec-dl-2019/judged",
    "trec-dl-2020": "msmarco-passage/trec-dl-2020/judged",
    "trec-dl-2019/passage": "msmarco-passage/trec-dl-2019/judged",
    "trec-dl-2020/passage": "msmarco-passage/trec-dl-2020/judged",
    "trec-dl-2019/document": "msmarco-document/trec-dl-2019/judged",
    "trec-dl-2020/document": "msmarco-document/trec-dl-2020/judged",
    "nq/dev": "dpr-w100/natural-questions/dev",
    "nq/train": "dpr-w100/natural-questions/train",
    "triviaqa/dev": "dpr-w100/trivia-qa/dev",
    "triviaqa/train": "dpr-w100/trivia-qa/train",
    "trivia-qa/dev": "dpr-w100/trivia-qa/dev",
    "trivia-qa/train": "dpr-w100/trivia-qa/train",
}
"""Our short names for ids of ``ir_datasets``."""


def find_ir_dataset(identifier: str) -> Any | None:
    """The ``ir_datasets`` object of that id, or ``None`` if there is none; downloads nothing."""
    import ir_datasets

    # Its progress bars would appear in the caller's terminal.
    os.environ.setdefault("IR_DATASETS_DL_DISABLE_PBAR", "true")
    with _Log():
        try:
            return ir_datasets.load(identifier)
        except KeyError:
            return None


class IrDataset(Dataset):
    """A dataset of ``ir_datasets``: its queries are the split ``test``.

    Args:
        identifier: the ``ir_datasets`` id.
        name: its name; by default the id.

    Raises:
        DatasetNotFoundError: there is no such id. Reading raises it if a download fails.
    """

    def __init__(self, identifier: str, name: str | None = None) -> None:
        self.identifier = identifier
        self.name = name or identifier
        if find_ir_dataset(identifier) is None:
            raise DatasetNotFoundError(f"ir_datasets has no dataset {identifier!r}")

    @property
    def fingerprint(self) -> str:
        """Hash of the id, whose content the catalogue verifies by checksum."""
        return digest_bytes([f"ir_datasets {self.identifier}".encode()])

    @property
    def corpus_fingerprint(self) -> str:
        """Hash of the id of the corpus, which datasets derived from it share."""
        import ir_datasets

        holder = ir_datasets.docs_parent_id(self.identifier) if self._source.has_docs() else self.identifier
        return digest_bytes([f"ir_datasets {holder}".encode()])

    @property
    def splits(self) -> tuple[str, ...]:
        """``("test",)``, or nothing for a bare corpus."""
        return ("test",) if self._source.has_queries() else ()

    def documents(self) -> Documents:
        """The corpus; with title and url apart from the text if the source has them so."""
        source = self._part("docs", "test")
        return Documents(partial(_documents, self.identifier), count=source.docs_metadata().get("count"))

    def queries(self, split: str = "test") -> pd.DataFrame:
        """Frame of ``qid`` (str, unique) and ``query`` (str).

        Raises:
            DatasetNotFoundError: no queries, another split than ``test``, or they cannot be downloaded.
        """
        source = self._part("queries", split)
        rows = [(query.query_id, _text(query)) for query in _fetch(self.identifier, source.queries_iter)]
        frame = pd.DataFrame(rows, columns=["qid", "query"])
        return queries_frame(clean_queries(frame, f"the queries of {self.name}", error=DatasetError).itertuples(index=False))

    def qrels(self, split: str = "test") -> pd.DataFrame:
        """Frame of ``qid`` (str), ``docno`` (str) and ``label`` (int64).

        Raises:
            DatasetNotFoundError: no judgements, another split than ``test``, or they cannot be downloaded.
        """
        source = self._part("qrels", split)
        rows = [(qrel.query_id, qrel.doc_id, qrel.relevance) for qrel in _fetch(self.identifier, source.qrels_iter)]
        frame = pd.DataFrame(rows, columns=["qid", "docno", "label"])
        return qrels_frame(clean_qrels(frame, f"the judgements of {self.name}", error=DatasetError).itertuples(index=False))

    def answers(self, split: str = "test") -> pd.DataFrame:
        """Frame of ``qid`` (str), ``query`` (str) and ``answers`` (list of str).

        Raises:
            DatasetNotFoundError: queries without answers, another split than ``test``, or they cannot be downloaded.
        """
        source = self._part("queries", split)
        if "answers" not in source.queries_cls()._fields:
            raise DatasetNotFoundError(f"{self.name} has no answers")
        queries = _fetch(self.identifier, source.queries_iter)
        frame = pd.DataFrame(
            [(query.query_id, _text(query), list(query.answers)) for query in queries], columns=["qid", "query", "answers"]
        )
        return answers_frame(clean_queries(frame, f"the questions of {self.name}", error=DatasetError).itertuples(index=False))

    def has_candidates(self) -> bool:
        """Whether there is a run of candidates to rerank."""
        return bool(self._source.has_scoreddocs())

    def candidates(self) -> pd.DataFrame:
        """Frame of ``qid`` (str), ``docno`` (str) and ``score`` (float64).

        Raises:
            DatasetNotFoundError: there are none, or they cannot be downloaded.
        """
        source = self._part("scoreddocs", "test")
        rows = [(found.query_id, found.doc_id, found.score) for found in _fetch(self.identifier, source.scoreddocs_iter)]
        frame = pd.DataFrame(rows, columns=["qid", "docno", "score"])
        frame = clean_ids(frame, ("qid", "docno"), f"the candidates of {self.name}", error=DatasetError)
        return frame.astype({"qid": str, "docno": str, "score": float})

    @property
    def _source(self) -> Any:
        return find_ir_dataset(self.identifier)

    def _part(self, part: str, split: str) -> Any:
        source = self._source
        if split != "test":
            raise DatasetNotFoundError(
                f"{self.name} has no split {split!r}: an ir_datasets id is one split, 'test'; other splits have ids of their own"
            )
        if not source.has(part):
            raise DatasetNotFoundError(f"{self.name} has no {part}")
        return source


def _documents(identifier: str) -> Iterator[Document | Unusable]:
    source = find_ir_dataset(identifier)
    assert source is not None
    ids = Ids(identifier)
    for place, record in enumerate(_fetch(identifier, source.docs_iter), start=1):
        document = {"docno": record.doc_id}
        if {"text", "body"} & set(record._fields):
            document.update((field, getattr(record, field)) for field in ("title", "url") if getattr(record, field, None))
        document["text"] = _text(record)
        yield check_document(document, f"{identifier}, document {place}", ids)
    ids.report()


def _text(record: Any) -> str:
    """The text of a document or query: its text field, else the catalogue's default text, else all strings except ids."""
    for field in ("text", "body"):
        if field in record._fields:
            return getattr(record, field) or ""
    if hasattr(record, "default_text"):
        return str(record.default_text())
    return " ".join(value for field, value in record._asdict().items() if isinstance(value, str) and not field.endswith("_id"))


def _fetch(identifier: str, source: Callable[[], Iterable[T]]) -> Iterator[T]:
    """The records of a source; errors say what was wanted and where to put it."""
    records: Iterator[T] | None = None
    log = _Log()
    while True:
        pulled: list[T] = []
        failed: Exception | None = None
        with log:  # for many records at once: to enter takes time
            try:
                records = iter(source()) if records is None else records
                for record in islice(records, _PULLED):
                    pulled.append(record)  # what came before a failure is kept
            except Exception as error:
                failed = error
        yield from pulled
        if failed is not None:
            raise DatasetNotFoundError(_advice(identifier, failed, log.messages)) from failed
        if len(pulled) < _PULLED:
            return


def _advice(identifier: str, error: Exception, messages: list[str]) -> str:
    import ir_datasets

    home = ir_datasets.util.home_path()
    said = [message for message in dict.fromkeys(messages) if not message.startswith(("download error", "Download failed"))]
    return " ".join(
        [
            f"ir_datasets cannot provide {identifier!r}: {_reason(error)}.",
            *said,
            f"Fetch it on a machine with a network and copy that machine's {home} ($IR_DATASETS_HOME) here,",
            "or give a collection directory (corpus.jsonl, queries.tsv, qrels.txt) in its place.",
        ]
    )


def _reason(error: Exception) -> str:
    """The cause of an error, without the layers of exceptions around a failed download."""
    unreachable = re.search(r"(?:https?://|host=.?')([^/'\\\s]+).*(Failed to resolve|Max retries exceeded)", str(error), re.DOTALL)
    if unreachable:
        return f"{unreachable[1]} cannot be reached"
    return f"{type(error).__name__}: {str(error)[:500]}"


class _Log(logging.Handler):
    """While entered, sends the log of ``ir_datasets`` to this package's own log and into ``messages``, not to the terminal."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []
        self._handlers: list[logging.Handler] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())
        logger.info("ir_datasets: %s", record.getMessage())

    def __enter__(self) -> None:
        import ir_datasets

        log = ir_datasets.log.easy().logger()
        self._handlers, log.handlers = log.handlers, [self]

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        import ir_datasets

        ir_datasets.log.easy().logger().handlers = self._handlers


def _open(name: str) -> IrDataset | None:
    identifier = ALIASES.get(name, name)
    return None if find_ir_dataset(identifier) is None else IrDataset(identifier, name)


def _catalogue() -> Iterable[str]:
    import ir_datasets

    names: Iterable[str] = ir_datasets.registry
    return names


SOURCE = Source(order=3, open=_open, names=lambda: ALIASES, more=_catalogue)
