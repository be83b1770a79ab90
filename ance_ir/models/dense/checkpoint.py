"""Checkpoints of dense encoders on disk: opened by the layout that they have, written as sentence-transformers folders."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from ance_ir.choices import check_choice
from ance_ir.errors import ModelError, UsageError
from ance_ir.files import read_json, write_json
from ance_ir.models.adapters.folders import Adapter, Saved, find_adapter, warn_of_no_adapter
from ance_ir.models.adapters.layers import merge, put_in
from ance_ir.models.dense.layout import Choices, DenseCheckpoint, Files, find_layout
from ance_ir.models.dense.modules import MODULES, ROUTER, ROUTES, STATIC
from ance_ir.models.dense.pooling import POOLINGS, pooling_names
from ance_ir.models.dense.published import Published, find_published, pair_of
from ance_ir.models.dense.static import StaticBackbone, write_static
from ance_ir.models.dense.tower import Activation, Cut, Head, Similarity, Step, Tower, UnitLength
from ance_ir.models.loading.family import SETTINGS, Family, family_of, refuse_other
from ance_ir.models.loading.foreign import refuse_partial
from ance_ir.models.loading.provenance import read_provenance
from ance_ir.models.loading.sentence_transformers import warn_of_unused
from ance_ir.models.loading.source import resolve
from ance_ir.models.loading.weights import quiet_transformers, reading
from ance_ir.models.text.ending import lost_end
from ance_ir.models.text.prompts import FOR_PASSAGES, Prompts
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
        ("similarity", choices.similarity, get_args(Similarity)),
    ):
        if value is not None:
            check_choice(kind, value, known)
    if choices.normalize is False and choices.similarity == "cosine":
        raise UsageError("normalize=False and similarity='cosine' exclude each other: the cosine is that of vectors of length 1")
    if choices.pooling is not None:
        choices = replace(choices, pooling="+".join(pooling_names(choices.pooling)))
    if choices.normalize is not None:
        choices = replace(choices, similarity="cosine" if choices.normalize else "dot")
    names = pair_of(names)
    with reading(name):
        saved = Saved.find(name) if len(names) == 1 else None
        adapter = find_adapter(name) if len(names) == 1 and saved is None else None
        published = _published(names[0], adapter)
        pooling, similarity = choices.pooling or published.pooling, choices.similarity or published.similarity
        opened = _open(names, replace(choices, pooling=pooling, similarity=similarity), saved, adapter)
    if published.bidirectional:
        opened.query.backbone.config.is_causal = False
    if choices.fresh_head is not None and not opened.fresh_head:
        raise ModelError(f"{name}: a fresh head was asked for, but this is no bare backbone ({opened.layout})")
    if choices.normalize:
        for tower in (opened.query, opened.passage):
            if tower is not None:
                tower.normalize = True
    if choices.normalize is False and opened.query.normalize:
        raise UsageError(f"normalize=False was asked for, and {name} makes vectors of length 1 itself ({opened.layout})")
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
    return _prompted(name, opened, published, choices)


def _published(name: str, adapter: Adapter | None) -> Published:
    """What the table says of a checkpoint, or of the base of an adapter; prompts in the adapter's own folder go before the base's."""
    if (found := find_published(name)).family or adapter is None:
        return found
    base = find_published(adapter.base)
    if not (adapter.folder / "config_sentence_transformers.json").exists():
        return base
    return replace(base, text={name: value for name, value in base.text.items() if not name.endswith("_prefix")}, instruction=None)


def _prompted(name: str, opened: DenseCheckpoint, published: Published, choices: Choices) -> DenseCheckpoint:
    """The checkpoint under the text settings of the table of published names, and with the prompts that the caller chose."""
    if published.text:
        settings = replace(opened.settings, **published.text)
        opened = replace(opened, settings=settings, settings_from=f"the table of published names, {name}")
    if opened.settings.end_token is None and (token := lost_end(opened.tokenizer)) is not None:
        logger.warning(
            "%s: tokenizer_config.json says add_eos_token, and its tokeniser ends texts with no token; end_token=%r ends them", name, token
        )
    if published.instruction is not None:
        opened = replace(opened, prompts=replace(opened.prompts, form=published.instruction))
    chosen = opened.prompts.chosen(choices.query_prompt, choices.passage_prompt, choices.instruction)
    if chosen:
        settings = replace(opened.settings, **chosen)
        source = f"{opened.settings_from}; {', '.join(sorted(chosen))} chosen by the caller"
        opened = replace(opened, settings=settings, settings_from=source)
    elif not opened.settings.query_prefix and not opened.prompts.named.keys() & {"query", *FOR_PASSAGES}:
        warn_of_unused(name, opened.prompts.named, "query_prompt={} ({prompt!r})")
    return opened


_WHOLE: tuple[Family, ...] = ("RAG model", "sparse encoder", "multi-vector encoder")
"""What is of no use as a dense encoder."""


def _open(names: list[str], choices: Choices, saved: Saved | None, adapter: Adapter | None) -> DenseCheckpoint:
    if len(names) > 2:
        raise ModelError(f"two towers are named by two names, question encoder and context encoder, not by {len(names)}")
    if saved is not None:
        refuse_other(saved.folder, "encoder")
        return _over(saved, choices)
    if adapter is not None:
        with adapter.over_base() as folder:
            opened = _read(Files(name=names[0], paths=(folder,)), choices)
            put_in(adapter, opened.query.backbone)
        if choices.merge_adapter:
            merge(opened.query.backbone)
        return replace(opened, layout=f"{opened.layout}, with an adapter over {adapter.base}")
    if choices.merge_adapter:
        warn_of_no_adapter(",".join(names))
    return _read(Files(name=",".join(names), paths=tuple(resolve(name) for name in names)), choices)


def _over(saved: Saved, choices: Choices) -> DenseCheckpoint:
    """The base of an adapter that was trained here, with it."""
    try:
        opened = read_encoder(split_name(saved.base), Choices(**{name: saved.options[name] for name in saved.options if name != "layers"}))
    except ModelError as error:
        raise ModelError(f"{saved.folder} holds an adapter, and its base does not open: {error}") from error
    backbones = [tower.backbone for tower in (opened.query, opened.passage) if tower is not None]
    saved.put_in(backbones, put_in)
    if choices.merge_adapter:
        for backbone in backbones:
            merge(backbone)
    settings, layout = TextSettings.from_json(saved.settings), f"{opened.layout}, with an adapter over {saved.base}"
    return replace(opened, layout=layout, settings=settings, settings_from=SETTINGS, assumed=())


def _read(files: Files, choices: Choices) -> DenseCheckpoint:
    if len(files.paths) == 1 and files.path.is_dir():
        refuse_partial(files.path)
        if files.has(SETTINGS) or family_of(files.path) in _WHOLE:  # what else others publish for another task has a backbone
            refuse_other(files.path, "encoder")
    return replace(find_layout(files).open(files, choices), provenance=read_provenance(files.path, files.name))


def write_towers(
    towers: Sequence[Tower],
    tokenizer: PreTrainedTokenizerBase,
    settings: TextSettings,
    prompts: Prompts,
    folder: Path,
    *,
    backbones: bool = True,
) -> dict[str, Tower]:
    """Write an encoder as a sentence-transformers folder: one tower there, two in the folders ``query`` and ``passage``, with a ``Router``.

    Of the settings, such a folder has a place for lengths, case and prompts.

    Args:
        towers: one for queries and passages, or one for each.
        tokenizer: theirs.
        settings: the text settings.
        prompts: what can be chosen by name.
        folder: where to.
        backbones: whether the backbones' weights are written too, and not their configurations alone.

    Returns:
        The towers by their folders, the folder itself by ``"."``.
    """
    parts = dict(zip(["."] if len(towers) == 1 else ["query", "passage"], towers, strict=True))
    for part, tower in parts.items():
        (folder / part).mkdir(exist_ok=True)
        own = replace(settings, passage_length=settings.query_length) if part == "query" else settings
        _write_tower(tower, tokenizer, own, prompts, folder / part, backbone=backbones)
    if len(towers) > 1:
        _write_router(folder, towers[0], prompts)
    return parts


def _write_tower(
    tower: Tower,
    tokenizer: PreTrainedTokenizerBase,
    settings: TextSettings,
    prompts: Prompts,
    folder: Path,
    *,
    backbone: bool,
) -> None:
    modules = [(STATIC if isinstance(tower.backbone, StaticBackbone) else "Transformer", "")]

    def add(kind: str, config: dict[str, Any], weights: dict[str, Any] | None = None) -> None:
        path = folder / f"{len(modules)}_{kind}"
        modules.append((kind, path.name))
        path.mkdir()
        write_json(path / "config.json", config)
        if weights is not None:
            save_file({key: value.detach().cpu().contiguous() for key, value in weights.items()}, path / "model.safetensors")

    if isinstance(tower.backbone, StaticBackbone):
        write_static(tower.backbone, tokenizer, settings, folder, weights=backbone)
    else:
        with quiet_transformers():
            (tower.backbone if backbone else tower.backbone.config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        lengths = {"max_seq_length": settings.passage_length, "do_lower_case": settings.lower_case}
        write_json(folder / "sentence_bert_config.json", lengths)
        add("Pooling", {"word_embedding_dimension": int(tower.backbone.config.hidden_size), **_pooling_config(tower.pooling)})
    for step in tower.steps:
        for kind, config, weights in _modules_of(step):
            add(kind, config, weights)
    if tower.normalize:
        add("Normalize", {})
    write_json(
        folder / MODULES,
        [{"idx": i, "name": str(i), "path": path, "type": _MODULE + kind} for i, (kind, path) in enumerate(modules)],
    )
    _write_settings(folder, tower, prompts)


def _write_router(folder: Path, tower: Tower, prompts: Prompts) -> None:
    """Make one sentence-transformers model of the folders ``query`` and ``passage``, whose ``Router`` module points at their modules."""
    types: dict[str, str] = {}
    structure: dict[str, list[str]] = {}
    for route, part in zip(ROUTES, ("query", "passage"), strict=True):
        listed = {f"{part}/{module['path']}".rstrip("/"): module["type"] for module in read_json(folder / part / MODULES)}
        types |= listed
        structure[route] = list(listed)
    parameters = {"default_route": ROUTES[1], "allow_empty_key": True, "route_mappings": {}}
    write_json(folder / ROUTER, {"types": types, "structure": structure, "parameters": parameters})
    write_json(folder / MODULES, [{"idx": 0, "name": "0", "path": "", "type": f"{_MODULE}Router"}])
    _write_settings(folder, tower, prompts)


def _write_settings(folder: Path, tower: Tower, prompts: Prompts) -> None:
    last = tower.steps[-1] if tower.steps else None
    cut = {"truncate_dim": last.dimension} if isinstance(last, Cut) else {}
    said = {"prompts": dict(prompts.named), "default_prompt_name": prompts.usual, "similarity_fn_name": tower.similarity}
    write_json(folder / "config_sentence_transformers.json", {**said, **cut})


def _pooling_config(text: str) -> dict[str, Any]:
    """The settings of a Pooling module: one by its flag, as all versions of sentence-transformers read it, several by their modes."""
    names = pooling_names(text)
    flag = POOLINGS[names[0]].flag
    if len(names) > 1 or flag is None:
        return {"pooling_mode": [POOLINGS[name].mode or name for name in names]}
    flags = dict.fromkeys(("cls_token", "mean_tokens"), False) | {flag: True}  # mean is what it takes by default
    return {f"pooling_mode_{flag}": on for flag, on in flags.items()}


def _modules_of(step: Step) -> Iterator[tuple[str, dict[str, Any], dict[str, Tensor] | None]]:
    """The modules that a step is written as: their classes, settings and weights."""
    if isinstance(step, Head):
        config = {
            "in_features": step.linear.in_features,
            "out_features": step.dimension,
            "bias": step.linear.bias is not None,
            "activation_function": _ACTIVATION_CLASSES[step.activation],
            **({"use_residual": True} if step.adds_input else {}),
        }
        linear = {name: tensor for name, tensor in step.state_dict().items() if not name.startswith("norm.")}
        yield "Dense", config, linear
        if step.norm is not None:
            yield from _modules_of(step.norm)
    elif isinstance(step, nn.LayerNorm):
        weights = {f"norm.{name}": tensor for name, tensor in step.state_dict().items()}
        yield "LayerNorm", {"dimension": step.normalized_shape[0]}, weights
    elif isinstance(step, UnitLength):
        yield "Normalize", {}, None
