"""Training sets: datasets opened for training, one or several in a run."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ance_ir.datasets import Dataset, DocumentStore
from ance_ir.datasets.store.joined import JoinedDocuments, NumberedDocuments
from ance_ir.digests import digest_of
from ance_ir.errors import TrainingError, UsageError
from ance_ir.eval.rankings import same_text
from ance_ir.notices import examples
from ance_ir.training import TrainingQueries


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingSet:
    """A split of a dataset, opened for training.

    Attributes:
        dataset: documents, queries and judgements.
        split: of the queries.
        store: the documents.
        queries: the training queries; documents have the store's numbers.
        first: the number of the store's first document among those of all training sets; sets of the same corpus share it.
    """

    dataset: Dataset
    split: str
    store: DocumentStore
    queries: TrainingQueries
    first: int = 0

    @property
    def documents(self) -> range:
        """The numbers of its corpus's documents among those of all training sets."""
        return range(self.first, self.first + len(self.store))


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingSets:
    """The training sets of a run.

    Attributes:
        sets: at least one.
        queries: those of all sets.
    """

    sets: tuple[TrainingSet, ...]
    queries: TrainingQueries

    def __iter__(self) -> Iterator[TrainingSet]:
        return iter(self.sets)

    @classmethod
    def open(
        cls, datasets: Sequence[Dataset], splits: Sequence[str], weights: Sequence[float] = (), *, verbose: bool = False
    ) -> TrainingSets:
        """Open datasets.

        Args:
            datasets: at least one; the same one may come with several splits.
            splits: one for each, or one for all.
            weights: one for each, or one for all, so that all count the same; by default in proportion to their queries.
            verbose: show progress.

        Raises:
            UsageError: not as many splits or weights as datasets, or a weight that is not above 0.
            TrainingError: a set has no query with a relevant document in its corpus.
        """
        splits = list(splits) * len(datasets) if len(splits) == 1 else splits
        weights = list(weights) * len(datasets) if len(weights) == 1 else weights
        if len(splits) != len(datasets):
            raise UsageError(f"a split for each of the {len(datasets)} training sets, or one for all, was expected, not {len(splits)}")
        stores: dict[str, tuple[DocumentStore, int]] = {}
        sets, total = [], 0
        for dataset, split in zip(datasets, splits, strict=True):
            store = dataset.store(verbose=verbose)
            if dataset.corpus_key not in stores:
                stores[dataset.corpus_key] = store, total
                total += len(store)
            store, first = stores[dataset.corpus_key]
            queries = TrainingQueries.load(dataset, store, split)
            sets.append(TrainingSet(dataset=dataset, split=split, store=store, queries=queries, first=first))
        joined = TrainingQueries.joined([one.queries for one in sets], [one.first for one in sets], weights or None)
        return cls(sets=tuple(sets), queries=joined)

    def with_queries(self, queries: Sequence[TrainingQueries]) -> TrainingSets:
        """The same sets with some of their queries.

        Args:
            queries: of each set.
        """
        weights = [one.weight for one in self.queries.sets]
        joined = TrainingQueries.joined(queries, [one.first for one in self.sets], weights or None)
        return TrainingSets(sets=tuple(replace(one, queries=own) for one, own in zip(self.sets, queries, strict=True)), queries=joined)

    def without(self, texts: Collection[str]) -> TrainingSets:
        """The same sets without the queries of some texts, each as ``same_text`` has it.

        Raises:
            TrainingError: a set has no other queries.
        """
        left = []
        for one in self.sets:
            rows = [row for row, text in enumerate(one.queries.texts) if same_text(text) not in texts]
            if not rows:
                raise TrainingError(f"{one.dataset.name}, split {one.split!r}: all of its queries are held out; none is left to train on")
            left.append(one.queries.rows(rows))
        return self.with_queries(left)

    @property
    def corpora(self) -> list[TrainingSet]:
        """The first set of each corpus, in the order of their documents' numbers."""
        firsts = {one.first: one for one in reversed(self.sets)}
        return [firsts[first] for first in sorted(firsts)]

    @property
    def store(self) -> NumberedDocuments:
        """The documents of all corpora."""
        stores = [one.store for one in self.corpora]
        return stores[0] if len(stores) == 1 else JoinedDocuments(stores)

    @property
    def starts(self) -> list[int]:
        """The number of the first query of each set among those of all."""
        return [part.queries.start for part in self.queries.parts]

    @property
    def described(self) -> dict[str, Any]:
        """For the run's manifest."""
        if len(self.sets) == 1:
            return _described(self.sets[0])
        parts = [{**_described(one), "weight": part.weight} for one, part in zip(self.sets, self.queries.sets, strict=True)]
        return {"name": " + ".join(part["name"] for part in parts), "fingerprint": digest_of(parts), "sets": parts}

    @property
    def sources(self) -> list[str]:
        """The names by which ``load_dataset`` opens the datasets on this machine."""
        return [one.dataset.source for one in self.sets]

    def check_qids(self, qids: Collection[str], name: str) -> None:
        """Refuse data that names queries by qid where two sets have the same.

        Args:
            qids: that are named.
            name: of the data.

        Raises:
            TrainingError: says which.
        """
        named, seen, twice = set(qids), set[str](), set[str]()
        for one in self.sets:
            own = named.intersection(one.queries.qids)
            twice |= own & seen
            seen |= own
        if twice:
            raise TrainingError(
                f"{name} names queries by qid, and {len(twice)} qids ({examples(sorted(twice))}) occur in two of the training sets"
            )


def _described(one: TrainingSet) -> dict[str, Any]:
    return {"name": one.dataset.name, "fingerprint": one.dataset.fingerprint, "split": one.split}


def described_sets(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a run's manifest says of each of its training sets: name, fingerprint, split and, of several, weight."""
    dataset = manifest["dataset"]
    found: list[dict[str, Any]] = dataset.get("sets") or [dataset]
    return found


def one_or_more(values: list[str]) -> str | list[str]:
    """A single value alone, several as a list: how a run's manifest names its datasets."""
    return values[0] if len(values) == 1 else values
