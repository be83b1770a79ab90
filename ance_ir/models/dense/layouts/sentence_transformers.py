"""Folders of sentence-transformers: modules, lengths, case and prompts; one tower, or two in a Router."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ance_ir.errors import ModelError
from ance_ir.models.dense.layout import Choices, DenseCheckpoint, Layout, check_fit, longest
from ance_ir.models.dense.modules import MODULES, Modules, checked, joined, read_pooling, read_routes, read_steps
from ance_ir.models.dense.pooling import pooling_names
from ance_ir.models.dense.tower import Cut, Tower, UnitLength
from ance_ir.models.loading.sentence_transformers import MODEL, TRANSFORMER, prompts_of
from ance_ir.models.loading.weight_files import read_weights
from ance_ir.models.loading.weights import build_backbone, load_config, load_tokenizer
from ance_ir.models.text.prompts import FOR_PASSAGES, Prompts, form_in
from ance_ir.models.text.settings import TextSettings

MODEL_SETTINGS = "config_sentence_transformers.json"


def open_folder(folder: Path, choices: Choices) -> DenseCheckpoint:
    """Read the folder.

    Args:
        folder: with ``modules.json``.
        choices: a pooling where the folder has no module for it, a similarity where it does not say one.

    Raises:
        ModelError: a module or a setting that is not understood, or files that do not fit.
    """
    settings = checked(folder / MODEL_SETTINGS, MODEL)
    similarity = settings.get("similarity_fn_name") or choices.similarity
    routes = read_routes(folder)
    read = [_tower(modules, settings.get("truncate_dim"), similarity, choices.pooling, folder) for modules in routes.values()]
    towers = [tower for tower, _, _ in read]
    homes = [modules[0][1] for modules in routes.values()]
    tokenizers = [load_tokenizer(home, tower.backbone.config) for home, tower in zip(homes, towers, strict=True)]
    check_fit(towers, tokenizers, folder)
    most = [longest(tokenizer, tower) for tokenizer, tower in zip(tokenizers, towers, strict=True)]
    prompts, usual = prompts_of(folder / MODEL_SETTINGS, settings)
    assumed = dict.fromkeys(assumption for _, _, assumptions in read for assumption in assumptions)
    return DenseCheckpoint(
        layout="sentence-transformers, Router" if len(towers) > 1 else "sentence-transformers",
        query=towers[0],
        passage=towers[1] if len(towers) > 1 else None,
        tokenizer=max(tokenizers, key=lambda tokenizer: tokenizer.model_max_length),
        settings=_text_settings(prompts, usual, (homes[0], most[0]), (homes[-1], most[-1])),
        settings_from="the folder's own files",
        prompts=Prompts(named=prompts, form=form_in(prompts)),
        unused=tuple(name for _, unused, _ in read for name in unused),
        assumed=tuple(assumed),
    )


def _tower(
    modules: Modules, cut: int | None, similarity: str | None, pooling: str | None, folder: Path
) -> tuple[Tower, tuple[str, ...], list[str]]:
    """A tower, the names of weights that have no place in it, and what was assumed."""
    (_, home), *rest = modules
    backbone, unused = build_backbone(load_config(home), read_weights(home), str(home))
    assumed = []
    if rest and rest[0][0] == "Pooling":
        pooling = read_pooling(rest.pop(0)[1])
    elif pooling is None:
        pooling = "mean"
        assumed.append("mean pooling")
    steps = read_steps(rest)
    if steps and isinstance(steps[-1], UnitLength) and not (cut and similarity == "dot"):
        steps.pop()
        similarity = "cosine"
    if cut:
        steps.append(Cut(cut))
    if similarity is None:
        assumed.append("dot product as similarity")
    head = joined(steps, int(backbone.config.hidden_size) * len(pooling_names(pooling)), folder)
    head = None if head is None else head.to(backbone.dtype)
    return Tower(backbone, pooling=pooling, head=head, normalize=similarity == "cosine"), unused, assumed


def _text_settings(prompts: Mapping[str, str], usual: str, query: tuple[Path, int], passage: tuple[Path, int]) -> TextSettings:
    """Lengths, case and prompts; newer versions of the library keep the length with the tokeniser.

    Args:
        prompts: by their names.
        usual: the one of texts of no other prompt.
        query: the folder of the Transformer module for queries, and the most tokens that it takes.
        passage: the same for documents.

    Raises:
        ModelError: the case is said for one of the towers alone.
    """
    for_query, for_passage = (checked(files[0], TRANSFORMER) if files else {} for files in (_files(query[0]), _files(passage[0])))
    if bool(for_query.get("do_lower_case")) != bool(for_passage.get("do_lower_case")):
        raise ModelError(f"{query[0]} and {passage[0]}: do_lower_case is set for one of them; both or neither are understood")

    def prompt(*names: str) -> str:  # one that is there and empty is meant
        return next((prompts[name] for name in names if name in prompts), usual)

    def length(saved: Mapping[str, Any], name: str, most: int) -> int:
        given = next((saved[key] for key in (name, "max_seq_length") if saved.get(key) is not None), most)
        return min(given, most)

    return TextSettings(
        passage_length=length(for_passage, "document_length", passage[1]),
        query_length=length(for_query, "query_length", query[1]),
        lower_case=bool(for_passage.get("do_lower_case")),
        max_characters=None,
        query_prefix=prompt("query"),
        passage_prefix=prompt(*FOR_PASSAGES),
    )


def _files(home: Path) -> list[Path]:
    return sorted(home.glob("sentence_*_config.json"))


LAYOUT = Layout(
    sign="modules.json", order=3, recognises=lambda files: files.has(MODULES), open=lambda files, choices: open_folder(files.path, choices)
)
