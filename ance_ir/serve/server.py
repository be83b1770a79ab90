"""What a server does, whatever protocol it is asked in: every method that takes long is a coroutine, and its answer goes out as JSON."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from itertools import zip_longest

from ance_ir.datasets import Dataset
from ance_ir.serve.batching import Worker
from ance_ir.serve.limits import Limits
from ance_ir.serve.refusals import Refusal
from ance_ir.serve.replies import BareResult, DocumentReply, Found, Result, SystemsReply
from ance_ir.serve.searching import Hits, Query, Searcher
from ance_ir.serve.snippets import snippet
from ance_ir.serve.systems import Served, groups


class Server:
    """Systems over one collection.

    Args:
        dataset: the collection.
        systems: over it, one at least.
        limits: of what it takes on.
    """

    def __init__(self, dataset: Dataset, systems: Sequence[Served], limits: Limits | None = None) -> None:
        self.dataset = dataset
        self.limits = limits or Limits()
        self.systems = {system.name: system for system in systems}
        self._store = systems[0].store
        self._searchers = {system.name: Searcher(system) for system in systems}
        self._workers: dict[str, Worker] = {}
        for group in groups(systems):
            worker = Worker(self.limits, ", ".join(system.name for system in group))
            self._workers |= {system.name: worker for system in group}

    def close(self) -> None:
        """Answer what waits, and end."""
        for worker in set(self._workers.values()):
            worker.close()

    def system(self, name: str) -> Served:
        """A system by its name.

        Raises:
            Refusal: there is none.
        """
        if name not in self.systems:
            raise Refusal(404, f"there is no system {name!r}; there are {', '.join(self.systems)}")
        return self.systems[name]

    def described(self) -> SystemsReply:
        """The collection and its systems."""
        systems = self.systems.values()
        return {
            "dataset": self.dataset.name,
            "documents": len(self._store),
            "systems": [{"name": one.name, "text": one.text, "offers": one.offers, "ready": True} for one in systems],
        }

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
        numbers = self._store.numbers(hits.docnos)
        rows = zip_longest(_bare(asked, hits), numbers, hits.passages)
        for bare, number, passage in rows:
            document = self._store[int(number)] if number >= 0 else None
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

    def document(self, name: str, docno: str) -> DocumentReply:
        """A document of a system's index.

        Raises:
            Refusal: there is no such system, or its index does not hold the document.
        """
        system = self.system(name)
        number = int(self._store.numbers([docno])[0]) if system.holds(docno) else -1
        if number < 0:
            raise Refusal(404, f"{name} holds no document {docno!r}")
        document = self._store[number]
        return {"docno": docno, "title": document.get("title"), "text": document["text"], "passages": []}


def _bare(asked: Query, hits: Hits) -> list[BareResult]:
    pairs = enumerate(zip(hits.docnos, hits.scores, strict=True), start=asked.offset)
    return [{"docno": docno, "rank": rank, "score": score} for rank, (docno, score) in pairs]
