"""Contenders of the benchmark of mining: ours, sentence-transformers' and FlagEmbedding's, over vectors that are there."""

from __future__ import annotations

import ast
import contextlib
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ance_ir.datasets import DocumentStore, load_dataset
from ance_ir.datasets.layouts import LAYOUTS
from ance_ir.eval.bench.rounds import OURS
from ance_ir.eval.rankings import same_text
from ance_ir.indexes import AnceIndex
from ance_ir.indexes.mining.allowed import DenseRanker
from ance_ir.optional import optional
from ance_ir.training import TrainingQueries
from ance_ir.workflows.hard_negatives.blocks import Blocks
from ance_ir.workflows.hard_negatives.mine import MinedRecords
from ance_ir.workflows.hard_negatives.settings import HardNegatives

LIBRARY, FLAG = "sentence-transformers", "FlagEmbedding"
Negatives = list[tuple[str, list[str]]]
"""The text of each query, and those of its negatives."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What all contenders mine: paths, so that other processes can open it."""

    dataset: str
    split: str
    index: Path
    vectors: Path
    folder: Path
    negatives: int
    depth: int
    script: Path | None


class Work:
    """The contenders of a task."""

    def __init__(self, task: Task) -> None:
        self.task = task
        dataset = load_dataset(task.dataset)
        self.store: DocumentStore = dataset.store()
        self.queries = TrainingQueries.load(dataset, self.store, task.split)
        self.vectors = np.load(task.vectors)

    def contenders(self) -> dict[str, Callable[[], Any]]:
        """Each mines once."""
        found: dict[str, Callable[[], Any]] = {
            OURS: self._ours,
            LIBRARY: lambda: self._library(use_faiss=False),
            f"{LIBRARY}, Faiss": lambda: self._library(use_faiss=True),
        }
        return found if self.task.script is None else {**found, FLAG: self._flag}

    def read(self, name: str, product: Any) -> Negatives:
        """What a contender mined."""
        if name in (OURS, FLAG):
            rows = map(json.loads, product.read_text(encoding="utf-8").splitlines())
            return [(row["query"], row["neg"]) for row in rows]
        columns = [column for column in product.column_names if column.startswith("negative")]
        each = {row["query"]: [row[column] for column in columns] for row in product}  # several rows of positives have the same ones
        return list(each.items())

    def share_of_positives(self, mined: Negatives) -> float:
        """The share of negatives whose text is that of a positive of a query of that text."""
        known: dict[str, set[str]] = {}
        for text, positives in zip(self.queries.texts, self.queries.positives, strict=True):
            known.setdefault(text, set()).update(same_text(self.texts[number]) for number in positives)
        hits = sum(same_text(text) in known[query] for query, texts in mined for text in texts)
        return hits / max(1, sum(len(texts) for _, texts in mined))

    def _ours(self) -> Path:
        index = AnceIndex(self.task.index)
        how = HardNegatives(negatives_per_query=self.task.negatives, depth=self.task.depth)
        ranker = DenseRanker(index, _Ours(self.queries, self.vectors), self.queries)
        records = MinedRecords(
            store=self.store, queries=self.queries, ranker=ranker, how=how, blocks=Blocks(None), manifest={"system": str(index.folder)}
        )
        write = LAYOUTS["flagembedding"].write_records
        assert write is not None
        write(records, self.task.folder / "ours.jsonl")
        return self.task.folder / "ours.jsonl"

    def _library(self, *, use_faiss: bool) -> Any:
        util = optional("sentence_transformers.util", package=LIBRARY, needed_for="this benchmark", remedy=f"pip install {LIBRARY}")
        with _silenced():
            return util.mine_hard_negatives(
                self._pairs,
                self._theirs,
                corpus=self.texts,
                range_max=self.task.depth,
                num_negatives=self.task.negatives,
                sampling_strategy="random",
                output_format="n-tuple",
                use_faiss=use_faiss,
                verbose=False,
            )

    def _flag(self) -> Path:
        out = self.task.folder / "flag.jsonl"
        with _silenced():
            self._find(
                self._theirs,
                str(self._questions),
                str(out),
                candidate_pool=self.texts,
                sample_range=[0, self.task.depth],
                negative_number=self.task.negatives,
            )
        return out

    @cached_property
    def texts(self) -> list[str]:
        """The texts of the corpus as ours are written, which the others' miners hold."""
        return [f"{document['title']} {document['text']}" if document.get("title") else document["text"] for document in self.store]

    @cached_property
    def _theirs(self) -> _Theirs:
        index = AnceIndex(self.task.index)
        rows, _ = index.table.rows(index.numbers(self.store.docnos(np.arange(len(self.store))).tolist()))
        return _Theirs(self.texts, index.vectors.get(rows), self.queries.texts, self.vectors)

    @cached_property
    def _pairs(self) -> Any:
        library = optional("datasets", package="datasets", needed_for="this benchmark", remedy="pip install datasets")
        asked = zip(self.queries.texts, self.queries.positives, strict=True)
        pairs = [(text, self.texts[number]) for text, positives in asked for number in positives]
        return library.Dataset.from_dict({"query": [text for text, _ in pairs], "answer": [text for _, text in pairs]})

    @cached_property
    def _questions(self) -> Path:
        path = self.task.folder / "questions.jsonl"
        with path.open("w", encoding="utf-8") as stream:
            for text, positives in zip(self.queries.texts, self.queries.positives, strict=True):
                stream.write(json.dumps({"query": text, "pos": [self.texts[number] for number in positives]}) + "\n")
        return path

    @cached_property
    def _find(self) -> Callable[..., None]:
        """FlagEmbedding's function; what its script imports to open a model is not needed."""
        assert self.task.script is not None
        tree = ast.parse(self.task.script.read_bytes())
        tree.body = [one for one in tree.body if not (isinstance(one, ast.ImportFrom) and (one.module or "").startswith(FLAG))]
        names: dict[str, Any] = {"__name__": __name__, "FlagAutoModel": object, "AbsEmbedder": object}
        exec(compile(tree, str(self.task.script), "exec"), names)
        found: Callable[..., None] = names["find_knn_neg"]
        return found


class _Ours:
    """The vectors of queries."""

    device = torch.device("cpu")

    def __init__(self, queries: TrainingQueries, vectors: np.ndarray) -> None:
        self._rows = {text: row for row, text in enumerate(queries.texts)}
        self._vectors = vectors

    def encode_queries(self, texts: Sequence[str], /) -> np.ndarray:
        """They are there."""
        found: np.ndarray = self._vectors[[self._rows[text] for text in texts]]
        return found


class _Theirs:
    """Stands for a model of the others, by the names under which they call it; the vectors are there."""

    device = torch.device("cpu")

    def __init__(self, texts: Sequence[str], vectors: np.ndarray, queries: Sequence[str], query_vectors: np.ndarray) -> None:
        self._documents = {text: row for row, text in enumerate(texts)}
        self._vectors = vectors
        self._queries = {text: row for row, text in enumerate(queries)}
        self._query_vectors = query_vectors

    def encode_document(self, texts: Sequence[str], **_: Any) -> np.ndarray:
        """Vectors of documents, for both."""
        found: np.ndarray = self._vectors[[self._documents[text] for text in texts]]
        return found

    def encode_query(self, texts: Sequence[str], **_: Any) -> np.ndarray:
        """Vectors of queries, for both."""
        found: np.ndarray = self._query_vectors[[self._queries[text] for text in texts]]
        return found

    encode, encode_queries = encode_document, encode_query

    def get_embedding_dimension(self) -> int:
        """Of the vectors."""
        return int(self._vectors.shape[1])

    def similarity(self, one: Any, other: Any) -> torch.Tensor:
        """Inner products of all."""
        return torch.as_tensor(one) @ torch.as_tensor(other).T

    def similarity_pairwise(self, one: Any, other: Any) -> torch.Tensor:
        """Inner products of pairs."""
        return (torch.as_tensor(one) * torch.as_tensor(other)).sum(dim=1)


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield
