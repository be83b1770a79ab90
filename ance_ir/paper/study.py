"""The study of negatives: the paper's comparison of sampling schemes (table 1, figures 7 and 8), at equal steps from equal starts.

OUT/study.json      settings; the sign that a study began
OUT/baselines.json  BM25 and the untrained model; warmed-up.json: the model after the warm-up
OUT/warm-up/        see ``warm_up``
OUT/runs/           see ``trial``
OUT/results.json, results.md, training.png
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

import pandas as pd
import pyterrier as pt

from ance_ir.errors import BrokenDependencyError, MissingDependencyError, TrainingError
from ance_ir.files import atomic_open, write_json
from ance_ir.notices import collected
from ance_ir.paper.material import DEPTH, Material, to_json
from ance_ir.paper.report import Row, collect, to_markdown
from ance_ir.paper.settings import Scheme, StudySettings
from ance_ir.paper.trial import Trial, notices_of
from ance_ir.paper.warm_up import learning_curve, plot_warm_up, stage_runs, warm_up
from ance_ir.pipelines import dataset_bm25
from ance_ir.training import environment
from ance_ir.typed_json import read_typed
from ance_ir.workflows.runs.plots import plot_training

logger = logging.getLogger(__name__)

BM25, UNTRAINED, WARM = "BM25", "untrained", "warmed up"
_BASELINES = {UNTRAINED: "baselines.json", WARM: "warmed-up.json"}


def run_study(
    settings: StudySettings, out: Path, *, device: str | None = None, keep: bool = False, say: Callable[[str], object] = logger.info
) -> dict[str, Any]:
    """Run the study in a folder; an interrupted study is resumed, a finished one is shown again.

    Args:
        settings: of the study.
        out: the folder.
        device: where models compute; by default a GPU where there is one.
        keep: keep models, checkpoints, mined negatives and indexes.
        say: called with the text to show, a line or more at a time.

    Returns:
        What ``results.json`` holds.

    Raises:
        TrainingError: the folder holds another study, or something else; or training fails.
        UsageError: a scheme names no negatives.
    """
    with collected() as notices:
        _check_settings(settings, out)
        material = Material(settings, device)
        _check_fingerprints(material, out)
        material.check_schemes()
        baselines = _evaluated(material, out, UNTRAINED, keep, say)
        if settings.warm_up:
            warm_up(material, out, keep, say)
            baselines |= _evaluated(material, out, WARM, keep, say)
        trials = [Trial(out, Scheme.parse(scheme), seed) for seed in settings.seeds for scheme in settings.schemes]
        _run_all(trials, material, keep, say)
    runs = [*stage_runs(settings, out).values(), *(trial.folder / "training" for trial in trials)]
    found = list(dict.fromkeys([*notices, *(notice for run in runs for notice in notices_of(run))]))
    return _report(material, baselines, trials, found, out, say)


class _Study(TypedDict):
    settings: dict[str, Any]
    fingerprints: dict[str, Any]


def _read_study(path: Path) -> Any:
    return read_typed(path, _Study, error=TrainingError, remedy="choose another folder")


def _check_settings(settings: StudySettings, out: Path) -> None:
    if (path := out / "study.json").exists():
        before, now = _read_study(path)["settings"], settings.to_json()
        names = {**now, **before}
        differences = [f"{name} was {before.get(name)!r}, is {now.get(name)!r}" for name in names if before.get(name) != now.get(name)]
        if differences:
            raise TrainingError(f"{out} holds a study with other settings: {'; '.join(differences)}; choose another folder")
    elif out.is_dir() and any(out.iterdir()):
        raise TrainingError(f"{out} holds something else than a study; choose another folder")


def _check_fingerprints(material: Material, out: Path) -> None:
    path = out / "study.json"
    now = {"dataset": material.dataset.fingerprint, "model": material.fingerprint}
    if material.dev is not None and material.dev.apart:
        now["dev_dataset"] = material.dev.dataset.fingerprint
    if not path.exists():
        write_json(path, {"settings": material.settings.to_json(), "fingerprints": now, "environment": environment()})
    elif changed := [name for name, before in _read_study(path)["fingerprints"].items() if before != now.get(name)]:
        raise TrainingError(f"{out}: the study's {' and '.join(changed)} changed since it began; choose another folder")


def _evaluated(material: Material, out: Path, name: str, keep: bool, say: Callable[[str], object]) -> dict[str, Any]:
    """The model that runs would start from now, and beside the first one BM25: values of each query, by split."""
    path, folder = out / _BASELINES[name], out / f"{name.replace(' ', '-')}.ance"
    if not path.exists():
        model = material.model()
        systems: dict[str, pt.Transformer] = {BM25: dataset_bm25(material.dataset).retriever(DEPTH)} if name == UNTRAINED else {}
        systems[name] = material.index(model, folder).retriever(model, DEPTH)
        write_json(path, {name: to_json(material.evaluate(system)) for name, system in systems.items()})
        say(f"{' and '.join(systems)}: evaluated on {' and '.join(material.splits)}")
    if not keep:
        shutil.rmtree(folder, ignore_errors=True)
    found: dict[str, Any] = read_typed(path, dict[str, Any], error=TrainingError, remedy="remove the file")
    return found


def _run_all(trials: list[Trial], material: Material, keep: bool, say: Callable[[str], object]) -> None:
    def clear(trial: Trial) -> None:
        if not keep:
            trial.clear()

    left = [trial for trial in trials if not trial.done]
    for trial in trials:
        if trial.done:  # it may have been interrupted before it was cleared
            clear(trial)
    if len(left) < len(trials):
        say(f"{len(trials) - len(left)} of {len(trials)} runs are done already")
    began = time.perf_counter()
    for number, trial in enumerate(left, 1):
        trial.run(material)
        clear(trial)
        result = trial.result()
        value = pd.Series(result["per_query"][material.settings.test_split]["RR@10"]).mean()
        remaining = (time.perf_counter() - began) / number * (len(left) - number)
        done = len(trials) - len(left) + number
        say(
            f"{done} of {len(trials)}: {trial.scheme}, seed {trial.seed}: {material.settings.test_split} RR@10 {value:.4f}, "
            f"loss {result['loss']:.4f}, overlap {result['overlap']:.2f}; {result['run_seconds']:.0f} s, about {_duration(remaining)} left"
        )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _report(
    material: Material, baselines: dict[str, Any], trials: list[Trial], notices: list[str], out: Path, say: Callable[[str], object]
) -> dict[str, Any]:
    by_scheme: dict[str, list[Trial]] = {}
    for trial in trials:
        by_scheme.setdefault(str(trial.scheme), []).append(trial)
    rows = [Row.untrained(name, values) for name, values in baselines.items()]
    rows += [Row.of(name, [trial.result() for trial in runs]) for name, runs in by_scheme.items()]
    settings = material.settings
    curve = {"warm_up": learning_curve(settings, out)} if settings.warm_up else {}
    results = {**_read_study(out / "study.json"), "notices": notices, **curve, **collect(rows, settings.test_split, len(material.store))}
    shown = to_markdown(results)
    with atomic_open(out / "results.md") as stream:
        stream.write(shown)
    write_json(out / "results.json", results)
    say(f"\n{shown}")
    try:
        plot_training({name: _mean_by_step(runs) for name, runs in by_scheme.items()}, out / "training.png")
        if settings.warm_up:
            plot_warm_up(settings, out)
    except (MissingDependencyError, BrokenDependencyError) as error:
        say(str(error))
    return results


def _mean_by_step(runs: list[Trial]) -> pd.DataFrame:
    """Loss and gradient norm at each step, mean over seeds."""
    return pd.concat([run.metrics()[["step", "loss", "grad_norm"]] for run in runs]).groupby("step", as_index=False).mean()
