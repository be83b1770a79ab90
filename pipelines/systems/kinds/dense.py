"""A dense model over the dataset, or a dense index."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, get_args

import pyterrier as pt

from ance_ir.errors import ModelError, UsageError
from ance_ir.hub import PREFIX
from ance_ir.indexes import AnceIndex, parse_passages
from ance_ir.indexes.ann.settings import checked_backend
from ance_ir.indexes.graph import MOST_NEIGHBOURS, checked_graph_backend
from ance_ir.indexes.search.aggregation import parse_aggregation
from ance_ir.models import DenseEncoder, TextSettings
from ance_ir.models.dense.pooling import pooling_names
from ance_ir.models.dense.published import find_published
from ance_ir.models.dense.tower import Similarity
from ance_ir.models.text.prompts import INSTRUCTION, USUAL
from ance_ir.models.text.settings import OPENING, parse_settings
from ance_ir.pipelines.adaptive import ADAPTIVES, AdaptiveRetriever
from ance_ir.pipelines.feedback import FEEDBACKS
from ance_ir.pipelines.feedback.base import VectorPRF
from ance_ir.pipelines.systems.cache import dataset_dense
from ance_ir.pipelines.systems.checkpoints import checkpoint_for
from ance_ir.pipelines.systems.contents import artifact_of, model_in
from ance_ir.pipelines.systems.context import Context, with_remedy
from ance_ir.pipelines.systems.kind import Kind, Opener, Word
from ance_ir.pipelines.systems.options import (
    Reader,
    Readers,
    kind_with_numbers,
    model_name,
    one_of,
    one_of_each,
    read_options,
    yes_or_no,
)
from ance_ir.pipelines.systems.tree import Stage


def _graph(text: str) -> dict[str, Any]:
    """The settings of the graph that is followed."""
    found = re.fullmatch(r"\s*(0*[1-9]\d{0,5})\s*(?:,\s*(\S.*))?", text)
    if not found or int(found[1]) > MOST_NEIGHBOURS:
        raise UsageError(f"graph is NEIGHBOURS[,BACKEND], at most {MOST_NEIGHBOURS:,} neighbours, e.g. 16 or 16,ivf, not {text!r}")
    return {"neighbours": int(found[1]), "graph_backend": checked_graph_backend((found[2] or "exact").strip())}


def _instructions(text: str) -> str | None:
    """The form in which the collection's instruction is put before queries; ``""`` for the model's own."""
    whether = yes_or_no(text)
    if whether is not None:
        return "" if whether else None
    if INSTRUCTION not in text:
        raise UsageError(f"instructions is yes, no or a form with {INSTRUCTION} in it, e.g. {USUAL!r}, not {text!r}")
    return text.replace("\\n", "\n")


def _setting(name: str) -> Reader:
    """Reads a text setting of a model, or another choice of how it is opened."""

    def reader(text: str) -> Any:
        value = parse_settings([f"{name}={text}"])[name]
        if name == "pooling":
            pooling_names(value)
        elif name in _TEXT_SETTINGS:  # checked alone; those of titles belong to pairs, which the model's own settings may say
            TextSettings(**{"title_pair": True, name: value})
        return value

    return one_of(name, *get_args(Similarity)) if name == "similarity" else reader


_INDEX: Readers = {
    "backend": checked_backend,
    "aggregation": lambda text: str(parse_aggregation(text)),
    "prf": kind_with_numbers("prf", FEEDBACKS, "rocchio:5,0.4,0.6"),
    "adaptive": kind_with_numbers("adaptive", ADAPTIVES, "gar:100,16"),
    "graph": _graph,
}
_TEXT_SETTINGS = tuple(field.name for field in fields(TextSettings))
_TEXT: Readers = {name: _setting(name) for name in (*_TEXT_SETTINGS, *OPENING)}
_MODEL: Readers = {"model": model_name, "passages": parse_passages, "instructions": _instructions, **_INDEX, **_TEXT}


def _plan(stage: Stage, context: Context, text: str, *, retrieves: bool) -> Opener:
    if stage.path is not None and model_in(stage.path) is not None:
        raise UsageError(f"{stage.word} is a dense model: ance[model={stage.word}] makes an index of the dataset with it")
    options = read_options(stage, _MODEL if stage.path is None else _INDEX, text)
    _check_place(stage, options, retrieves=retrieves)
    if options.get("instructions") is not None:
        _check_instructions(stage, context, options)
    if stage.path is not None and not str(stage.path).startswith(PREFIX):
        _ = AnceIndex(stage.path).manifest  # it is whole
    open_it = _over_dataset if stage.path is None else _over_path
    return partial(open_it, stage, context, options, retrieves=retrieves)


def _check_place(stage: Stage, options: Mapping[str, Any], *, retrieves: bool) -> None:
    """Refuse options that do not go together where the stage stands."""
    if "graph" in options and "adaptive" not in options:
        raise UsageError(f"{stage.written}: graph= goes with adaptive=, e.g. adaptive=ladr; graph=16")
    if "adaptive" in options and retrieves:
        raise UsageError(
            f"{stage.written} adds neighbours to the results of the stage before it: bm25 % 100 >> {stage.written}[adaptive=…]"
        )
    for name in ("prf", "backend"):
        if name in options and not retrieves:
            raise UsageError(f"{stage.written} scores the results of the stage before it: {name}= is for an index that retrieves")


def _check_instructions(stage: Stage, context: Context, options: Mapping[str, Any]) -> None:
    """Refuse instructions where something else stands before queries, or the dataset has none."""
    for other in ("query_prefix", "query_prompt", "instruction"):
        if other in options:
            raise UsageError(f"instructions and {other} exclude each other: both say what stands before a query")
    if not context.instruction:
        raise UsageError(
            f"{context.dataset.name} has no instruction for {stage.written}: the file of a benchmark gives its collections theirs; "
            "query_prefix= puts a text of your own before each query"
        )


def _over_path(stage: Stage, context: Context, options: dict[str, Any], *, retrieves: bool) -> pt.Transformer:
    assert stage.path is not None, "a word has no path"
    index = AnceIndex(stage.path)
    encoding = index.manifest["encoding"]
    key = encoding["fingerprint"] if encoding else ""
    model = context.models.once(DenseEncoder, key, lambda: index.model(context.model, context.device, context.precision))
    return _over_index(context, index, model, options, retrieves=retrieves)


def _over_dataset(stage: Stage, context: Context, options: dict[str, Any], *, retrieves: bool) -> pt.Transformer:
    word = stage.word.lower()
    name = options.get("model") or checkpoint_for(word, _WORDS[word], context.dataset)
    published = find_published(name)
    passages = options.get("passages") or parse_passages(published.passages if published.family else context.passages)
    model = _encoder(stage, context, name, {setting: options[setting] for setting in _TEXT if setting in options})
    asking = _instructed(context, model, options.get("instructions"))
    index = dataset_dense(context.dataset, model, passages, verbose=context.verbose, told=context.told)
    of_index = {name: options[name] for name in _INDEX if name in options}
    return _over_index(context, index, asking, of_index, retrieves=retrieves)


def _encoder(stage: Stage, context: Context, name: str, settings: dict[str, Any]) -> DenseEncoder:
    def opened() -> DenseEncoder:
        return DenseEncoder.from_pretrained(name, device=context.device, precision=context.precision, **settings)

    try:
        return context.models.once(DenseEncoder, repr((name, sorted(settings.items()))), opened)
    except ModelError as error:
        raise with_remedy(error, stage) from error


def _instructed(context: Context, model: DenseEncoder, form: str | None) -> DenseEncoder:
    """The model that encodes the queries: with the dataset's instruction before each, where the stage asks for that."""
    if form is None:
        return model
    form = form or model.instruction_form or USUAL
    return model.with_settings(query_prefix=form.replace(INSTRUCTION, context.instruction))


def _over_index(context: Context, index: AnceIndex, model: DenseEncoder, options: Mapping[str, Any], *, retrieves: bool) -> pt.Transformer:
    options = dict(options)
    # no check: the index's own model was checked when it was opened, and the other index was made with the model
    if "adaptive" in options:
        return _adapted(context, index, model, options)
    if not retrieves:
        return index.scorer(model, check=False, **options)
    feedback: Callable[[AnceIndex], VectorPRF] | None = options.pop("prf", None)
    retriever = context.counted(index.retriever(model, context.asked, check=False, **options))
    if feedback is None:
        return retriever
    refine = feedback(index)
    return model.queries() >> retriever % refine.depth >> refine >> retriever


def _adapted(context: Context, index: AnceIndex, model: DenseEncoder, options: dict[str, Any]) -> pt.Transformer:
    """Adaptive retrieval, with its graph opened, so that no query waits for one that is built."""
    make, graph = options.pop("adaptive"), options.pop("graph", {})
    retriever: AdaptiveRetriever = make(index, model, context.asked, check=False, **graph, **options)
    retriever.prepare(verbose=context.verbose, told=context.told)
    return context.counted(retriever)


def _holds(path: Path) -> str | None:
    if str(path).startswith(PREFIX) or artifact_of(path) == AnceIndex.ARTIFACT_TYPE:
        return "dense index"
    return "dense model" if model_in(path) == "encoder" else None


def _instead(stage: Stage, path: Path) -> str | None:
    if _holds(path) != "dense index":
        return None
    made = AnceIndex(path).manifest["encoding"] or {}
    return one_of_each(stage, "ance", {"model": made.get("model") or "MODEL", "passages": made.get("passages")})


def _index(path: Path, *, device: str | None, model: str | None) -> AnceIndex:
    return AnceIndex(path)  # which opens its model when it is asked to


_WORDS = {
    "ance": Word(
        what="ANCE over the dataset",
        checkpoints={
            "passages": "castorini/ance-msmarco-passage",
            "documents": "castorini/ance-msmarco-doc-firstp",
            "open QA": "castorini/ance-dpr-question-multi",
        },
    ),
    "dpr": Word(
        what="DPR over the dataset",
        checkpoints=dict.fromkeys(("passages", "documents", "open QA"), "facebook/dpr-question_encoder-multiset-base"),
    ),
}
KIND = Kind(words=_WORDS, plan=_plan, index=_index, holds=_holds, instead=_instead)
