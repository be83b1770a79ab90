"""What a reproduction will take, by the unit costs of a machine."""

from __future__ import annotations

from dataclasses import replace

from ance_ir.indexes import parse_passages
from ance_ir.models.dense.published import find_published
from ance_ir.paper.reproduction.catalogue import Reproduction
from ance_ir.registries import MACHINES
from ance_ir.workflows.planning.figures import duration
from ance_ir.workflows.planning.job import Corpus, Job, find_size
from ance_ir.workflows.planning.machine import Machine
from ance_ir.workflows.planning.plan import make_plan

_LENGTH = 512
_SIZE = "bert-base"
"""Of all encoders of the paper."""


def hours(reproduction: Reproduction, machine: Machine) -> float:
    """The time on a machine, without downloads and the import of vectors."""
    asking = tuple(figure for figure in reproduction.figures if "bm25" in figure.system + figure.bm25)
    bm25 = _hours(replace(reproduction, figures=asking), machine, ("BM25",)) if asking else 0.0
    return _hours(reproduction, machine, _stages(reproduction)) + bm25


def _hours(reproduction: Reproduction, machine: Machine, stages: tuple[str, ...]) -> float:
    return sum(need.hours for need in make_plan(_job(reproduction), machine).needs if need.stage.startswith(stages))


def takes(reproduction: Reproduction) -> str:
    """The download, and the time on each machine that comes with this package, for people."""
    times = (f"{duration(3600 * hours(reproduction, Machine.read(path)))} on {name}" for name, path in MACHINES.items())
    return f"{size(reproduction.download)} to download, then {', '.join(times)}"


def encoded_bytes(reproduction: Reproduction) -> int:
    """What the vectors take that are made here."""
    job = _job(reproduction)
    return round(4 * job.dimension * job.corpus.passages) if "encoding" in _stages(reproduction) else 0


def _stages(reproduction: Reproduction) -> tuple[str, ...]:
    """The beginnings of the names of the stages of a plan that are due, BM25 left out."""
    texts = ("documents",) if reproduction.corpus else ()
    if not reproduction.model:
        return texts
    return (*texts, "evaluation") if reproduction.vectors else (*texts, "encoding", "evaluation")


def _job(reproduction: Reproduction) -> Job:
    size = find_size(_SIZE)
    vectors, texts = reproduction.vectors, reproduction.corpus
    if vectors is not None:
        corpus = Corpus(documents=vectors.rows, tokens=texts.tokens if texts else 0, lengths=[_LENGTH])
    else:
        assert texts is not None
        corpus = Corpus.of_mean(texts.documents, texts.tokens, parse_passages(find_published(reproduction.model).passages), _LENGTH)
    queries = sum(figure.queries for figure in reproduction.figures)
    return Job(corpus=corpus, size=size, dimension=size.width, test_queries=queries)


def size(amount: float) -> str:
    """Bytes for people."""
    return f"{amount / 1e9:,.1f} GB" if amount >= 1e8 else f"{amount / 1e6:,.1f} MB"
