"""What an analysis of the paper is: what it needs, how it measures, and how it shows what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyterrier as pt

from ance_ir.datasets import Dataset, counts_itself
from ance_ir.digests import digest_of
from ance_ir.errors import EvaluationError, UsageError
from ance_ir.eval import Evaluation, KeptRuns, Table, evaluate_on_dataset, suite_of
from ance_ir.eval.on_dataset import parser_for
from ance_ir.eval.report.pictures import Picture
from ance_ir.files import write_json
from ance_ir.indexes import DenseRetriever
from ance_ir.paper.expectations import Outcome
from ance_ir.pipelines import Systems
from ance_ir.pipelines.fingerprint import fingerprint
from ance_ir.typed_json import read_typed

CHOICES = ("split", "queries", "seed")
"""What each analysis may heed, and has a default."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a user gives to an analysis.

    Attributes:
        dataset: whose documents and queries.
        folder: of this analysis.
        split: the queries.
        given: by the names of options without their dashes, texts: ``systems`` as ``ance-ir eval`` takes them, ``runs`` of training, …
        queries: how many at most, drawn at random; ``None``: as many as the analysis takes by itself.
        seed: of everything that is drawn.
        device: where models compute.
        verbose: show progress.
    """

    dataset: Dataset
    folder: Path
    split: str = "test"
    given: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    queries: int | None = None
    seed: int = 42
    device: str | None = None
    verbose: bool = False

    def __post_init__(self) -> None:
        if self.queries is not None and self.queries < 1:
            raise UsageError(f"queries is at least 1, not {self.queries}")

    def settings(self, choices: Sequence[str]) -> dict[str, Any]:
        """All that decides what is found, in what JSON can hold.

        Args:
            choices: those of ``CHOICES`` that count.
        """
        given = {name: list(texts) for name, texts in self.given.items() if texts}
        told = {name: getattr(self, name) for name in choices}
        return {"dataset": self.dataset.name, "fingerprint": self.dataset.fingerprint, **given, **told}

    def texts(self, option: str) -> tuple[str, ...]:
        """What was given for an option."""
        return self.given.get(option, ())

    def once(self, name: str, of: Sequence[pt.Transformer], make: Callable[[], Any]) -> Any:
        """What ``make`` returns, which JSON can hold, kept in ``parts/``: an interrupted analysis makes only what is not there.

        Args:
            name: of what is made.
            of: what it depends on; what was made of other models or indexes is made anew, and what has no fingerprint is not kept.
            make: makes it.
        """
        known = [fingerprint(pipeline) for pipeline in of]
        if None in known:
            return make()
        path = self.folder / "parts" / f"{name}-{digest_of(known)}.json"
        if not path.exists():
            write_json(path, make())
        return read_typed(path, Any, error=EvaluationError, remedy="remove the file")

    def drawn(self, qids: Iterable[str], most: int) -> list[str]:
        """Of these qids as many as were asked for, or ``most``, drawn at random, in their order."""
        qids = list(qids)
        count = min(len(qids), self.queries or most)
        return [qids[place] for place in np.sort(np.random.default_rng(self.seed).choice(len(qids), count, replace=False))]

    def evaluated(self, measures: Sequence[str], *, num_results: int | None = None) -> Evaluation:
        """An evaluation of the systems, compared with the first; runs that were made before are used again.

        Args:
            measures: their names.
            num_results: documents a query; by default the suite's depth.
        """
        return evaluate_on_dataset(
            self.dataset,
            self.texts("system"),
            split=self.split,
            measures=measures,
            num_results=num_results,
            device=self.device,
            kept=KeptRuns(self.folder / "runs"),
            baseline=self.names()[0],
            verbose=self.verbose,
        )

    def names(self) -> list[str]:
        """The names of the systems.

        Raises:
            UsageError: a text is no system, or two have one name.
        """
        return list(self._parser().read_all(self.texts("system")))

    def opened(self) -> dict[str, pt.Transformer]:
        """The systems by name."""
        return self._parser().parse_all(self.texts("system"))

    def dense(self, text: str, num_results: int = 1000) -> tuple[str, DenseRetriever]:
        """The name of a system and what it retrieves with: an index and its model.

        Raises:
            UsageError: it is no dense retriever alone, or the dataset has documents that do not count for a query.
        """
        if not counts_itself(self.dataset.name) or suite_of(self.dataset, self.split).excluded is not None:
            raise UsageError(f"{self.dataset.name}: some documents do not count for a query; analyses of vectors cannot leave them out")
        name, pipeline = self._parser(num_results).parse(text)
        while not isinstance(pipeline, DenseRetriever):
            if (inner := getattr(pipeline, "retriever", None)) is None:
                raise UsageError(f"{text}: an index alone was expected (x.ance, or ance[model=…]), whose vectors are looked at")
            pipeline = inner
        return name, pipeline

    @cached_property
    def bm25(self) -> pt.Transformer:
        """BM25 over the dataset, its first 100 documents."""
        return self._parser(100).parse("bm25")[1]

    def _parser(self, num_results: int = 1000) -> Systems:
        suite = suite_of(self.dataset, self.split)
        return parser_for(self.dataset, self.split, suite, {}, None, num_results=num_results, device=self.device, verbose=self.verbose)


@dataclass(frozen=True, kw_only=True)
class Need:
    """An option that an analysis takes.

    Attributes:
        what: is expected there, in a phrase.
        least: how many of them; 0: it may be left out.
        most: how many at most; ``None``: any number.
    """

    what: str
    least: int = 1
    most: int | None = None


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What was found, for people.

    Attributes:
        tables: by caption.
        outcomes: of the claim's tests.
        picture: of it.
        texts: paragraphs in Markdown below the tables.
    """

    tables: Mapping[str, Table]
    outcomes: Sequence[Outcome]
    picture: Picture
    texts: Sequence[str] = field(default_factory=tuple)


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """One analysis of the paper; the first line of its module's docstring is the claim.

    Attributes:
        covers: the paper's tables and figures.
        needs: by the name of an option without its dashes.
        choices: those of ``CHOICES`` that change what is found.
        measure: finds what JSON can hold, with string keys.
        show: presents that, as it was read again.
    """

    covers: str
    needs: Mapping[str, Need]
    choices: Sequence[str]
    measure: Callable[[Asked], dict[str, Any]]
    show: Callable[[Mapping[str, Any]], Shown]

    def check(self, name: str, asked: Asked) -> None:
        """Refuse what does not go with the analysis.

        Raises:
            UsageError: an option was given too seldom or too often, one that it does not take was given, or two systems have one name.
        """
        for option, need in self.needs.items():
            count = len(asked.texts(option))
            if count < need.least or (need.most is not None and count > need.most):
                raise UsageError(f"{name} takes --{option}: {need.what}; {count or 'none'} given")
        taken = (*self.needs, *self.choices)
        given = [option for option, texts in asked.given.items() if texts]
        given += [choice for choice in CHOICES if getattr(asked, choice) != getattr(Asked, choice)]
        if others := [option for option in given if option not in taken]:
            raise UsageError(f"{name} takes no --{others[0]}; it takes {', '.join(f'--{one}' for one in taken)}")
        if "system" in self.needs:
            asked.names()
