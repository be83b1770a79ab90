"""Training runs' folders as a trainer leaves them, without the training."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ance_ir.training import TrainingSettings

GROUPS = ("embeddings", "layers 1-2", "layers 3-4", "head")


def write_logged_run(
    folder: Path,
    *,
    steps: int = 40,
    done: int | None = None,
    ended: bool = True,
    negatives: str = "ance",
    seed: int = 0,
    **settings: Any,
) -> Path:
    """Write ``run.json``, ``metrics.jsonl`` and, where the run has ended, ``model/``; the loss of step i is 2 − i / ``steps``, about."""
    told = TrainingSettings(steps=steps, refresh_every=10, **settings)
    folder.mkdir(parents=True)
    manifest = {
        "settings": asdict(told),
        "model": {"name": "tiny", "fingerprint": "0" * 32},
        "loss": "pairwise-nll",
        "negatives": {"name": negatives, "draw": "uniform"},
        "dataset": {"name": "cats", "fingerprint": "1" * 32, "split": "train", "dev_split": "dev"},
        "environment": {"torch": "2.0"},
    }
    (folder / "run.json").write_text(json.dumps(manifest))
    lines = [logged_line(step, steps, negatives, seed) for step in range(steps if done is None else done)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if ended:
        (folder / "model").mkdir()
    return folder


def logged_line(step: int, steps: int, negatives: str = "ance", seed: int = 0) -> dict[str, Any]:
    """A line of a log; negatives are mined every 10 steps, and evaluated with the model of then."""
    noise = np.random.default_rng([seed, step]).normal(scale=0.05)
    line: dict[str, Any] = {
        "step": step,
        "loss": 2 - step / steps + noise,
        "grad_norm": 2 + noise,
        "grad_norms": {group: 1 + i + noise for i, group in enumerate(GROUPS)},
        "learning_rate": 1e-5 * (1 - step / steps),
        "tokens": 3000,
        "pairs": 32,
        "seconds": 0.5,
    }
    if step % 10 == 0:
        line["dev"] = {"step": step, "RR@10": 0.2 + 0.01 * (step % 30) + seed / 100, "nDCG@10": 0.3}
    if negatives == "ance":
        line["staleness"] = step % 10
        if step % 10 == 0:
            line["refresh"] = {
                "mined_at": step,
                "encode_seconds": 4.0,
                "search_seconds": 0.5,
                "mine_seconds": 0.25,
                "waited_seconds": 5.0,
                "documents_encoded": 1000,
                "mean_negative_score": 0.71,
                "suspected_false_negatives": 3,
                **({"overlap_with_previous": 0.6, "overlap_with_top_100": 0.5 + step / steps / 2} if step else {}),
            }
    return line
