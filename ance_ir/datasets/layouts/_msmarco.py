"""The queries, judgements and runs of MS MARCO's and TREC Deep Learning's downloads, as Microsoft and NIST name the files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ance_ir.datasets.file_dataset import Parts
from ance_ir.datasets.layouts._files import file_of_split, of_splits
from ance_ir.datasets.parsing import read_qrels, read_queries
from ance_ir.datasets.screening import Document, Unusable

_TREC_QUERIES = r"msmarco-test(?P<year>20\d\d)-queries\.tsv"


@dataclass(frozen=True, kw_only=True)
class Names:
    """Patterns of the names of files, each with a group ``split`` or ``year``.

    Attributes:
        queries: lines of qid, tab, text; those of TREC's tracks of 2019 and 2020 are called alike everywhere.
        qrels: TREC's four columns.
        runs: TREC's six columns.
    """

    queries: tuple[str, ...]
    qrels: tuple[str, ...]
    runs: tuple[str, ...] = ()


def find_parts(folder: Path, names: Names, corpus: Sequence[Path], documents: Callable[[], Iterator[Document | Unusable]]) -> Parts:
    """The parts in a folder.

    Args:
        folder: where queries and judgements are.
        names: of their files.
        corpus: the files of the documents.
        documents: reads them.

    Raises:
        DatasetError: two files are of the same split.
    """
    asked = (*names.queries, _TREC_QUERIES)
    queries = of_splits(folder, *asked)
    qrels = of_splits(folder, *names.qrels)
    runs = of_splits(folder, *names.runs)
    return Parts(
        corpus=corpus,
        documents=documents,
        queries={split: partial(read_queries, path) for split, path in queries.items()},
        qrels={split: partial(read_qrels, path) for split, path in qrels.items()},
        files=[*queries.values(), *qrels.values()],
        runs={("top100", split): path for split, path in runs.items()},
        sought={"queries": partial(file_of_split, patterns=asked), "qrels": partial(file_of_split, patterns=names.qrels)},
    )
