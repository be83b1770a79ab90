"""Which family of models a checkpoint's folder holds, as far as its small files say; ``ance_ir.json``, in which our own say it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from ance_ir.errors import ModelError
from ance_ir.files import write_json
from ance_ir.models.loading.weight_files import pools, read_settings

Family = Literal["encoder", "reranker", "reader", "RAG model", "sparse encoder", "multi-vector encoder"]

ADAPTER = "adapter_config.json"
"""In an adapter's folder."""
SETTINGS = "ance_ir.json"
"""What this package adds to a checkpoint of its own."""
_FORMAT = 1
_KINDS: Mapping[str, Family] = {"cross-encoder": "reranker", "reader": "reader", "CrossEncoder": "reranker"}
"""Families by the ``kind`` in ``ance_ir.json``, of which an encoder's has none, or the class of an adapter's ``family``."""
_ARCHITECTURES: Mapping[str, Family] = {
    "HF_ColBERT": "multi-vector encoder",
    "ForSequenceClassification": "reranker",
    "ForQuestionAnswering": "reader",
    "DPRReader": "reader",
}
"""Families by what the classes end with that ``config.json`` names."""
_CLASSES: Mapping[Family, str] = {
    "encoder": "DenseEncoder",
    "reranker": "CrossEncoder",
    "reader": "Reader",
    "RAG model": "RagToken",
    "sparse encoder": "SparseEncoder",
    "multi-vector encoder": "MultiVectorEncoder",
}
_LIBRARY: Mapping[str, Family] = {
    "SparseEncoder": "sparse encoder",
    "MultiVectorEncoder": "multi-vector encoder",
    "ColBERT": "multi-vector encoder",
}
"""Families by the ``model_type`` that sentence-transformers and PyLate write."""
_MODULES: Mapping[str, Family] = {
    "SpladePooling": "sparse encoder",
    "SparseAutoEncoder": "sparse encoder",
    "SparseStaticEmbedding": "sparse encoder",
    "MultiVectorMask": "multi-vector encoder",
    "pylate.models": "multi-vector encoder",
}
"""Families by a class in ``modules.json``, where no ``model_type`` is written."""


def family_of(folder: Path) -> Family | None:
    """What a folder says that it holds; ``None`` where it says nothing, as that of a bare backbone.

    Raises:
        ModelError: a file is not JSON.
    """
    if (folder / SETTINGS).exists():
        said = read_settings(folder / SETTINGS)
        return _KINDS.get(str(said.get("family", said.get("kind"))), "encoder")
    of_library = _of_library(folder)
    if of_library is not None:
        return of_library
    if pools(folder):
        return "encoder"  # of sentence-transformers; its backbone may have begun as a classifier
    if not (folder / "config.json").exists():
        return _of_adapter(folder)
    whole = folder / "config_sentence_transformers.json"
    if (folder / "modules.json").exists() and whole.exists() and read_settings(whole).get("model_type") == "CrossEncoder":
        return "reranker"
    config = read_settings(folder / "config.json")
    if config.get("model_type") == "rag":
        return "RAG model"
    named = config.get("architectures")
    classes = [str(name) for name in named] if isinstance(named, list) else []
    found = [family for ending, family in _ARCHITECTURES.items() if any(name.endswith(ending) for name in classes)]
    return found[0] if found else "encoder" if config.get("model_type") == "dpr" else None


def _of_library(folder: Path) -> Family | None:
    """A family whose folders sentence-transformers alone opens; ``None`` for any other."""
    modules, whole = folder / "modules.json", folder / "config_sentence_transformers.json"
    if not modules.exists():
        return None
    said = read_settings(whole).get("model_type") if whole.exists() else None
    if said is not None:
        return _LIBRARY.get(str(said))
    listed = modules.read_text(encoding="utf-8", errors="replace")
    return next((family for name, family in _MODULES.items() if name in listed), None)


def _of_adapter(folder: Path) -> Family | None:
    """What a folder with an adapter holds: what its task says, else what its base is, where that is a folder."""
    if not (folder / ADAPTER).exists():
        return None
    config = read_settings(folder / ADAPTER)
    if config.get("task_type") == "SEQ_CLS":
        return "reranker"
    base = Path(str(config.get("base_model_name_or_path")))
    return family_of(base) if base.is_dir() and base != folder else None


def refuse_other(folder: Path, family: Family, instead: str = "") -> None:
    """Refuse a folder that says that it holds a model of another family.

    Args:
        folder: of a checkpoint.
        family: that was expected.
        instead: what else can be done with it, for the message.

    Raises:
        ModelError: says what it holds, and what opens it.
    """
    found = family_of(folder)
    if found not in (None, family):
        raise ModelError(
            f"{folder} holds {_with_article(found)}, not {_with_article(family)}; "
            f"ance_ir.models.{_CLASSES[found]}.from_pretrained opens it{instead}"
        )


def _with_article(family: Family) -> str:
    return f"{'an' if family == 'encoder' else 'a'} {family}"


def read_ours(folder: Path) -> dict[str, Any] | None:
    """``ance_ir.json`` of a folder; ``None`` where there is none.

    Raises:
        ModelError: a newer version of this package wrote it, or it is damaged.
    """
    path = folder / SETTINGS
    if not path.exists():
        return None
    saved = read_settings(path)
    if saved.get("format") != _FORMAT:
        raise ModelError(f"{path}: format {saved.get('format')!r} is not {_FORMAT}; a newer version of this package wrote it")
    return saved


def write_ours(folder: Path, **content: Any) -> None:
    """Write ``ance_ir.json``; it comes last and says that the folder is complete."""
    write_json(folder / SETTINGS, {"format": _FORMAT, **content})
