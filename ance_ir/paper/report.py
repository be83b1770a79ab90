"""The results of a study: a row for each scheme, means and standard deviations over seeds, and a page in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ance_ir.eval.tables import Table
from ance_ir.paper.expectations import Outcome, expectations
from ance_ir.paper.material import from_json

NUMBERS = ("loss", "grad_norm", "grad_norm_end", "overlap", "tokens", "seconds", "run_seconds")
"""Figures of a training run, apart from its measures."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Row:
    """A scheme, or a system that was not trained.

    Attributes:
        name: its name.
        per_query: by split, the value of each measure for each query, mean over seeds.
        measures: by split and measure, a mean over queries for each seed.
        numbers: by name, those of ``NUMBERS`` and of each group of layers' gradient norm, a value for each seed; empty without training.
    """

    name: str
    per_query: Mapping[str, pd.DataFrame]
    measures: Mapping[str, Mapping[str, list[float]]]
    numbers: Mapping[str, list[float]]

    @classmethod
    def untrained(cls, name: str, per_query: Mapping[str, Any]) -> Row:
        """A system that was not trained, of which only the values of queries by split are known."""
        return cls._of(name, [from_json(per_query)], {})

    @classmethod
    def of(cls, name: str, results: Sequence[Mapping[str, Any]]) -> Row:
        """A scheme, of its results under each seed."""
        numbers = {number: [float(result[number]) for result in results] for number in NUMBERS}
        groups = [f"grad_norm, {group}" for group in results[0]["grad_norms"]]
        numbers |= {group: [float(result["grad_norms"][group.removeprefix("grad_norm, ")]) for result in results] for group in groups}
        return cls._of(name, [from_json(result["per_query"]) for result in results], numbers)

    @classmethod
    def _of(cls, name: str, found: Sequence[Mapping[str, pd.DataFrame]], numbers: Mapping[str, list[float]]) -> Row:
        splits = list(found[0])
        per_query = {split: sum(one[split] for one in found[1:]) + found[0][split] for split in splits}
        measures = {
            split: {measure: [float(one[split][measure].mean()) for one in found] for measure in found[0][split].columns}
            for split in splits
        }
        return cls(name=name, per_query={s: total / len(found) for s, total in per_query.items()}, measures=measures, numbers=numbers)


def collect(rows: Sequence[Row], test_split: str, documents: int) -> dict[str, Any]:
    """All figures, and what became of the paper's expectations, in what JSON can hold.

    Args:
        rows: untrained systems and schemes.
        test_split: the queries that the expectations are tested on.
        documents: of the corpus.
    """
    outcomes = expectations(
        {row.name: row.per_query[test_split][["RR@10"]] for row in rows},
        {row.name: {**row.numbers, "RR@10": row.measures[test_split]["RR@10"]} for row in rows},
        documents,
    )
    return {
        "documents": documents,
        "queries": {split: len(values) for split, values in rows[0].per_query.items()},
        "systems": {row.name: {"measures": row.measures, **row.numbers} for row in rows},
        "expectations": [outcome.to_json() for outcome in outcomes],
    }


def to_markdown(results: Mapping[str, Any]) -> str:
    """The page: settings, tables, expectations.

    Args:
        results: what ``collect`` returns, with the study's ``settings``.
    """
    settings, systems = results["settings"], results["systems"]
    queries = ", ".join(f"{count:,} {split} queries" for split, count in results["queries"].items())
    layers = "all layers" if settings["layers"] is None else f"{settings['layers']} layers"
    columns = [(split, measure) for split, measures in next(iter(systems.values()))["measures"].items() for measure in measures]
    effectiveness = [["negatives", *(f"{split} {measure}" for split, measure in columns)]]
    effectiveness += [[name, *(spread(found["measures"][split][measure]) for split, measure in columns)] for name, found in systems.items()]
    trained = {name: found for name, found in systems.items() if "loss" in found}
    groups = list(dict.fromkeys(key for found in trained.values() for key in found if key.startswith("grad_norm, ")))
    numbers = ["loss", "grad_norm", "grad_norm_end", *groups, "overlap", "tokens", "seconds"]
    titles = {"grad_norm": "norm", "grad_norm_end": "norm, end", "tokens": "tokens/step", "seconds": "s/step"}
    training = [["negatives", *(titles.get(number, number.removeprefix("grad_")) for number in numbers)]]
    training += [[name, *(spread(found.get(number, [])) for number in numbers)] for name, found in trained.items()]
    warm_up = results.get("warm_up", [])
    made = f"a fresh head ({settings['fresh_head']}), " if settings.get("fresh_head") else ""
    started = f"warmed up ({', then '.join(settings['warm_up'])}: source, steps and learning rate), " if warm_up else ""
    parts = [
        f"# Negatives compared on {settings['dataset']}",
        f"{results['documents']:,} documents, {queries}. {settings['model']}, {layers}; {made}{started}"
        f"{settings['steps']} steps of {settings['batch_size']} queries, peak learning rate {settings['learning_rate']:g}, negatives "
        f"from the first {settings['depth']} documents of a ranking, ANCE's mined again every {settings['refresh_every']} steps; "
        f"A -> B changes to B at step {round(settings['warm_up_share'] * settings['steps'])}. "
        + (f"Mean over {seeds} seeds ± standard deviation." if (seeds := len(settings["seeds"])) > 1 else "One seed."),
        *(["## Warm-up", _curve(warm_up)] if warm_up else []),
        "## Effectiveness",
        Table(header=effectiveness[0], rows=effectiveness[1:]).to_markdown(),
        "## Training",
        Table(header=training[0], rows=training[1:]).to_markdown(),
        "loss and norm, end: means over the last quarter of the steps; norm: of the gradient before clipping, mean over all steps, and "
        "after it those of its parts. overlap: share of the negatives of the last steps that are among the 100 documents that the "
        "trained model ranks first.",
        "## What the paper leads one to expect",
        "\n".join(Outcome(**outcome).line() for outcome in results["expectations"])
        or "None of the schemes that it compares are in this study.",
    ]
    return "\n\n".join(parts) + "\n"


def _curve(evaluated: Sequence[Mapping[str, Any]]) -> str:
    """What dev queries say of each stage of the warm-up, by its steps."""
    header = ["stage", "step", *(f"dev {name}" for name in evaluated[0] if name not in ("stage", "step"))]
    rows = [[value if isinstance(value, str) else f"{value:g}" for value in one.values()] for one in evaluated]
    return Table(header=header, rows=rows).to_markdown()


def spread(values: Sequence[float]) -> str:
    """Mean and, of several values, sample standard deviation; a dash of none."""
    if not len(values):
        return "–"
    mean = float(np.mean(values))
    digits = 0 if abs(mean) >= 100 else 2 if abs(mean) >= 10 else 4
    shown = f"{mean:,.{digits}f}"
    return shown if len(values) == 1 else f"{shown} ± {float(np.std(values, ddof=1)):,.{digits}f}"
