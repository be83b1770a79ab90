"""Checkpoints of dense encoders on disk: opened by the layout that they have, written as sentence-transformers folders."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from safetensors.torch import save_file
from transformers import PreTrainedTokenizerBase

from ance_ir.choices import check_choice
from ance_ir.errors import ModelError, UsageError
from ance_ir.files import write_json
from ance_ir.models.dense.layout import LAYOUTS, Choices, DenseCheckpoint, Files
from ance_ir.models.dense.pooling import POOLINGS
from ance_ir.models.dense.published import PUBLISHED, Published
from ance_ir.models.dense.tower import Activation, Similarity, Tower
from ance_ir.models.loading.family import SETTINGS, family_of, refuse_other
from ance_ir.models.loading.foreign import no_checkpoint, refuse_partial
from ance_ir.models.loading.source import resolve
from ance_ir.models.loading.weights import quiet_transformers, reading
from ance_ir.models.text.settings import TextSettings

logger = logging.getLogger(__name__)

_MODULE = "sentence_transformers.models."
_ACTIVATION_CLASSES: dict[Activation, str] = {
    "identity": "torch.nn.modules.linear.Identity",
    "tanh": "torch.nn.modules.activation.Tanh",
    "relu": "torch.nn.modules.activation.ReLU",
    "gelu": "torch.nn.modules.activation.GELU",
}

FRESH_HEADS = ("ance",)


def split_name(name: str) -> list[str]:
    """The names in a text: one, or with commas between them those of towers that are published apart."""
    return [name] if Path(name).exists() or "," not in name else [part.strip() for part in name.split(",")]


def read_encoder(names: list[str], choices: Choices) -> DenseCheckpoint:
    """Open a checkpoint; see ``DenseEncoder.from_pretrained``."""
    name = ",".join(names)
    for kind, value, known in (
        ("fresh head", choices.fresh_head, FRESH_HEADS),
        ("pooling", choices.pooling, POOLINGS),
        ("similarity", choices.similarity, get_args(Similarity)),
    ):
        if value is not None:
            check_choice(kind, value, known)
    published = PUBLISHED.get(name, Published())
    pooling, similarity = choices.pooling or published.pooling, choices.similarity or published.similarity
    with reading(name):
        opened = _open(names, replace(choices, pooling=pooling, similarity=similarity))
    if choices.fresh_head is not None and not opened.fresh_head:
        raise ModelError(f"{name}: a fresh head was asked for, but this is no bare backbone ({opened.layout})")
    for kind, asked, has in (
        ("pooling", choices.pooling, opened.query.pooling),
        ("similarity", choices.similarity, opened.query.similarity),
    ):
        if asked not in (None, has):
            raise UsageError(f"{kind}={asked!r} was asked for, and {name} has its own, {has} ({opened.layout})")
    if opened.assumed:
        logger.warning(
            "%s: %s: assumed, since its files do not say; pooling= and similarity= of from_pretrained (--text pooling=cls) choose",
            name,
            " and ".join(opened.assumed),
        )
    if published.text:
        settings = replace(opened.settings, **published.text)
        opened = replace(opened, settings=settings, settings_from=f"the table of published names, {name}")
    return opened


def _open(names: list[str], choices: Choices) -> DenseCheckpoint:
    if len(names) > 2:
        raise ModelError(f"two towers are named by two names, question encoder and context encoder, not by {len(names)}")
    files = Files(name=",".join(names), paths=tuple(resolve(name) for name in names))
    if len(names) == 1 and files.path.is_dir():
        refuse_partial(files.path)
        if files.has(SETTINGS) or family_of(files.path) == "RAG model":  # what others publish for another task has a backbone
            refuse_other(files.path, "encoder")
    for layout in sorted(LAYOUTS.values(), key=lambda layout: layout.order):
        if layout.recognises(files):
            return layout.open(files, choices)
    raise no_checkpoint(files.path)


def write_tower(tower: Tower, tokenizer: PreTrainedTokenizerBase, settings: TextSettings, folder: Path) -> None:
    """Write a tower as a sentence-transformers folder: lengths, case and prompts are among the settings, others have no place there."""
    with quiet_transformers():
        tower.backbone.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    modules = [("Transformer", "")]
    width = int(tower.backbone.config.hidden_size)

    def add(kind: str, config: dict[str, Any], weights: dict[str, Any] | None = None) -> None:
        path = folder / f"{len(modules)}_{kind}"
        modules.append((kind, path.name))
        path.mkdir()
        write_json(path / "config.json", config)
        if weights is not None:
            save_file({key: value.detach().cpu().contiguous() for key, value in weights.items()}, path / "model.safetensors")

    # sentence-transformers takes mean by default
    flags = dict.fromkeys(("cls_token", "mean_tokens"), False) | {POOLINGS[tower.pooling].flag: True}
    add("Pooling", {"word_embedding_dimension": width, **{f"pooling_mode_{flag}": on for flag, on in flags.items()}})
    if (head := tower.head) is not None:
        config = {
            "in_features": width,
            "out_features": tower.dimension,
            "bias": head.linear.bias is not None,
            "activation_function": _ACTIVATION_CLASSES[head.activation],
        }
        add("Dense", config, {f"linear.{key}": value for key, value in head.linear.state_dict().items()})
        if head.norm is not None:
            add("LayerNorm", {"dimension": tower.dimension}, {f"norm.{key}": value for key, value in head.norm.state_dict().items()})
    if tower.normalize:
        add("Normalize", {})
    write_json(
        folder / "modules.json",
        [{"idx": i, "name": str(i), "path": path, "type": _MODULE + kind} for i, (kind, path) in enumerate(modules)],
    )
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": settings.passage_length, "do_lower_case": settings.lower_case})
    prompts = {"query": settings.query_prefix, "document": settings.passage_prefix}
    write_json(folder / "config_sentence_transformers.json", {"prompts": prompts, "similarity_fn_name": tower.similarity})
