"""Descriptions of paths that are no checkpoint, or half of one, for messages."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from ance_ir.errors import ModelError
from ance_ir.notices import examples

logger = logging.getLogger(__name__)

_BEGINNINGS: dict[bytes, str] = {
    b"version https://git-lfs": "a git-lfs pointer, not the file itself: run `git lfs pull`",
    b"<!doctype html": "a web page, as a failed download leaves it: download the file again",
    b"<html": "a web page, as a failed download leaves it: download the file again",
    b"<?xml": "an XML page, as a failed download leaves it: download the file again",
    b"\x1f\x8b": "compressed by gzip: decompress it first",
    b"7z\xbc\xaf": "a 7z archive: unpack it first",
    b"GGUF": "in GGUF, the format of llama.cpp, which is not read: take the safetensors or PyTorch files of the model",
    b"\x89HDF": "in HDF5, the format of Keras, which is not read: take the safetensors or PyTorch files of the model",
}
"""How files that are no weights begin, in lower case where they are text."""

_ADAPTER_FILES = ("adapter_config.json", "adapter_model.*")
_ADAPTERS_BELOW = ("*/adapter_config.json",)
_UNFINISHED = ("*.incomplete", "*/*.incomplete", ".cache/huggingface/download/**/*.incomplete", "*.crdownload", "*.part", "*.aria2")
_OTHER_FORMATS = {
    "GGUF": "**/*.gguf",
    "ONNX": "**/*.onnx",
    "OpenVINO": "**/openvino_model*.xml",
    "TensorFlow": "tf_model*.h5",
    "Flax": "flax_model*.msgpack",
    "Core ML": "**/*.mlpackage",
}
EXPORTED = "export.json"
"""What describes a model that this package exported; it comes last and says that the folder is complete."""
_OF_SENTENCE_TRANSFORMERS = ("[0-9]_[A-Z]*", "config_sentence_transformers.json", "sentence_*_config.json")
_MERGE = (
    "merge it into its base with the package peft, PeftModel.from_pretrained(base, adapter).merge_and_unload(), and save the result "
    "with the base's tokeniser"
)


def _there(*patterns: str) -> Callable[[Path], bool]:
    return lambda folder: any(next(folder.glob(pattern), None) is not None for pattern in patterns)


_FOLDERS: dict[str, Callable[[Path], bool]] = {
    "a collection of documents and queries; it goes with --dataset": _there("corpus.jsonl*", "queries*.tsv*"),
    "an index, not the model that encodes its queries": _there("pt_meta.json", "manifest.json"),
    "a folder of checkpoints; name the model of one, step-…/model": _there("step-*/model"),
    "an evaluation's output": _there("per_query.tsv"),
    "a folder of several models; name one of them": _there("*/config.json", "*/modules.json"),
}
"""Folders that are given for a model."""


def contents(path: Path) -> str | None:
    """A description of a file by its first bytes, if it can be neither weights nor JSON."""
    try:
        with path.open("rb") as stream:
            begins = stream.read(64).lstrip()
    except OSError:
        return None
    return next((name for start, name in _BEGINNINGS.items() if start in (begins[: len(start)], begins[: len(start)].lower())), None)


def no_checkpoint(folder: Path) -> ModelError:
    """The error for a folder without ``config.json``; it says what the folder is, if that can be seen."""
    if _there(*_ADAPTER_FILES, *_ADAPTERS_BELOW)(folder):
        return adapter(folder)
    seen = next((name for name, fits in _FOLDERS.items() if fits(folder)), None)
    if other := other_format(folder):
        seen = other
    elif folder.is_dir() and not any(folder.iterdir()):
        seen = "an empty folder"
    return ModelError(f"{folder}: no config.json, so this is no checkpoint folder" + (f"; it looks like {seen}" if seen else ""))


def other_format(folder: Path) -> str | None:
    """A description of a model in a format that is not read, if a folder holds one."""
    formats = [name for name, pattern in _OTHER_FORMATS.items() if _there(pattern)(folder)]
    if (folder / EXPORTED).exists():
        return f"an exported model, which other runtimes read; open the model that it was made of, which {EXPORTED} names"
    return f"a model in the format of {', '.join(formats)}, which is not read; take its safetensors or PyTorch files" if formats else None


def adapter(where: Path | str) -> ModelError:
    """The error for an adapter, or for weights with one among them."""
    return ModelError(f"{where} holds an adapter (PEFT, such as LoRA), which is not applied here: {_MERGE}")


def refuse_partial(folder: Path) -> None:
    """Refuse a folder whose weights are not complete: an adapter is next to them, or the download has not ended.

    Raises:
        ModelError: says which, and what to do.
    """
    if _there(*_ADAPTER_FILES)(folder):
        raise ModelError(f"{adapter(folder)}. If that was done, take the adapter's files out of the folder")
    below = sorted(file.parent.name for pattern in _ADAPTERS_BELOW for file in folder.glob(pattern))
    if below:
        logger.warning("%s: the adapter in its folder %s is not applied; the model is opened without it", folder, examples(below))
    unfinished = [file for pattern in _UNFINISHED for file in sorted(folder.glob(pattern))]
    blobs = folder.parent.parent / "blobs"  # of the Hugging Face cache, where a snapshot's files are links
    if folder.parent.name == "snapshots" and blobs.is_dir():
        unfinished += [file for file in sorted(blobs.glob("*.incomplete")) if not (blobs / file.name.partition(".")[0]).exists()]
    if unfinished:
        raise ModelError(
            f"{folder}: its download has not ended, {unfinished[0].name} is there; finish it (hf download …), or remove that file where "
            "it is left over from an older one"
        )


def refuse_half(folder: Path) -> None:
    """Refuse a folder of sentence-transformers without ``modules.json``, which would be read as a bare backbone.

    Raises:
        ModelError: says what is there.
    """
    partly = sorted(file.name for pattern in _OF_SENTENCE_TRANSFORMERS for file in folder.glob(pattern))
    if partly and not (folder / "modules.json").exists():
        raise ModelError(
            f"{folder}: half a sentence-transformers folder: {partly[0]} is there, and modules.json, which says how vectors are made, "
            "is not; download the folder again, or name the folder above if this is a part of one"
        )
