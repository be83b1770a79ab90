"""Folders of sentence-transformers: modules, lengths, case and prompts; one tower, or two in a Router."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from ance_ir.errors import ModelError
from ance_ir.models.dense.layout import Choices, DenseCheckpoint, Files, Layout, check_fit, longest
from ance_ir.models.dense.layouts.backbone import open_backbone
from ance_ir.models.dense.modules import MODULES, STATIC, Modules, checked, joined, read_pooling, read_routes, read_steps
from ance_ir.models.dense.pooling import pooling_names
from ance_ir.models.dense.static import read_static
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
    cut = settings.get("truncate_dim")
    if isinstance(cut, int) and cut < 1:
        raise ModelError(f"{folder / MODEL_SETTINGS}: truncate_dim is at least 1, or null for whole vectors, not {cut}")
    routes = read_routes(folder)
    read = [_read(modules, cut, similarity, choices.pooling, folder) for modules in routes.values()]
    towers, tokenizers = [one.tower for one in read], [one.tokenizer for one in read]
    check_fit(towers, tokenizers, folder)
    prompts, usual = prompts_of(folder / MODEL_SETTINGS, settings)
    return DenseCheckpoint(
        layout="sentence-transformers, Router" if len(towers) > 1 else "sentence-transformers",
        query=towers[0],
        passage=towers[1] if len(towers) > 1 else None,
        tokenizer=max(tokenizers, key=lambda tokenizer: tokenizer.model_max_length),
        settings=_text_settings(prompts, usual, read[0], read[-1], folder),
        settings_from="the folder's own files",
        prompts=Prompts(named=prompts, form=form_in(prompts), usual=settings.get("default_prompt_name") or None),
        unused=tuple(name for one in read for name in one.unused),
        assumed=tuple(dict.fromkeys(assumption for one in read for assumption in one.assumed)),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Read:
    """A tower that was read.

    Attributes:
        tower: from its modules.
        tokenizer: its own.
        saved: the settings of its first module: lengths and case.
        unused: names of weights that have no place in it.
        assumed: choices that the files do not name.
    """

    tower: Tower
    tokenizer: PreTrainedTokenizerBase
    saved: Mapping[str, Any]
    unused: tuple[str, ...]
    assumed: tuple[str, ...]

    def length(self, name: str) -> int:
        """The most tokens of a text: under a name of its own, or for all texts, or what the model takes."""
        most = longest(self.tokenizer, self.tower)
        return min(most, next((self.saved[key] for key in (name, "max_seq_length") if self.saved.get(key) is not None), most))


def _read(modules: Modules, cut: int | None, similarity: str | None, pooling: str | None, folder: Path) -> _Read:
    (kind, home), *rest = modules
    assumed = []
    config: PretrainedConfig | None = None
    if kind == STATIC:
        pooling = "mean"
    else:
        config = load_config(home)
        files = sorted(home.glob("sentence_*_config.json"))
        saved: Mapping[str, Any] = checked(files[0], TRANSFORMER) if files else {}
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
    # Last, since it may take minutes: by now all smaller files have been found right.
    unused: tuple[str, ...] = ()
    backbone: PreTrainedModel
    if config is None:
        backbone, tokenizer, length = read_static(home)
        saved = {"max_seq_length": length}
    else:
        tokenizer = load_tokenizer(home, config)
        backbone, unused = build_backbone(config, read_weights(home), str(home))
    head = joined(steps, int(backbone.config.hidden_size) * len(pooling_names(pooling)), folder)
    head = None if head is None else head.to(backbone.dtype)
    tower = Tower(backbone, pooling=pooling, head=head, normalize=similarity == "cosine")
    return _Read(tower=tower, tokenizer=tokenizer, saved=saved, unused=unused, assumed=tuple(assumed))


def _text_settings(prompts: Mapping[str, str], usual: str, query: _Read, passage: _Read, folder: Path) -> TextSettings:
    """Lengths, case and prompts; newer versions of the library keep the length with the tokeniser.

    Args:
        prompts: by their names.
        usual: the one of texts of no other prompt.
        query: the tower for queries.
        passage: the tower for passages.
        folder: for messages.

    Raises:
        ModelError: the case is said for one of the towers alone.
    """
    if bool(query.saved.get("do_lower_case")) != bool(passage.saved.get("do_lower_case")):
        raise ModelError(f"{folder}: do_lower_case is set for one of its two towers; both or neither are understood")

    def prompt(*names: str) -> str:  # one that is there and empty is meant
        return next((prompts[name] for name in names if name in prompts), usual)

    return TextSettings(
        passage_length=passage.length("document_length"),
        query_length=query.length("query_length"),
        lower_case=bool(passage.saved.get("do_lower_case")),
        max_characters=None,
        query_prefix=prompt("query"),
        passage_prefix=prompt(*FOR_PASSAGES),
    )


def _open(files: Files, choices: Choices) -> DenseCheckpoint:
    """As the folder says; or its backbone with a fresh head, in the place of all modules after it."""
    bare = choices.fresh_head is not None and files.has("config.json")
    return open_backbone(files, choices) if bare else open_folder(files.path, choices)


LAYOUT = Layout(sign="modules.json", order=3, recognises=lambda files: files.has(MODULES), open=_open)
