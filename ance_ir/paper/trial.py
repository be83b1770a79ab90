"""One run of a study: training, an index of the corpus with the trained model, what was found, and the clearing away.

OUT/bm25+random/seed-42/training/     the training run; of it run.json and metrics.jsonl stay
OUT/bm25+random/seed-42/index.ance    until it was evaluated
OUT/bm25+random/seed-42/result.json   written last; the sign that the run is done
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NotRequired, TypedDict
from urllib.parse import quote

import numpy as np
import pandas as pd

from ance_ir.errors import TrainingError
from ance_ir.files import write_json
from ance_ir.paper.material import DEPTH, PASSAGES, Material, to_json
from ance_ir.paper.overlap import final_source, last_batches, overlap
from ance_ir.paper.settings import Scheme
from ance_ir.training import read_metrics
from ance_ir.typed_json import read_typed
from ance_ir.workflows.dense import train_on_dataset
from ance_ir.workflows.negatives import with_mix

_BIG = ("training/checkpoints", "training/negatives", "training/model", "index.ance")


class _Run(TypedDict):
    notices: NotRequired[list[str]]


class Trial:
    """A scheme under a seed.

    Args:
        out: the study's folder.
        scheme: where negatives come from.
        seed: of everything random.
    """

    def __init__(self, out: Path, scheme: Scheme, seed: int) -> None:
        self.scheme = scheme
        self.seed = seed
        name = str(scheme).replace(" -> ", "-then-")
        self.folder = out / "runs" / quote(name, safe="+,=@()") / f"seed-{seed}"
        self._result = self.folder / "result.json"

    @property
    def done(self) -> bool:
        """Whether its result is there."""
        return self._result.exists()

    def result(self) -> dict[str, Any]:
        """What it found."""
        result: dict[str, Any] = read_typed(self._result, dict[str, Any], error=TrainingError, remedy="remove the file")
        return result

    def metrics(self) -> pd.DataFrame:
        """The log of its training, a row a step."""
        return pd.DataFrame(read_metrics(self.folder / "training" / "metrics.jsonl"))

    def run(self, material: Material, say: Callable[[str], object] | None = None) -> None:
        """Train, index, evaluate; an interrupted trial is resumed.

        Args:
            material: of the study.
            say: called with a line about each refresh.
        """
        began = time.perf_counter()
        settings, training = material.settings, material.settings.training(self.seed, material.similarity)
        model = train_on_dataset(
            material.dataset,
            material.model(),
            self.folder / "training",
            training,
            negatives=with_mix(self.scheme.negatives),
            passages=PASSAGES,
            depth=settings.depth,
            split=settings.split,
            held_out=material.dev.asked if material.dev is not None and material.dev.held_out is not None else None,
            warm_up=None if self.scheme.warm_up is None else with_mix(self.scheme.warm_up),
            warm_up_until=None if self.scheme.warm_up is None else settings.until,
            say=say,
        )
        index = material.index(model, self.folder / "index.ance")
        per_query = material.evaluate(index.retriever(model, DEPTH))
        source, first = final_source(material, self.scheme, self.folder / "training")
        share, negatives = overlap(last_batches(source, material.queries, training, first), material.queries, index, model)
        found = {"scheme": str(self.scheme), "seed": self.seed, **summary(self.metrics())}
        found |= {"overlap": share, "overlap_negatives": negatives, "run_seconds": round(time.perf_counter() - began, 1)}
        write_json(self._result, {**found, "per_query": to_json(per_query)})

    def clear(self) -> None:
        """Remove what is big: checkpoints, negatives, the model, the index."""
        for name in _BIG:
            shutil.rmtree(self.folder / name, ignore_errors=True)


def notices_of(run: Path) -> list[str]:
    """Warnings of a training run: what was left out, cut or assumed."""
    return list(read_typed(run / "run.json", _Run, error=TrainingError, remedy="remove the folder").get("notices", ()))


def summary(metrics: pd.DataFrame) -> dict[str, Any]:
    """What a training log says in short.

    Args:
        metrics: a row a step.

    Returns:
        ``loss`` and ``grad_norm_end``, means over the last quarter of the steps; ``grad_norm``, ``grad_norms`` (by group of layers),
        ``tokens`` and ``seconds`` (a step), means over all of them.
    """
    metrics = metrics.sort_values("step")
    end = metrics.tail(max(1, len(metrics) // 4))
    groups = pd.DataFrame(list(metrics["grad_norms"]))
    return {
        "loss": float(end["loss"].mean()),
        "grad_norm": float(metrics["grad_norm"].mean()),
        "grad_norm_end": float(end["grad_norm"].mean()),
        "grad_norms": {str(name): float(np.mean(values)) for name, values in groups.items()},
        "tokens": float(metrics["tokens"].mean()),
        "seconds": float(metrics["seconds"].mean()),
    }
