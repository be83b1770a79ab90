"""Runs an analysis of the paper in a folder, and lists what there is.

OUT/NAME/analysis.json               what was asked; the sign that an analysis began
OUT/NAME/parts/, OUT/NAME/runs/      what is kept of an interrupted one
OUT/NAME/results.json                all that was found; the sign that it is done
OUT/NAME/results.md, NAME.svg, .png  the same for people, written anew each time it is shown
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypedDict

from ance_ir import registries
from ance_ir.errors import BrokenDependencyError, EvaluationError, MissingDependencyError
from ance_ir.files import atomic_open, write_json
from ance_ir.notices import collected
from ance_ir.paper.analysis import Analysis, Asked, Shown
from ance_ir.registry import Registry
from ance_ir.training import environment
from ance_ir.typed_json import read_typed

logger = logging.getLogger(__name__)

ANALYSES: Registry[Analysis] = registries.ANALYSES


class _Results(TypedDict):
    settings: dict[str, Any]
    notices: list[str]
    found: dict[str, Any]


def run_analysis(name: str, asked: Asked, *, say: Callable[[str], object] = logger.info) -> dict[str, Any]:
    """Make an analysis in its folder; an interrupted one is resumed, a finished one is shown again.

    Args:
        name: one of ``ANALYSES``.
        asked: what a user gave.
        say: called with the text to show.

    Returns:
        What was found, as ``results.json`` has it.

    Raises:
        UsageError: there is no such analysis, or what it needs was not given.
        EvaluationError: the folder holds an analysis of other settings.
    """
    analysis = ANALYSES.find(name)
    analysis.check(name, asked)
    settings = asked.settings(analysis.choices)
    _claim_folder(asked.folder, {"analysis": name, **settings})
    path = asked.folder / "results.json"
    if again := path.exists():
        say(f"{asked.folder} is shown again; remove it to measure anew\n")
    else:
        with collected() as notices:
            found = analysis.measure(asked)
        write_json(path, {"settings": settings, "environment": environment(), "notices": notices, "found": found})
    results = read_typed(path, _Results, error=EvaluationError, remedy="remove the file")
    try:
        shown = analysis.show(results["found"])
    except KeyError as error:
        if not again:
            raise
        raise EvaluationError(f"{path} was written by another version of ance_ir: it lacks {error}; remove the file") from error
    try:
        shown.picture.save(asked.folder / name)
    except (MissingDependencyError, BrokenDependencyError) as error:
        say(str(error))
    page = _page(name, analysis, shown, results)
    with atomic_open(asked.folder / "results.md") as stream:
        stream.write(page)
    say(page)
    return dict(results["found"])


def listing() -> Iterator[str]:
    """Lines for people: each analysis, its claim, and what it needs."""
    for name in ANALYSES:
        analysis = ANALYSES[name]
        yield f"{name} ({analysis.covers})"
        yield f"  {ANALYSES.summary(name)}"
        for option, need in analysis.needs.items():
            yield f"  {'needs' if need.least else 'takes'} --{option}: {need.what}"
        if analysis.choices:
            yield f"  takes {', '.join(f'--{choice}' for choice in analysis.choices)}"


def _claim_folder(folder: Path, now: dict[str, Any]) -> None:
    """Write down what was asked; where nothing was made yet, for a system that did not open, it may be something else than before.

    Raises:
        EvaluationError: the folder holds something else.
    """
    path = folder / "analysis.json"
    held = {one.name for one in folder.iterdir()} if folder.is_dir() else set()
    if path.name in held:
        before = read_typed(path, dict[str, Any], error=EvaluationError, remedy="choose another folder")
        if held - {path.name} and (different := [one for one in {**before, **now} if before.get(one) != now.get(one)]):
            said = "; ".join(f"{one} was {before.get(one)!r}, is {now.get(one)!r}" for one in different)
            raise EvaluationError(f"{folder} holds an analysis with other settings: {said}; choose another folder")
    elif held:
        raise EvaluationError(f"{folder} holds something else than an analysis; choose another folder")
    write_json(path, now)


def _page(name: str, analysis: Analysis, shown: Shown, results: Any) -> str:
    """The page in Markdown."""
    settings = {one: value for one, value in results["settings"].items() if one != "fingerprint" and value is not None}
    told = "; ".join(f"{one} {', '.join(value) if isinstance(value, list) else value}" for one, value in settings.items())
    parts = [f"# {name}: {registries.ANALYSES.summary(name)}", f"The paper's {analysis.covers}. {told}."]
    parts += [f"{caption}:\n\n{table.to_markdown()}" for caption, table in shown.tables.items()]
    parts += [f"![{name}]({name}.svg)", *shown.texts]
    parts.append("\n".join(outcome.line() for outcome in shown.outcomes))
    if results["notices"]:
        parts.append("\n".join(["Warnings:", "", *(f"- {notice}" for notice in results["notices"])]))
    return "\n\n".join(parts) + "\n"
