"""How the field evaluates the collections that the paper uses: measures, thresholds, depth, texts, BM25's settings, published figures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ance_ir.datasets import Dataset, DirectoryDataset, counts_itself
from ance_ir.errors import DatasetNotFoundError, UsageError
from ance_ir.eval.tables import NOTHING, Table

_PAPER = "Xiong et al. 2021"
_PYSERINI = "Pyserini"
_DPR = "Karpukhin et al. 2020"


@dataclass(frozen=True, kw_only=True)
class PublishedFigure:
    """A figure that others report.

    Attributes:
        system: what they call it.
        values: by measure.
        source: who says so.
    """

    system: str
    values: Mapping[str, float]
    source: str


@dataclass(frozen=True, kw_only=True)
class Suite:
    """How one collection is evaluated.

    Attributes:
        name: of the suite.
        describes: in words.
        measures: their names.
        threshold: the least label that binary measures count as relevant.
        depth: documents a query that a system is asked for.
        passages: how a dense index that a system makes of the collection cuts documents, where the system and its model's makers do
            not say, as ``parse_passages`` reads it.
        k1: of BM25, where the system does not say.
        b: of BM25, likewise.
        published: what to compare with, on the full collection.
        candidates: how many of the candidates that go with the queries are ranked again in the rerank setting; 0 where there is none.
        needs: what is downloaded, and how large it is.
        counts_itself: whether a result counts whose docno is the query's qid; not where queries are documents (ArguAna, Quora).
        judged_in_part: whether only some of the queries were judged on purpose, so that it is no news that others are left out.
    """

    name: str
    describes: str
    measures: tuple[str, ...]
    threshold: int = 1
    depth: int = 1000
    passages: str = "firstp"
    k1: float = 0.9
    b: float = 0.4
    published: tuple[PublishedFigure, ...] = ()
    candidates: int = 0
    needs: str = ""
    judged_in_part: bool = False
    counts_itself: bool = True

    def published_table(self) -> Table | None:
        """What others report, where they do."""
        if not self.published:
            return None
        measures = list(dict.fromkeys(measure for figure in self.published for measure in figure.values))
        rows = [
            [figure.system, figure.source, *(str(figure.values[measure]) if measure in figure.values else NOTHING for measure in measures)]
            for figure in self.published
        ]
        return Table(header=["published, full collection", "source", *measures], rows=rows, left=2)


def _figures(source: str, values: Mapping[str, Mapping[str, float]]) -> tuple[PublishedFigure, ...]:
    return tuple(PublishedFigure(system=system, values=of, source=source) for system, of in values.items())


def _table_1(retrieval: Mapping[str, float], rerank: Mapping[str, float]) -> tuple[PublishedFigure, ...]:
    """The paper's Table 1: nDCG@10 of full retrieval, and of ranking BM25's top 100 again."""
    ndcg = {**retrieval, **{f"{system} (rerank)": value for system, value in rerank.items()}}
    return _figures(_PAPER, {system: {"nDCG@10": value} for system, value in ndcg.items()})


_MSMARCO = "the passages of MS MARCO (1.1 GB to download, 2.9 GB unpacked)"
_DOCUMENTS = "the documents of MS MARCO (8.5 GB to download, 22 GB unpacked)"
_WIKIPEDIA = "DPR's 21 million passages of Wikipedia (4.7 GB to download, 13 GB unpacked)"
_PASSAGE_MEASURES = ("nDCG@10", "RR(rel=2)@10", "AP(rel=2)@1000", "R(rel=2)@1000", "Judged@10")
_DOCUMENT_MEASURES = ("nDCG@10", "RR@10", "AP@100", "R@100", "Judged@10")
_COVERAGE = ("Coverage@1", "Coverage@5", "Coverage@20", "Coverage@100")
_PATTERNS = tuple(measure.replace("@", "(patterns=True)@") for measure in _COVERAGE)

SUITES: Mapping[str, Suite] = {
    suite.name: suite
    for suite in (
        Suite(
            name="msmarco-passage/dev",
            describes="MS MARCO passage ranking, the 6,980 queries of the small development set",
            measures=("RR@10", "nDCG@10", "R@1000"),
            candidates=1000,
            published=(
                *_figures(
                    _PAPER,
                    {
                        "BM25": {"RR@10": 0.240, "R@1000": 0.814},
                        "DPR": {"RR@10": 0.311, "R@1000": 0.952},
                        "ANCE FirstP": {"RR@10": 0.330, "R@1000": 0.959},
                    },
                ),
                *_figures(_PYSERINI, {"BM25": {"RR@10": 0.184}, "ANCE FirstP": {"RR@10": 0.3302, "R@1000": 0.9584}}),
            ),
            needs=f"{_MSMARCO}, queries and judgements (20 MB)",
        ),
        Suite(
            name="trec-dl-2019/passage",
            describes="TREC Deep Learning 2019, passages: 43 queries, labels 0 to 3, of which 2 and 3 are relevant to binary measures",
            measures=_PASSAGE_MEASURES,
            threshold=2,
            candidates=100,
            published=(
                *_table_1({"BM25": 0.506, "DPR": 0.600, "ANCE FirstP": 0.648}, {"BERT": 0.742, "DPR": 0.653, "ANCE FirstP": 0.677}),
                *_figures(_PYSERINI, {"ANCE FirstP": {"nDCG@10": 0.6452, "AP(rel=2)@1000": 0.3710, "R(rel=2)@1000": 0.7554}}),
            ),
            judged_in_part=True,
            needs=f"{_MSMARCO}, queries and judgements (0.2 MB)",
        ),
        Suite(
            name="trec-dl-2020/passage",
            describes="TREC Deep Learning 2020, passages: 54 queries, labels 0 to 3, of which 2 and 3 are relevant to binary measures",
            measures=_PASSAGE_MEASURES,
            threshold=2,
            candidates=100,
            published=(*_figures(_PYSERINI, {"ANCE FirstP": {"nDCG@10": 0.6458, "AP(rel=2)@1000": 0.4076, "R(rel=2)@1000": 0.7764}}),),
            judged_in_part=True,
            needs=f"{_MSMARCO}, queries and judgements (0.2 MB)",
        ),
        Suite(
            name="trec-dl-2019/document",
            describes="TREC Deep Learning 2019, documents: 43 queries, labels 0 to 3, of which 1 and more are relevant to binary measures",
            measures=_DOCUMENT_MEASURES,
            depth=100,
            passages="maxp:512,4",
            candidates=100,
            published=_table_1(
                {"BM25": 0.519, "DPR": 0.557, "ANCE FirstP": 0.615, "ANCE MaxP": 0.628},
                {"BERT": 0.646, "DPR": 0.629, "ANCE FirstP": 0.641, "ANCE MaxP": 0.671},
            ),
            judged_in_part=True,
            needs=f"{_DOCUMENTS}, queries and judgements (0.3 MB)",
        ),
        Suite(
            name="trec-dl-2020/document",
            describes="TREC Deep Learning 2020, documents: 45 queries, labels 0 to 3, of which 1 and more are relevant to binary measures",
            measures=_DOCUMENT_MEASURES,
            depth=100,
            passages="maxp:512,4",
            candidates=100,
            judged_in_part=True,
            needs=f"{_DOCUMENTS}, queries and judgements (0.2 MB)",
        ),
        Suite(
            name="nq",
            describes="Natural Questions over Wikipedia, 3,610 test questions: does a passage of the first k hold an answer?",
            measures=_COVERAGE,
            depth=100,
            published=(
                *_figures(_DPR, {"DPR, single task": {"Coverage@20": 0.784, "Coverage@100": 0.854}}),
                *_figures(
                    _PAPER,
                    {
                        "ANCE, single task": {"Coverage@20": 0.819, "Coverage@100": 0.875},
                        "ANCE, multi task": {"Coverage@20": 0.821, "Coverage@100": 0.879},
                    },
                ),
            ),
            needs=f"{_WIKIPEDIA}, and the test questions (a file of 0.1 MB)",
        ),
        Suite(
            name="triviaqa",
            describes="TriviaQA over Wikipedia, 11,313 test questions: does a passage of the first k hold an answer?",
            measures=_COVERAGE,
            depth=100,
            published=(
                *_figures(_DPR, {"DPR, single task": {"Coverage@20": 0.794, "Coverage@100": 0.850}}),
                *_figures(
                    _PAPER,
                    {
                        "ANCE, single task": {"Coverage@20": 0.803, "Coverage@100": 0.853},
                        "ANCE, multi task": {"Coverage@20": 0.803, "Coverage@100": 0.852},
                    },
                ),
            ),
            needs=f"{_WIKIPEDIA}, and the test questions (a file of 1.4 MB)",
        ),
        Suite(
            name="curated-trec",
            describes="CuratedTREC over Wikipedia, 694 test questions whose answers are regular expressions",
            measures=_PATTERNS,
            depth=100,
            needs=f"{_WIKIPEDIA}, and the test questions (a file of 0.1 MB)",
        ),
        Suite(
            name="beir",
            describes="a collection of BEIR; a result whose docno is the query's qid does not count",
            measures=("nDCG@10", "R@100"),
            depth=100,
            counts_itself=False,
        ),
        Suite(name="judged", describes="a collection with judgements", measures=("RR@10", "nDCG@10", "R@100")),
        Suite(name="answered", describes="a collection with answers instead of judgements", measures=_COVERAGE, depth=100),
    )
}

_OF: tuple[tuple[str, str], ...] = (
    (r"msmarco-passage/dev(/.*)?", "msmarco-passage/dev"),
    (r"(msmarco-passage/)?trec-dl-(2019|2020)(/passage|/judged)?", r"trec-dl-\2/passage"),
    (r"msmarco-document/trec-dl-(2019|2020)(/judged)?", r"trec-dl-\1/document"),
    (r"(nq|triviaqa|curated-trec)(/test)?", r"\1"),
    (r"(nq|dpr-w100/natural-questions)/(dev|train)", "nq"),
    (r"(triviaqa|trivia-qa|dpr-w100/trivia-qa)/(dev|train)", "triviaqa"),
    (r"beir/.*", "beir"),
)
"""Names of datasets, and the suite of each."""

_SMALL = "msmarco-passage/dev/small"
_TEST_QUESTIONS = r"(nq|triviaqa)(/test)?"


def find_suite(name: str) -> Suite:
    """The suite of that name.

    Raises:
        UsageError: there is none.
    """
    if name in SUITES:
        return SUITES[name]
    found = _suite_name(name)
    if found is None:
        raise UsageError(f"there is no suite {name!r}; there are {', '.join(SUITES)}")
    return SUITES[found]


def suite_of(dataset: Dataset, split: str = "test") -> Suite:
    """How a dataset is to be evaluated: its own suite, or a general one, by what the split has: judgements, else answers.

    Published figures go with the very queries they were measured on only.

    Raises:
        DatasetNotFoundError: the split has neither judgements nor answers. Also where they cannot be downloaded: it says what is
            needed and how large that is.
    """
    name = _suite_name(dataset.name)
    if name is not None:
        suite = SUITES[name]
        same = suite.name.startswith("trec-dl") or dataset.name == _SMALL or re.fullmatch(_TEST_QUESTIONS, dataset.name)
        full = split == "test" and not isinstance(dataset, DirectoryDataset)
        return suite if same and full else replace(suite, published=())
    try:
        dataset.qrels(split)
        return replace(SUITES["judged"], counts_itself=counts_itself(dataset.name))
    except DatasetNotFoundError as error:
        try:
            dataset.answers(split)
        except DatasetNotFoundError:
            raise error from None
        return SUITES["answered"]


def _suite_name(dataset: str) -> str | None:
    if dataset in SUITES:
        return dataset
    for pattern, name in _OF:
        if match := re.fullmatch(pattern, dataset):
            return match.expand(name)
    return None
