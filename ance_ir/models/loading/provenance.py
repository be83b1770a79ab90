"""Where a model comes from, as its card says: its licence, the model that it was trained from, and how it was trained."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ance_ir.errors import ModelError
from ance_ir.files import write_json
from ance_ir.models.loading.family import SETTINGS
from ance_ir.models.loading.source import hub_name
from ance_ir.typed_json import read_typed

TRAINING = "training.json"
"""How a model was trained, in its folder."""
_FOLDERS = re.compile(r"(?<![\w.:/~])~?(?:/[^\s/,;()>]+)*/(?=[^\s/,;()>])")
"""The folders that a path from the root or from home begins with."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a model was trained, without what tells of the machine that did it.

    Attributes:
        started_from: the model's name then; of a path, the last part.
        datasets: of each training set its name, split and, of several, weight; and ``hub``, its name on the hub, where it has one.
        settings: by their names, sections of run.json's names before a dot; without hashes.
        refreshes: the reports of new negatives, each with the ``step`` from which they were used.
        dev: evaluations while it was trained: the measures, and in ``step`` how many steps had been done.
        dev_name: of the queries that these are over.
        steps: how many steps the model was trained.
        versions: of the packages that computed.
        notices: what was left out, cut, assumed or replaced.
        memory: GiB of a training step, as they were predicted and as they were used.
    """

    started_from: str
    datasets: list[dict[str, Any]]
    settings: dict[str, Any]
    refreshes: list[dict[str, Any]] = field(default_factory=list)
    dev: list[dict[str, Any]] = field(default_factory=list)
    dev_name: str = ""
    steps: int = 0
    versions: dict[str, str] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    memory: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of_run(cls, manifest: Mapping[str, Any], lines: Iterable[Mapping[str, Any]], *, steps: int | None = None) -> Training:
        """What a run's manifest and the lines of its log say.

        Args:
            manifest: of the run.
            lines: of its log.
            steps: how many steps the model was trained; by default all of the run's.
        """
        lines = list(lines)
        described, environment = manifest["dataset"], dict(manifest["environment"])
        environment.pop("processes", None)
        sources = (environment.pop("place", None) or {}).get("dataset")
        sources = [sources] if isinstance(sources, str) else list(sources or [])
        sets = described.get("sets") or [described]
        datasets = [{"name": "unnamed data", **{name: one[name] for name in ("name", "split", "weight") if name in one}} for one in sets]
        for one, source in zip(datasets, sources, strict=False):
            if str(source).startswith("hf:"):
                one["hub"] = "/".join(str(source).removeprefix("hf:").partition("@")[0].split("/")[:2])
        dev = described.get("dev_dataset") or sets[0]
        settings = {name: value for name, value in manifest.items() if name not in _ELSEWHERE}
        settings["settings"] = {_OF_COMMAND.get(name, name): value for name, value in manifest["settings"].items()}
        return cls(
            started_from=without_folders(str(manifest["model"]["name"])),
            datasets=datasets,
            settings={name.removeprefix("settings."): value for name, value in _flat(settings) if not name.endswith(_HASHES)},
            refreshes=[{"step": line["step"], **line["refresh"]} for line in lines if "refresh" in line],
            dev=[dict(line["dev"]) for line in lines if "dev" in line],
            dev_name=f"{dev['name']}, {described['dev_split']}" if described.get("dev_split") else "",
            steps=int(manifest["settings"]["steps"]) if steps is None else steps,
            versions=environment,
            notices=[without_folders(notice) for notice in manifest.get("notices", ())],
            memory=dict(manifest.get("memory", {})),
        )


_ELSEWHERE = ("dataset", "environment", "memory", "model", "notices", "saved")
"""Sections of a manifest that are not among the settings."""
_OF_COMMAND = {"negatives": "negatives_per_query"}
"""Settings by the names of the command's options, where others have theirs."""
_HASHES = ("fingerprint", "candidates")


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{prefix}{name}.")
        elif value is not None and value is not False and value != []:
            found.append((f"{prefix}{name}", without_folders(value) if isinstance(value, str) else value))
    return found


def without_folders(text: str) -> str:
    """A text in which of each path only the last part is left: the others tell of somebody's machine."""
    return _FOLDERS.sub("", text)


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where a model comes from.

    Attributes:
        licence: what the card of the model, or of the one that it was trained from, has under ``license``, ``license_name`` and
            ``license_link``.
        base: the hub name of the model that it was trained from, or is a copy of.
        training: how it was trained.
    """

    licence: Mapping[str, str] = field(default_factory=dict)
    base: str | None = None
    training: Training | None = None

    def write(self, folder: Path) -> None:
        """Write ``training.json``, if there was a training; the rest is in the card."""
        if self.training is not None:
            write_json(folder / TRAINING, asdict(self.training))


def read_provenance(folder: Path, name: str) -> Provenance:
    """What a checkpoint's folder says of where it comes from.

    Args:
        folder: of the checkpoint, or a file of it.
        name: by which it was opened.

    Raises:
        ModelError: ``training.json`` is damaged.
    """
    card = _metadata(folder / "README.md")
    licence = {key: card[key] for key in ("license", "license_name", "license_link") if isinstance(card.get(key), str)}
    base = card.get("base_model")
    training = None
    if (folder / SETTINGS).is_file() and (folder / TRAINING).is_file():  # others have files of this name, too
        found = read_typed(folder / TRAINING, Training, error=ModelError, remedy="remove it, or restore it")
        training = Training(**{key: value for key, value in found.items() if key in Training.__dataclass_fields__})
    return Provenance(licence=licence, base=hub_name(name) or (base if isinstance(base, str) else None), training=training)


def _metadata(path: Path) -> Mapping[str, Any]:
    """What a card has between its lines of hyphens; nothing where it has none that can be read."""
    from huggingface_hub import metadata_load

    try:
        found = metadata_load(path) if path.is_file() else None
    except Exception:  # somebody else's file; the YAML parser's errors are of many kinds
        return {}
    return found if isinstance(found, Mapping) else {}
