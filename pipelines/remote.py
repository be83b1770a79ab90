"""Systems of another machine, which ``ance-ir serve`` serves there, as PyTerrier transformers (docs/serve.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np
import pandas as pd
import pyterrier as pt

from ance_ir.datasets.loader import FIELDS
from ance_ir.errors import UsageError
from ance_ir.models.text.settings import given_texts
from ance_ir.pipelines.server import RemoteError, as_json, ask_server, read_url
from ance_ir.ragged import owners_of, places_of
from ance_ir.ranking import check_queries, finite_scores, no_results, rank_results
from ance_ir.settings import flag, integer, number, text
from ance_ir.transformers import Configured, Retrieving, labelled

T = TypeVar("T")

_DOCUMENTS = 100
"""Documents of a request to score them, at most."""
_BYTES = 1 << 20
"""Of their JSON; more only where one document alone has more. A server takes 4 MiB."""


def _read_name(value: str) -> str:
    if not value.strip():
        raise UsageError("and no name of a system")
    return value


class _OverServer(Configured, pt.Transformer):
    """Base of transformers over a system of a server."""

    url = text(read_url)
    system = text(_read_name)
    batch_size = integer(1)
    timeout = number(0.001)
    retries = integer(0)
    verbose = flag()
    fingerprint: ClassVar[None] = None
    """What a server answers tomorrow is not known."""

    def __init__(self, url: str, system: str, *, batch_size: int, timeout: float, retries: int, verbose: bool) -> None:
        self.url = url
        self.system = system
        self.batch_size = batch_size
        self.timeout = timeout
        self.retries = retries
        self.verbose = verbose

    def _ask(self, action: str, questions: Sequence[dict[str, Any]], read: Callable[[Any], T]) -> Iterator[T]:
        how: Any = {"at_once": self.batch_size, "timeout": self.timeout, "retries": self.retries, "verbose": self.verbose}
        return ask_server((self.url, self.system, action), questions, read, **how)


class Remote(Retrieving, _OverServer):
    """Retrieves with a system of a server; its models and indexes stay there.

    ``Remote("http://gpu:8080", "dense")`` in Python, ``http://gpu:8080/dense`` in the text of a system. The token of a server that asks for
    one is read from ``$ANCE_IR_TOKEN``.

    Args:
        url: the server's address.
        system: the name of a system there.
        num_results: documents a query.
        batch_size: queries that are asked at a time; the server encodes them together.
        timeout: seconds without an answer after which a request has failed.
        retries: of a request that failed, or was put off by the server; with 6, a server may be away for half a minute.
        verbose: show progress.

    Raises:
        UsageError: it is no address of a server.
    """

    schematic = labelled("Remote")

    def __init__(
        self,
        url: str,
        system: str,
        num_results: int = 1000,
        *,
        batch_size: int = 32,
        timeout: float = 60,
        retries: int = 6,
        verbose: bool = False,
    ) -> None:
        self.num_results = num_results
        super().__init__(url, system, batch_size=batch_size, timeout=timeout, retries=retries, verbose=verbose)

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """Search; the result has every column of the queries, ``docno``, ``score`` and ``rank``. Equal queries are asked once.

        Raises:
            UsageError: a query that is no string.
            RemoteError: the server is not reached, or refuses.
        """
        pt.validate.query_frame(inp, extra_columns=["query"], context=self)
        queries = inp.drop(columns=["score", "rank"], errors="ignore")
        if inp.empty:
            return no_results(queries)
        check_queries(inp)
        asked = list(dict.fromkeys(inp["query"]))
        questions = [{"query": query, "k": self.num_results, "snippets": False} for query in asked]
        answers = dict(zip(asked, self._ask("search", questions, _read_results), strict=True))
        found = [answers[query] for query in inp["query"]]
        counts = np.array([len(docnos) for docnos, _ in found])
        results = queries.iloc[owners_of(counts)].reset_index(drop=True)
        results = results.assign(
            docno=pd.Series([docno for docnos, _ in found for docno in docnos], dtype=str),
            score=np.array([score for _, scores in found for score in scores], dtype=np.float64),
            rank=places_of(counts),
        )
        finite_scores(results)
        return results


class RemoteScorer(_OverServer):
    """Re-ranks documents with a system of a server: a reranker, or a dense index.

    The frame's ``title``, ``url`` and ``text`` are sent with the docnos where it has them, so that the server can score documents that it
    does not hold. Each document is scored by itself.

    Args:
        url: the server's address.
        system: the name of a system there.
        batch_size: requests that are on their way at a time.
        timeout: seconds without an answer after which a request has failed.
        retries: of a request that failed; see ``Remote``.
        verbose: show progress.

    Raises:
        UsageError: it is no address of a server.
    """

    schematic = labelled("Remote scorer")

    def __init__(
        self, url: str, system: str, *, batch_size: int = 32, timeout: float = 60, retries: int = 6, verbose: bool = False
    ) -> None:
        super().__init__(url, system, batch_size=batch_size, timeout=timeout, retries=retries, verbose=verbose)

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """Score and rank; every other column is kept.

        Raises:
            UsageError: a query or a text that is no string.
            RemoteError: the server is not reached, cannot score a document, or refuses.
        """
        pt.validate.result_frame(inp, extra_columns=["query"], context=self)
        if inp.empty:
            return inp.assign(score=pd.Series(dtype=float), rank=pd.Series(dtype=int))
        check_queries(inp)
        sent = pd.DataFrame({"docno": inp["docno"].astype(str)})
        rows = sent.assign(**{name: given_texts(inp, name) for name in FIELDS if name in inp.columns}).to_dict("records")
        groups = inp.groupby(["qid", "query"], sort=False).indices.values()
        batches = [batch for places in groups for batch in _split(list(places), rows)]
        questions = [{"query": inp["query"].iloc[places[0]], "documents": [rows[place] for place in places]} for places in batches]
        scores = np.empty(len(inp), dtype=np.float64)
        for places, found in zip(batches, self._ask("rerank", questions, _read_scores), strict=True):
            if len(found) != len(places):
                raise RemoteError(f"{self.url}: {len(places)} scores of {self.system} were expected, found {len(found)}")
            scores[places] = found
        return rank_results(inp.assign(score=scores))


def _split(places: Sequence[int], rows: Sequence[dict[Any, Any]]) -> Iterator[list[int]]:
    """Rows in order, as many together as a request takes."""
    batch: list[int] = []
    size = 0
    for place in places:
        length = len(as_json(rows[place]))
        if batch and (len(batch) == _DOCUMENTS or size + length > _BYTES):
            yield batch
            batch, size = [], 0
        batch.append(place)
        size += length
    yield batch


def _read_results(answer: Any) -> tuple[list[str], list[float]]:
    results = answer["results"]
    return [str(one["docno"]) for one in results], [float(one["score"]) for one in results]


def _read_scores(answer: Any) -> list[float]:
    return [*map(float, answer["scores"])]
