"""A corpus that another tool holds in memory, as a dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any

import pandas as pd

from ance_ir.datasets import Dataset, Document, Documents
from ance_ir.datasets.screening import Unusable
from ance_ir.digests import digest_bytes
from ance_ir.errors import DatasetNotFoundError, UsageError
from ance_ir.eval.searching import search_on_dataset


class HeldCorpus(Dataset):
    """Documents of another tool, which keeps the queries and judgements to itself. Their hash is that of their contents, so that what was
    built for them is used again.

    Args:
        name: by which the dataset's kind is known, such as ``"beir/scifact"``.
        read: the documents, each time from the start.
    """

    def __init__(self, name: str, read: Callable[[], Iterable[Document]]) -> None:
        self.name = name
        self._read = read

    @property
    def fingerprint(self) -> str:
        """That of the documents."""
        return self.corpus_fingerprint

    @cached_property
    def corpus_fingerprint(self) -> str:
        """Hash of all documents."""
        return digest_bytes("\0".join(f"{key}\0{value}" for key, value in sorted(one.items())).encode() + b"\1" for one in self._read())

    @property
    def splits(self) -> tuple[str, ...]:
        """There are none."""
        return ()

    def documents(self) -> Documents:
        """The documents."""
        return Documents(self._stream)

    def _stream(self) -> Iterator[Document | Unusable]:
        yield from self._read()

    def queries(self, split: str = "test") -> pd.DataFrame:
        """There are none, so it raises ``DatasetNotFoundError``."""
        raise DatasetNotFoundError(f"{self.name} is a corpus that another tool holds, with the queries, judgements and answers")

    def qrels(self, split: str = "test") -> pd.DataFrame:
        """See ``queries``."""
        return self.queries(split)

    def answers(self, split: str = "test") -> pd.DataFrame:
        """See ``queries``."""
        return self.queries(split)


def search_held(
    corpus: HeldCorpus | None, system: str, queries: dict[str, str], num_results: int, **options: Any
) -> dict[str, dict[str, float]]:
    """The scores of a system's results, by qid and docno.

    Raises:
        UsageError: there is no corpus yet.
    """
    if corpus is None:
        raise UsageError("index a corpus before searching it")
    frame = pd.DataFrame({"qid": list(queries), "query": list(queries.values())})
    run = search_on_dataset(corpus, system, frame, num_results=num_results, **options).run
    found: dict[str, dict[str, float]] = {qid: {} for qid in queries}
    for qid, docno, score in zip(run["qid"], run["docno"], run["score"], strict=True):
        found[qid][docno] = float(score)
    return found
