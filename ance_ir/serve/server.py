"""What a server does, whatever protocol it is asked in: every method that takes long is a coroutine, and its answer goes out as JSON."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest

import numpy as np

from ance_ir import registries
from ance_ir.datasets import Dataset, Document
from ance_ir.errors import UsageError
from ance_ir.models import DenseEncoder
from ance_ir.serve.batching import Worker
from ance_ir.serve.limits import Limits
from ance_ir.serve.metrics import Metrics
from ance_ir.serve.pending import Pending
from ance_ir.serve.refusals import Refusal
from ance_ir.serve.replies import BareResult, DocumentReply, Found, Result, SystemReply, SystemsReply
from ance_ir.serve.searching import Hits, Query, Searcher
from ance_ir.serve.snippets import snippet
from ance_ir.serve.systems import Served, groups
from ance_ir.serve.topics import Topics
from ance_ir.serve.vectors import Candidates, Computing, Near, as_candidate


class Server:
    """Systems over one collection.

    Args:
        dataset: the collection.
        systems: over it, one at least.
        limits: of what it takes on.

    Attributes:
        dataset: the collection.
        limits: of what it takes on.
        metrics: what it counts.
        systems: those that are ready, by name.
        pending: those that are being built, by name; ``join`` takes them out.
    """

    def __init__(self, dataset: Dataset, systems: Sequence[Served], limits: Limits | None = None) -> None:
        self.dataset = dataset
        self.limits = limits or Limits()
        self.metrics = Metrics()
        self.topics = Topics(dataset)
        self.systems: dict[str, Served] = {}
        self.pending: dict[str, Pending] = {}
        self._store = systems[0].store
        self._searchers: dict[str, Searcher] = {}
        self._computing: dict[str, Computing] = {}
        self._workers: dict[str, Worker] = {}
        for group in groups(systems):
            worker = Worker(self.limits, ", ".join(system.name for system in group), self.metrics)
            for system in group:
                self._add(system, worker)

    def join(self, system: Served) -> None:
        """Serve one system more, ready from now on.

        Raises:
            UsageError: it shares models with systems that share none among themselves; these are opened together.
        """
        together = next(group for group in groups([*self.systems.values(), system]) if system in group)
        workers = {self._workers[one.name] for one in together if one is not system}
        if len(workers) > 1:
            raise UsageError(f"{system.name} shares models with several systems; open it together with them")
        self._add(system, workers.pop() if workers else Worker(self.limits, system.name, self.metrics))
        self.pending.pop(system.name, None)

    def _add(self, system: Served, worker: Worker) -> None:
        self._searchers[system.name] = Searcher(system)
        self._computing[system.name] = Computing(system)
        self._workers[system.name] = worker
        self.systems[system.name] = system

    def expect(self, pending: Pending) -> None:
        """Begin to open one more system; it joins when it is ready."""
        self.pending[pending.name] = pending
        pending.start(self.join)

    def close(self) -> None:
        """Answer what waits, and end."""
        for pending in [*self.pending.values()]:
            pending.stop()
        for worker in set(self._workers.values()):
            worker.close()

    def between(self, name: str, act: Callable[[], None]) -> None:
        """Call a function while nothing is computed with a system."""
        self._workers[name].between(act)

    def system(self, name: str) -> Served:
        """A system by its name.

        Raises:
            Refusal: there is none, or it is not ready.
        """
        if (pending := self.pending.get(name)) is not None:
            if pending.error:
                raise Refusal(409, f"{name} will not be ready: {pending.error}")
            raise Refusal(503, f"{name} is not ready: {pending.state}", retry_after=5)
        if name not in self.systems:
            raise Refusal(404, f"there is no system {name!r}; there are {', '.join(self.systems)}")
        return self.systems[name]

    def check_ready(self) -> None:
        """Refuse as long as a system is being opened, or cannot be.

        Raises:
            Refusal: says which ones, and how far they are.
        """
        if waited := [f"{one.name}: {one.state}" for one in [*self.pending.values()]]:
            raise Refusal(503, f"not all systems are ready; {'; '.join(waited)}", retry_after=5)

    def described(self) -> SystemsReply:
        """The collection and its systems."""
        ready: list[SystemReply] = [
            {"name": one.name, "text": one.text, "offers": one.offers, "ready": True} for one in [*self.systems.values()]
        ]
        pending = [one.described() for one in [*self.pending.values()] if one.name not in self.systems]
        return {"dataset": self.dataset.name, "documents": len(self._store), "systems": [*ready, *pending]}

    async def search(self, name: str, query: str, k: int = 10, offset: int = 0, *, snippets: bool = True) -> Found:
        """Search.

        Args:
            name: of the system.
            query: what for.
            k: documents, at most.
            offset: documents before the first that is shown.
            snippets: show titles, snippets and passages too.

        Raises:
            Refusal: there is no such system, or it is too busy.
        """
        started = time.perf_counter()
        self.system(name)
        asked = Query(text=query, offset=offset, k=k, passages=snippets)
        hits = await self._workers[name].ask(self._searchers[name].to(offset + k), asked)
        return await self._found(name, asked, hits, started)

    async def _found(self, name: str, asked: Query, hits: Hits, started: float) -> Found:
        results = await asyncio.to_thread(self._results, asked, hits) if asked.passages else _bare(asked, hits)
        return {
            "system": name,
            "query": asked.text,
            "k": asked.k,
            "offset": asked.offset,
            "results": results,
            "milliseconds": {
                "total": 1000 * (time.perf_counter() - started),
                "stages": [{"name": stage, "milliseconds": milliseconds} for stage, milliseconds in hits.stages],
            },
        }

    def _results(self, asked: Query, hits: Hits) -> list[Result]:
        results: list[Result] = []
        for bare, document, passage in zip_longest(_bare(asked, hits), self.texts(hits.docnos), hits.passages):
            place = (passage["start"], passage["end"]) if passage is not None else (0, None)
            results.append(
                {
                    **bare,
                    "title": document.get("title") if document is not None else None,
                    "snippet": snippet(document["text"], asked.text, *place) if document is not None else "",
                    "passage": passage,
                }
            )
        return results

    async def document(self, name: str, docno: str, query: str | None = None) -> DocumentReply:
        """A document of a system's index.

        Args:
            name: of the system.
            docno: of the document.
            query: for which its passages are scored.

        Raises:
            Refusal: there is no such system, or its index does not hold the document.
        """
        system = self.system(name)
        document = (await asyncio.to_thread(self.documents, name, [docno]))[0]
        passages = [] if system.dense is None else await self._workers[name].ask(self._computing[name].passages, (docno, query))
        return {"docno": docno, "title": document.get("title"), "text": document["text"], "passages": passages}

    async def near(self, name: str, docnos: Sequence[str], query: str = "", method: str = "", k: int = 10, offset: int = 0) -> Found:
        """Documents whose vectors are near to those of others, or to a query's after feedback from others.

        Args:
            name: of the system.
            docnos: the others.
            query: the query, where there is one.
            method: one of ``FEEDBACKS``; empty without a query.
            k: documents, at most.
            offset: documents before the first that is shown.

        Raises:
            Refusal: there is no such system, it has no vectors, or none of one of the documents.
            UsageError: there is no such method.
        """
        started = time.perf_counter()
        self.system(name)
        computing = self._computing[name]
        await asyncio.to_thread(computing.check_vectors, docnos)
        asked = Query(text=query, offset=offset, k=k, passages=True)
        near = Near(query=asked, docnos=docnos, method=registries.FEEDBACKS.check(method) if method else "")
        return await self._found(name, asked, await self._workers[name].ask(computing.near(offset + k), near), started)

    async def encode(self, name: str, texts: Sequence[str], *, queries: bool) -> np.ndarray:
        """Vectors of texts by a system's model, float32 ``[len(texts), D]``.

        Args:
            name: of the system.
            texts: one or more.
            queries: read them as queries, otherwise as passages.

        Raises:
            Refusal: there is no such system, or it has no vectors.
        """
        self.system(name)
        computing = self._computing[name]
        _ = computing.dense
        run = computing.encode_queries if queries else computing.encode_passages
        return await self._workers[name].ask(run, list(texts))

    def model(self, name: str) -> DenseEncoder:
        """The model of a system's vectors.

        Raises:
            Refusal: there is no such system, or it has no vectors.
        """
        self.system(name)
        return self._computing[name].dense.model

    def first(self, offer: str) -> str:
        """The first system that offers something.

        Raises:
            Refusal: none does.
        """
        for system in [*self.systems.values()]:
            if offer in system.offers:
                return system.name
        raise Refusal(409, f"no system here offers {offer}")

    async def rerank(self, name: str, query: str, documents: Sequence[Mapping[str, str]]) -> list[float]:
        """Scores of documents for a query, in the order of the documents: by the system's reranker, or else its vectors.

        Args:
            name: of the system.
            query: for what.
            documents: each with ``text``, ``title``, ``url`` and ``docno``, as far as it has them; one of the collection, its docno.

        Raises:
            Refusal: there is no such system, it scores no documents, or its index lacks one that comes without text.
        """
        system = self.system(name)
        if system.reranker is None:
            raise Refusal(409, f"{name} has nothing that scores documents: it is {system.text}")
        lacking = iter(await asyncio.to_thread(self.documents, name, [one["docno"] for one in documents if "text" not in one]))
        complete = [one if "text" in one else as_candidate(next(lacking)) for one in documents]
        return await self._workers[name].ask(self._computing[name].rerank, Candidates(query=query, documents=complete), alone=True)

    def texts(self, docnos: Sequence[str]) -> list[Document | None]:
        """Documents of the collection; ``None`` in the place of those that it does not hold."""
        return [self._store[int(number)] if number >= 0 else None for number in self._store.numbers(docnos)]

    def documents(self, name: str, docnos: Sequence[str]) -> list[Document]:
        """Documents of a system's index.

        Raises:
            Refusal: there is no such system, or its index, or the collection, lacks one.
        """
        system = self.system(name)
        numbers = [int(number) for number in self._store.numbers(docnos)]
        for docno, number in zip(docnos, numbers, strict=True):
            if not system.holds(docno):
                raise Refusal(404, f"{system.name} holds no document {docno!r}")
            if number < 0:
                raise Refusal(
                    404, f"{system.name} finds {docno!r}, and the collection {self.dataset.name} that is served has no text of it"
                )
        return [self._store[number] for number in numbers]


def _bare(asked: Query, hits: Hits) -> list[BareResult]:
    pairs = enumerate(zip(hits.docnos, hits.scores, strict=True), start=asked.offset)
    return [{"docno": docno, "rank": rank, "score": score} for rank, (docno, score) in pairs]
