"""Checkpoints on disk: which layout one has, and our own, a sentence-transformers folder, plus ``ance_ir.json`` with what that format
has no place for.

Two towers that do not share weights are two such folders, ``query/`` and ``passage/``, under one ``ance_ir.json``.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, get_args

from safetensors.torch import save_file

from ance_ir.errors import AnceError, ModelError, UsageError
from ance_ir.files import write_json
from ance_ir.models.dense.card import model_card
from ance_ir.models.dense.layout import Opened, Similarity
from ance_ir.models.dense.layouts.ance import is_ance, open_ance
from ance_ir.models.dense.layouts.backbone import open_backbone
from ance_ir.models.dense.layouts.dpr import is_dpr, open_dpr, open_dpr_file
from ance_ir.models.dense.layouts.sentence_transformer import MODULES, open_sentence_transformer
from ance_ir.models.dense.model import DenseEncoder, Origin
from ance_ir.models.dense.published import PUBLISHED, Published
from ance_ir.models.dense.tower import Activation, Pooling, Tower
from ance_ir.models.loading.foreign import no_checkpoint, refuse_half, refuse_partial
from ance_ir.models.loading.saving import model_folder
from ance_ir.models.loading.source import expanded, resolve
from ance_ir.models.loading.weight_files import read_settings, read_weights
from ance_ir.models.loading.weights import FAULTS, quiet_transformers
from ance_ir.models.text.settings import TextSettings

logger = logging.getLogger(__name__)

SETTINGS = "ance_ir.json"
FORMAT = 1
_MODULE = "sentence_transformers.models."
_ACTIVATION_CLASSES: dict[Activation, str] = {
    "identity": "torch.nn.modules.linear.Identity",
    "tanh": "torch.nn.modules.activation.Tanh",
    "relu": "torch.nn.modules.activation.ReLU",
    "gelu": "torch.nn.modules.activation.GELU",
}

FreshHead = Literal["ance"]


def split_name(name: str) -> list[str]:
    """The names in a text: one, or with commas between them those of towers that are published apart."""
    return [name] if Path(name).exists() or "," not in name else [part.strip() for part in name.split(",")]


def load_encoder(
    names: list[str],
    head: FreshHead | None = None,
    seed: int = 42,
    pooling: Pooling | None = None,
    similarity: Similarity | None = None,
) -> DenseEncoder:
    """Open a checkpoint; see ``DenseEncoder.from_pretrained``."""
    names = [expanded(name) for name in names]
    name = ",".join(names)
    known = PUBLISHED.get(name, Published())
    for kind, value, choices in (("head", head, FreshHead), ("pooling", pooling, Pooling), ("similarity", similarity, Similarity)):
        if value not in (None, *get_args(choices)):
            raise UsageError(f"{kind} is {' or '.join(get_args(choices))} or None, not {value!r}")
    try:
        opened = _open_pair(names) if len(names) > 1 else _open(name, head, seed, pooling or known.pooling, similarity or known.similarity)
    except (*FAULTS, UsageError) as error:
        if isinstance(error, ImportError) and isinstance(error, AnceError):
            raise
        raise ModelError(f"{name}: the checkpoint does not load: {error}") from error
    if head is not None and "fresh head" not in opened.layout:
        raise ModelError(f"{name}: a fresh head was asked for, but this is no bare backbone ({opened.layout})")
    for kind, asked, has in (("pooling", pooling, opened.query.pooling), ("similarity", similarity, opened.query.similarity)):
        if asked not in (None, has):
            raise UsageError(f"{kind}={asked!r} was asked for, and {name} has its own, {has} ({opened.layout})")
    if opened.assumed:
        logger.warning(
            "%s: %s: assumed, since its files do not say; pooling= and similarity= of from_pretrained (--text pooling=cls) choose",
            name,
            " and ".join(opened.assumed),
        )
    if known.text:
        opened = replace(opened, text=replace(opened.text, **known.text), text_from=f"the table of published names, {name}")
    return DenseEncoder(
        opened.query,
        opened.passage,
        opened.tokenizer,
        opened.text,
        name=",".join(str(Path(one).resolve()) if Path(one).exists() else one for one in names),
        origin=Origin(layout=opened.layout, text=opened.text_from, unused=opened.unused),
    )


def _open_pair(names: list[str]) -> Opened:
    if len(names) != 2:
        raise ModelError(f"two towers are named by two names, question encoder and context encoder, not by {len(names)}")
    return open_dpr((resolve(names[0]), resolve(names[1])))


def _open(name: str, head: FreshHead | None, seed: int, pooling: Pooling | None, similarity: Similarity | None) -> Opened:
    path = resolve(name)
    if path.is_file():
        return open_dpr_file(path)
    refuse_partial(path)
    if (path / SETTINGS).exists():
        return _open_ours(path)
    if (path / MODULES).exists():
        return open_sentence_transformer(path, similarity, pooling)
    if is_dpr(path):
        known = PUBLISHED.get(name)
        if known is None or known.partner is None:
            raise ModelError(f"{name} is one of DPR's two towers; name both, with a comma between them: QUESTION,CONTEXT")
        return open_dpr((path, resolve(known.partner)))
    if not (path / "config.json").exists():
        towers = sorted(folder for folder in path.iterdir() if folder.is_dir() and is_dpr(folder))
        if len(towers) != 2:
            raise no_checkpoint(path)
        return open_dpr((towers[0], towers[1]))
    refuse_half(path)
    weights = read_weights(path)
    if is_ance(weights):
        return open_ance(path, weights)
    return open_backbone(path, weights, head=head is not None, seed=seed, pooling=pooling, similarity=similarity)


def _open_ours(folder: Path) -> Opened:
    settings = read_settings(folder / SETTINGS)
    if settings.get("format") != FORMAT:
        raise ModelError(
            f"{folder / SETTINGS}: format {settings.get('format')!r} is not {FORMAT}; a newer version of this package wrote it"
        )
    others = {"cross-encoder": ("reranker", "CrossEncoder"), "reader": ("reader", "Reader")}
    if kind := others.get(str(settings.get("kind"))):
        raise ModelError(f"{folder} holds a {kind[0]}, not an encoder of queries and passages; {kind[1]}.from_pretrained opens it")
    parts = [folder] if settings["towers"] == "shared" else [folder / "query", folder / "passage"]
    for part in parts:
        if not (part / "config.json").exists():
            raise no_checkpoint(part)
    towers = [open_sentence_transformer(part) for part in parts]
    return Opened(
        layout="ance_ir",
        query=towers[0].query,
        passage=towers[1].query if len(towers) > 1 else None,
        tokenizer=towers[0].tokenizer,
        text=TextSettings.from_json(settings["text"]),
        text_from=SETTINGS,
        unused=tuple(name for tower in towers for name in tower.unused),
    )


def save_encoder(model: DenseEncoder, folder: Path) -> None:
    """Write a checkpoint folder, whole or not at all; see ``DenseEncoder.save``."""
    with model_folder(folder, SETTINGS) as target:
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


def _save_tower(tower: Tower, model: DenseEncoder, folder: Path) -> None:
    with quiet_transformers():
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
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": model.text.passage_length, "do_lower_case": model.text.lower_case})
    prompts = {"query": model.text.query_prefix, "document": model.text.passage_prefix}
    write_json(folder / "config_sentence_transformers.json", {"prompts": prompts, "similarity_fn_name": model.similarity})
