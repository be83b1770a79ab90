"""Tables of the settings of training runs, and of their differences."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ance_ir.eval.tables import NOTHING, Table, table_of
from ance_ir.training import TrainingSettings
from ance_ir.workflows.runs.logged import LoggedRun

_ALWAYS = {"steps", "batch_size", "negatives", "learning_rate", "optimiser", "schedule", "temperature", "refresh_every", "seed"}
_HASHES = ("fingerprint", "candidates")


def settings_table(run: LoggedRun) -> Table:
    """What decides how the run goes: model, data, negatives, and the settings that are usually looked for or are not the default."""
    defaults = {field.name: field.default for field in dataclasses.fields(TrainingSettings)}
    rows = []
    for name, value in flat(run.settings).items():
        group, _, setting = name.partition(".")
        if (
            group == "environment"
            or (name.startswith("model.text.") and not name.endswith("_length"))
            or name.startswith("model.settings.")
        ):
            continue
        if group == "settings":
            if setting not in _ALWAYS and value == defaults.get(setting):
                continue
        elif value is None or value is False or value == [] or name.rpartition(".")[2] in _HASHES:
            continue
        rows.append({"setting": name.removeprefix("settings."), "value": _shown(value)})
    return table_of(rows, left=2)


def differences_table(runs: Sequence[LoggedRun]) -> Table | None:
    """A row for each setting in which runs differ, a column for each run; ``None`` where there is no such setting."""
    settings = [flat(run.settings) for run in runs]
    names = [
        name
        for name in dict.fromkeys(name for one in settings for name in one)
        if any(one.get(name) != settings[0].get(name) for one in settings)
    ]
    if not names:
        return None
    rows = [[name.removeprefix("settings."), *(_shown(one.get(name)) for one in settings)] for name in names]
    return Table(header=["setting", *(run.name for run in runs)], rows=rows, left=1 + len(runs))


def flat(manifest: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values of objects within objects, by names with dots between them."""
    found: dict[str, Any] = {}
    for key, value in manifest.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found


def _shown(value: Any) -> str:
    if value is None or value == []:
        return NOTHING
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
