"""The kind of a stage that is a path: of a folder by its small files, of a server by its address."""

from __future__ import annotations

from pathlib import Path

from ance_ir.errors import UsageError
from ance_ir.indexes.formats.prebuilt import import_hint
from ance_ir.pipelines.systems.contents import artifact_of, is_index, model_in
from ance_ir.pipelines.systems.kind import KINDS, KeptIndex, Kind


def open_index(path: Path, *, device: str | None = None, model: str | None = None) -> KeptIndex:
    """The index in a folder, whatever its kind.

    Args:
        path: the folder, or a dense index's name on the hub.
        device: where its model computes.
        model: where that is now, if it has moved.

    Raises:
        UsageError: it is an index that no stage is made of.
        AnceError: it is damaged, or its kind cannot be searched here.
    """
    kind = kind_of(path)[0] if is_index(path) else KINDS["dense"]  # whose errors say what is missing
    assert kind.index is not None, "a folder with a manifest is an index"
    return kind.index(path, device=device, model=model)


def kind_of(path: Path) -> tuple[Kind, str]:
    """The kind of a path, and what it holds: ``"dense index"``. A model of unknown purpose counts as a reranker; ``ance_ir.models.open``
    opens it as a dense encoder. What is named by ``hf:`` is a dense index on the hub; models there are options: ``bert[model=NAME]``. An
    address is a server's.

    Raises:
        UsageError: it is no stage.
        ModelError: a training run that is not finished.
    """
    for kind in KINDS.values():
        held = kind.holds(path)
        if held is not None:
            return kind, held
    if is_index(path):
        raise UsageError(f"{path} is an index of the type {artifact_of(path)}, which is no stage of a system")
    if not path.is_dir():
        found = "a file" if path.exists() else "not there"
        raise UsageError(f"{path} is {found}; a stage is the folder of an index or of a model{import_hint(path)}")
    family = model_in(path)
    if family is not None:
        raise UsageError(f"{path} is a {family}, which is no stage of a system; ance_ir.pipelines.RagReader uses it")
    raise UsageError(f"{path} is no index and no model: it has no manifest.json, run.json or config.json")
