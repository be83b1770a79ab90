"""The manifest of a training run, ``run.json``: its settings, the check that a resumed run has the same ones, and later notes."""

from __future__ import annotations

import contextlib
import json
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy
import torch
import transformers
from safetensors import SafetensorError

from ance_ir import __version__
from ance_ir.errors import TrainingError
from ance_ir.files import write_json
from ance_ir.typed_json import read_typed

NOTED = ("memory", "notices", "saved")
"""What a manifest holds in addition to the run's settings."""

_OF_FINGERPRINTS = " (a fingerprint changes with the content, and where another version of ance_ir reads the same files in another way)"


def environment() -> dict[str, str]:
    """Versions of what computes."""
    versions = {"ance_ir": __version__, "python": platform.python_version(), "torch": torch.__version__}
    return {**versions, "transformers": transformers.__version__, "numpy": numpy.__version__}


def read_manifest(path: Path) -> dict[str, Any]:
    """All of it.

    Raises:
        TrainingError: it is damaged.
    """
    manifest: dict[str, Any] = read_typed(path, dict[str, Any], error=TrainingError, remedy="restore it, or choose another folder")
    return manifest


def write_or_compare_manifest(
    path: Path, settings: Mapping[str, Any], *, what: str = "a run", remedy: str = "choose another folder"
) -> None:
    """Write the manifest of a new run, or renew that of a resumed run; its ``environment`` may differ.

    Args:
        path: of the manifest.
        settings: of the run.
        what: what a run is called in the message.
        remedy: what to do where the settings differ, likewise.

    Raises:
        TrainingError: the run that is there has other settings.
    """
    now = json.loads(json.dumps(settings))
    before = read_manifest(path) if path.exists() else None
    if before is not None:
        differences = _differences(decisive(before), decisive(now))
        if differences:
            hint = _OF_FINGERPRINTS if any("fingerprint was" in difference for difference in differences) else ""
            raise TrainingError(f"{path.parent} holds {what} with other settings: {'; '.join(differences)}{hint}; {remedy}")
        now |= {name: before[name] for name in NOTED if name in before}
    if before != now:
        write_json(path, now)


def add_to_manifest(path: Path, **noted: Any) -> None:
    """Note something about a run.

    Raises:
        TrainingError: it cannot be written.
    """
    with explained(path):
        write_json(path, {**read_manifest(path), **noted})


@contextlib.contextmanager
def explained(target: Path) -> Iterator[None]:
    """Say what could not be written, and what is intact."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise TrainingError(
            f"{target} cannot be written ({error}); the checkpoints that are complete are intact; "
            "when there is room again, the same command resumes the run"
        ) from error


def decisive(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What makes a run this one: its settings, without where it is run and what was noted since."""
    return {key: value for key, value in manifest.items() if key not in ("environment", *NOTED)}


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values of a manifest by names with dots between them."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return found


def _differences(there: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> list[str]:
    """A phrase for each setting that differs."""
    found = []
    for key in sorted({*there, *now}):
        before, after = there.get(key), now.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found += _differences(before, after, f"{prefix}{key}.")
        elif before != after:
            found.append(f"{prefix}{key} was {before!r}, is {after!r}")
    return found
