"""Cross-encoders on disk: opened by the layout that they have, written as that layout's library opens them, and as this package does."""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from pathlib import Path

from transformers import PreTrainedModel

from ance_ir.errors import ModelError
from ance_ir.models.adapters.folders import Saved, find_adapter, warn_of_no_adapter
from ance_ir.models.adapters.layers import merge, put_in
from ance_ir.models.cross.layout import LAYOUTS, Choices, Files, Layout, Parts
from ance_ir.models.cross.pairs import PairSettings
from ance_ir.models.loading.checkpoint import Checkpoint, Origin, find_folder
from ance_ir.models.loading.family import SETTINGS, family_of, read_ours, refuse_other, write_ours
from ance_ir.models.loading.provenance import read_provenance
from ance_ir.models.loading.weights import reading

logger = logging.getLogger(__name__)

_FRESH = "classifier"


def read_cross_encoder(name: str, choices: Choices) -> Checkpoint[PairSettings]:
    """Open a checkpoint; see ``CrossEncoder.from_pretrained``."""
    if not choices.fresh_head and (saved := Saved.find(name)) is not None:
        refuse_other(saved.folder, "reranker")
        return _over(saved, choices)
    adapter = find_adapter(name)
    with reading(name):
        if adapter is None or choices.fresh_head:
            if choices.merge_adapter and adapter is None:
                warn_of_no_adapter(name)
            return _read(name, find_folder(name, "reranker", fresh_head=choices.fresh_head, remedy=LAYOUTS[_FRESH].remedy), choices)
        with adapter.over_base() as folder:
            opened = _read(name, find_folder(str(folder), "reranker", fresh_head=False, remedy=LAYOUTS[_FRESH].remedy), choices)
            put_in(adapter, opened.model)
        if choices.merge_adapter:
            merge(opened.model)
    return replace(opened, origin=replace(opened.origin, layout=f"{opened.origin.layout}, with an adapter over {adapter.base}"))


def _over(saved: Saved, choices: Choices) -> Checkpoint[PairSettings]:
    """The base of an adapter that was trained here, with it."""
    try:
        before = bool(saved.options.get("merge_adapter"))
        opened = read_cross_encoder(saved.base, Choices(settings=saved.settings, merge_adapter=before))
    except ModelError as error:
        raise ModelError(f"{saved.folder} holds an adapter, and its base does not open: {error}") from error
    saved.put_in([opened.model], put_in)
    if choices.merge_adapter:
        merge(opened.model)
    origin = replace(opened.origin, layout=f"{opened.origin.layout}, with an adapter over {saved.base}", settings=SETTINGS)
    return replace(opened, settings=PairSettings.from_json(saved.settings), origin=origin)


def _read(name: str, folder: Path, choices: Choices) -> Checkpoint[PairSettings]:
    fresh = choices.fresh_head
    ours = read_ours(folder) if not fresh or family_of(folder) == "reranker" else None
    files = Files(name=name, folder=folder)
    layout = LAYOUTS[_FRESH] if fresh else next(layout for layout in _ordered() if layout.recognises(files))
    model, unused = layout.build(files, choices)
    tokenizer = files.tokenizer(model.config)
    said = layout.read_settings(files, choices, model, tokenizer) if ours is None else PairSettings.from_json(ours.get("settings"))
    source = SETTINGS if ours is not None else "the folder's own files"
    origin = Origin(layout="reranker", settings=source, unused=unused, provenance=read_provenance(folder, name))
    return Checkpoint(model=model, tokenizer=tokenizer, settings=said, origin=origin)


def write_cross_encoder(parts: Parts, folder: Path) -> None:
    """Write a checkpoint."""
    layout_of(parts.model).write(parts, folder)
    write_ours(folder, kind="cross-encoder", settings=asdict(parts.settings))


def layout_of(model: PreTrainedModel) -> Layout:
    """The layout of a model by its class.

    Raises:
        ModelError: its class is of no layout.
    """
    for layout in _ordered():
        if type(model).__name__ in layout.class_names:
            return layout
    raise ModelError(f"{type(model).__name__} is no class of rerankers: those for sequence classification and language models are")


def _ordered() -> list[Layout]:
    return sorted(LAYOUTS.values(), key=lambda layout: layout.order)
