"""The warm-up of a study: the one checkpoint that all its runs start from, trained in stages and evaluated on the dev queries.

OUT/warm-up/1-in-batch/   the training run of the first stage; its model stays
OUT/warm-up.png           the learning curve
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from ance_ir.eval.report.panels import Panel, save_panels
from ance_ir.paper.material import PASSAGES, Material
from ance_ir.paper.settings import StudySettings
from ance_ir.training import TrainingRun, read_metrics
from ance_ir.workflows.dense import train_on_dataset
from ance_ir.workflows.mining import DEV_MEASURES
from ance_ir.workflows.negatives import with_mix


def warm_up(material: Material, out: Path, keep: bool, say: Callable[[str], object]) -> None:
    """Train the stages that are left, and let the study start from the last one's model.

    Args:
        material: of the study.
        out: the study's folder.
        keep: keep checkpoints, too.
        say: called with a line about each evaluation.
    """
    settings, dev = material.settings, material.dev
    for folder, stage in zip(stage_runs(settings, out).values(), settings.stages, strict=True):
        if not TrainingRun(folder).finished:
            say(f"warm-up with {stage.negatives} negatives, {stage.steps} steps")
            train_on_dataset(
                material.dataset,
                material.model(),
                folder,
                settings.warming(stage, material.similarity),
                negatives=with_mix(stage.negatives),
                passages=PASSAGES,
                depth=settings.depth,
                split=settings.split,
                dev_split=settings.dev_split,
                dev_dataset=dev.dataset if dev is not None and dev.apart else None,
                say=say,
            )
        if not keep:
            for name in ("checkpoints", "negatives"):
                shutil.rmtree(folder / name, ignore_errors=True)
        material.start = folder


def learning_curve(settings: StudySettings, out: Path) -> list[dict[str, Any]]:
    """The evaluations of the stages on the dev queries: ``stage``, ``step`` within it, and measures."""
    logs = {name: read_metrics(folder / "metrics.jsonl") for name, folder in stage_runs(settings, out).items()}
    return [{"stage": name, **line["dev"]} for name, lines in logs.items() for line in lines if "dev" in line]


def plot_warm_up(settings: StudySettings, out: Path) -> None:
    """The learning curve, and the loss of each stage by its steps.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    losses = {}
    for name, folder in stage_runs(settings, out).items():
        lines = [line for line in read_metrics(folder / "metrics.jsonl") if "loss" in line]
        losses[name] = pd.Series([line["loss"] for line in lines], index=[line["step"] for line in lines])
    curve = pd.DataFrame(learning_curve(settings, out))
    measure = DEV_MEASURES[0]
    dev = {str(name): points.set_index("step")[measure] for name, points in curve.groupby("stage", sort=False)}
    panels = [
        Panel(title="Warm-up: training loss", label="loss", lines=losses),
        Panel(title=f"Warm-up: dev {measure}", label=measure, lines=dev, style="points"),
    ]
    save_panels(panels, list(losses), out / "warm-up.png", columns=2, size=(5.0, 3.9))


def stage_runs(settings: StudySettings, out: Path) -> dict[str, Path]:
    """The folders of the stages' runs, by what a stage is called."""
    names = [f"{number} {stage.negatives}" for number, stage in enumerate(settings.stages, 1)]
    return {name: out / "warm-up" / quote(name.replace(" ", "-", 1), safe="+,=@()") for name in names}
