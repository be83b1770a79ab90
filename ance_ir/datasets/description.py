"""What a dataset holds: counts, an example, and what looks odd."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from tqdm.auto import tqdm

from ance_ir.datasets.dataset import Dataset
from ance_ir.datasets.file_dataset import FileDataset
from ance_ir.datasets.screening import EMPTY, Document, Unusable
from ance_ir.datasets.store.docnos import hash_text
from ance_ir.errors import DatasetError, DatasetNotFoundError
from ance_ir.notices import examples


@dataclass(frozen=True, kw_only=True)
class CorpusCounts:
    """What reading a corpus once shows.

    Attributes:
        documents: how many there are that can be used.
        words: in all texts, split at white space.
        titles: how many have a title.
        first: the first document, if there is one.
        unusable: by what is wrong with them, how many and the first error.
        hashes: of the docnos, sorted, ``[documents]`` uint64.
    """

    documents: int
    words: int
    titles: int
    first: Document | None
    unusable: dict[str, tuple[int, str]]
    hashes: npt.NDArray[np.uint64]


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a dataset holds.

    Attributes:
        dataset: what is described.
        corpus: what reading the documents showed; ``None`` if they were not read.
        splits: a row for each: ``split``, ``queries``, ``judgements``, ``relevant``, ``answers``, ``negatives``, ``candidates``;
            missing parts are ``NA``.
        query: an example.
        odd: what looks wrong, a sentence each.
    """

    dataset: Dataset
    corpus: CorpusCounts | None
    splits: pd.DataFrame
    query: str
    odd: tuple[str, ...]


def describe(dataset: Dataset, *, verbose: bool = False) -> Description:
    """Read a dataset once and say what it holds. Of ``ir_datasets`` nothing is read, for it may have to be downloaded: the counts
    are the catalogue's.

    Args:
        dataset: what to describe.
        verbose: show progress.

    Raises:
        MalformedFileError: queries or judgements cannot be read; documents that cannot are counted.
        DatasetError: there are no documents, or none can be read.
    """
    corpus = count_documents(dataset, verbose) if isinstance(dataset, FileDataset) else None
    if corpus is not None and not corpus.documents:
        raise DatasetError("; ".join([f"{dataset.source} holds no documents", *_odd_documents(corpus)]))
    rows, odd, query = [], list(_odd_documents(corpus)) if corpus else [], ""
    for split in dataset.splits:
        if (counts := dataset.catalogued(split)) is not None:
            rows.append({"split": split, **counts})
            continue
        queries = dataset.queries(split)
        query = query or next(iter(queries["query"]), "")
        row: dict[str, object] = {"split": split, "queries": len(queries)}
        odd += _odd_queries(split, queries)
        try:
            qrels = dataset.qrels(split)
        except DatasetNotFoundError:
            pass
        else:
            row |= {"judgements": len(qrels), "relevant": int((qrels["label"] > 0).sum())}
            odd += _odd_judgements(split, queries, qrels, corpus)
            row |= _negatives(dataset, split)
        with contextlib.suppress(DatasetNotFoundError):
            row["answers"] = int(dataset.answers(split)["answers"].map(len).sum())
        rows.append(row)
    table = pd.DataFrame(rows, columns=["split", "queries", "judgements", "relevant", "negatives", "candidates", "scores", "answers"])
    counted = table.columns[1:]
    table[counted] = table[counted].astype("Int64")
    return Description(dataset=dataset, corpus=corpus, splits=table.dropna(axis=1, how="all"), query=query, odd=tuple(odd))


def count_documents(dataset: Dataset, verbose: bool = False) -> CorpusCounts:
    """Read the documents once. Memory: 8 bytes a document.

    Args:
        dataset: whose they are.
        verbose: show progress.
    """
    hashes, words, titles = bytearray(), 0, 0
    first: Document | None = None
    kinds: Counter[str] = Counter()
    errors: dict[str, str] = {}
    stream = dataset.documents()
    for entry in tqdm(stream.entries(), total=stream.count, desc="reading", unit=" documents", disable=not verbose, leave=False):
        if isinstance(entry, Unusable):
            kinds[entry.kind] += 1
            errors.setdefault(entry.kind, str(entry.error))
            continue
        first = first or entry
        words += len(entry["text"].split())
        titles += bool(entry.get("title"))
        hashes += hash_text(entry["docno"]).to_bytes(8, "little")
        if not entry["text"].strip() and not entry.get("title", "").strip():
            kinds[EMPTY] += 1
            errors.setdefault(EMPTY, repr(entry["docno"]))
    sorted_N = np.sort(np.frombuffer(hashes, dtype=np.uint64))
    unusable = {kind: (count, errors[kind]) for kind, count in kinds.items()}
    return CorpusCounts(documents=len(sorted_N), words=words, titles=titles, first=first, unusable=unusable, hashes=sorted_N)


def _odd_documents(corpus: CorpusCounts) -> Iterator[str]:
    for kind, (count, error) in corpus.unusable.items():
        yield f"{count:,} documents: {kind}; first: {error}"
    repeated = int((corpus.hashes[1:] == corpus.hashes[:-1]).sum())
    if repeated:
        yield f"{repeated:,} documents have a docno that an earlier one has"
    if corpus.documents and corpus.titles and corpus.titles < corpus.documents:
        yield f"{corpus.documents - corpus.titles:,} documents have no title, the others do"


def _odd_queries(split: str, queries: pd.DataFrame) -> Iterator[str]:
    if not len(queries):
        yield f"{split}: there are no queries"
        return
    texts = queries["query"].str.strip()
    if blank := int((texts == "").sum()):
        yield f"{split}: {blank:,} queries are empty"
    if repeated := int(texts[texts != ""].duplicated().sum()):
        yield f"{split}: {repeated:,} queries have the text of an earlier one"


def _odd_judgements(split: str, queries: pd.DataFrame, qrels: pd.DataFrame, corpus: CorpusCounts | None) -> Iterator[str]:
    relevant = qrels[qrels["label"] > 0]
    unjudged = queries["qid"][~queries["qid"].isin(relevant["qid"])]
    if len(unjudged):
        yield f"{split}: {len(unjudged):,} queries have no relevant document ({examples(unjudged)})"
    unasked = qrels["qid"][~qrels["qid"].isin(queries["qid"])].unique()
    if len(unasked):
        yield f"{split}: {len(unasked):,} judged queries are not among the queries ({examples(unasked)})"
    if corpus is not None and len(relevant):
        docnos = relevant["docno"].unique()
        hashes = np.array([hash_text(docno) for docno in docnos], dtype=np.uint64)
        places = np.minimum(np.searchsorted(corpus.hashes, hashes), max(0, len(corpus.hashes) - 1))
        missing = docnos if not len(corpus.hashes) else docnos[corpus.hashes[places] != hashes]
        if len(missing):
            yield f"{split}: {len(missing):,} of {len(docnos):,} relevant documents are not in the corpus ({examples(missing)})"


def _negatives(dataset: Dataset, split: str) -> dict[str, object]:
    """How many negatives and scores come with the data; nothing where there are none."""
    counts: Counter[str] = Counter()
    for instance in dataset.instances(split):
        counts["negatives"] += len(instance.negatives)
        counts["scores"] += len(instance.positive_scores) + len(instance.negative_scores)
    return {name: count for name, count in counts.items() if count}
