"""Reproduces figures: fetches what they need, evaluates, compares, and writes a log."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ance_ir.errors import UsageError
from ance_ir.eval import KeptRuns, evaluate_on_dataset
from ance_ir.eval.evaluation import Evaluation
from ance_ir.paper.reproduction.catalogue import Figure, Reproduction
from ance_ir.paper.reproduction.comparison import Comparison, compare_with_published, comparison_table
from ance_ir.paper.reproduction.log import write_log
from ance_ir.paper.reproduction.material import check_space, fetch, index_path, model_of, steps, unfinished
from ance_ir.paper.reproduction.planned import size, takes
from ance_ir.pipelines.systems import OpenModels
from ance_ir.processes import usable_cpus

SYSTEM, BM25 = "reproduced", "bm25"

Say = Callable[[str], object]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A figure that was reproduced, or not.

    Attributes:
        name: ``REPRODUCTION/FIGURE``.
        comparisons: with all that is published for it.
        log: the file that says how it came about.
    """

    name: str
    comparisons: list[Comparison]
    log: Path

    @property
    def missed(self) -> list[str]:
        """The measures that differ by more than their tolerance from what is published."""
        return list(dict.fromkeys(one.measure for one in self.comparisons if not one.within))


def dry_run(reproduction: Reproduction, folder: Path, say: Say) -> None:
    """Say what ``reproduce`` would do, and what that takes; nothing is fetched."""
    say(f"  {takes(reproduction)}; what is there already is not fetched again")
    todo = unfinished(list(steps(reproduction, folder, None, verbose=False)))
    for step in todo:
        taken = sum(amount for _, amount in step.space())
        say(f"  {step.does}{f'; up to {size(taken)} of disk' if taken else ''}")
    for figure in reproduction.figures:
        say(f"  {command_of(reproduction, figure, folder)}")
    try:
        check_space(todo)
    except UsageError as error:
        say(f"  would be refused: {error}")


def reproduce(reproduction: Reproduction, folder: Path, *, device: str | None = None, verbose: bool = False, say: Say) -> list[Outcome]:
    """Reproduce figures. After an interruption the same call resumes.

    Args:
        reproduction: which.
        folder: for vectors, indexes, runs and logs.
        device: where models compute.
        verbose: show progress.
        say: takes what is begun, and the outcome.

    Raises:
        DownloadError: something cannot be fetched; says what to put where.
        UsageError: a disk has too little room, or a dataset has other queries.
    """
    began = time.monotonic()
    fetch(list(steps(reproduction, folder, device, verbose=verbose)), say)
    models, outcomes = OpenModels(), []
    for figure in reproduction.figures:
        say(command_of(reproduction, figure, folder))
        place = folder / reproduction.name / figure.name
        found = evaluate_on_dataset(
            figure.dataset,
            list(_systems(reproduction, figure, folder)),
            measures=figure.measures,
            device=device,
            models=models,
            kept=KeptRuns(place / "runs"),
            processes=usable_cpus(),
            verbose=verbose,
        )
        found.save(place)
        comparisons = compare_with_published(figure, _values(found))
        say(comparison_table(comparisons).to_text())
        log = place / "log.md"
        command = command_of(reproduction, figure, folder)
        seconds = time.monotonic() - began
        write_log(log, reproduction, figure, comparisons, command, found.notices, model_of(reproduction, folder), seconds, device)
        say(f"the log, to be attached to an issue: {log}")
        outcomes.append(Outcome(name=f"{reproduction.name}/{figure.name}", comparisons=comparisons, log=log))
    return outcomes


def command_of(reproduction: Reproduction, figure: Figure, folder: Path) -> str:
    """The command that evaluates a figure once all is there."""
    parts = ["ance-ir", "eval", "--dataset", figure.dataset]
    parts += [part for system in _systems(reproduction, figure, folder) for part in ("--system", system)]
    return shlex.join([*parts, *(part for measure in figure.measures for part in ("--measure", measure))])


def _systems(reproduction: Reproduction, figure: Figure, folder: Path) -> Iterator[str]:
    if set("\"'") & set(str(folder)):
        raise UsageError(f"{folder}: a path without quotes was expected; choose another --out")
    index, model = index_path(folder, reproduction), model_of(reproduction, folder)
    for name, system in ((SYSTEM, figure.system), (BM25, figure.bm25)):
        if system:
            yield f"{name}={system}".replace("{index}", f'"{index}"').replace("{model}", f'"{model}"')


def _values(found: Evaluation) -> dict[str, float]:
    return {measure: mean.value for row in found.rows() if row.system == SYSTEM for measure, mean in row.means.items()}
