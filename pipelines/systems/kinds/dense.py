"""A dense model over the dataset, or a dense index."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import pyterrier as pt

from ance_ir.errors import ModelError, UsageError
from ance_ir.hub import PREFIX
from ance_ir.indexes import AnceIndex, parse_passages
from ance_ir.indexes.graph import MOST_NEIGHBOURS, checked_graph_backend
from ance_ir.models import DenseEncoder, TextSettings
from ance_ir.models.dense.published import find_published, published_models
from ance_ir.models.text.prompts import INSTRUCTION, USUAL
from ance_ir.models.text.settings import OPENING, parse_settings
from ance_ir.pipelines.adaptive import ADAPTIVES, AdaptiveRetriever
from ance_ir.pipelines.feedback import FEEDBACKS
from ance_ir.pipelines.feedback.base import VectorPRF
from ance_ir.pipelines.systems.cache import dataset_dense
from ance_ir.pipelines.systems.checkpoints import checkpoint_for
from ance_ir.pipelines.systems.contents import artifact_of, model_in
from ance_ir.pipelines.systems.context import Context, with_remedy
from ance_ir.pipelines.systems.kind import Kind, Word
from ance_ir.pipelines.systems.options import Readers, model_name, one_of_each, read_options, yes_or_no
from ance_ir.pipelines.systems.tree import Stage


def _feedback(text: str) -> Callable[[AnceIndex], VectorPRF]:
    """Makes the transformer that stands between two retrievals."""
    found = re.fullmatch(r"(\w+)(?::(0*[1-9]\d*(?:,(?:\d*\.)?\d+)*))?", re.sub(r"\s", "", text.lower()))
    kind = FEEDBACKS.get(found[1]) if found else None
    values = found[2].split(",") if found and found[2] else []
    if kind is None or len(values) not in (0, len(kind.parameters)):
        forms = [f"{name}[:{','.join(FEEDBACKS[name].parameters).upper()}]" for name in FEEDBACKS]
        raise UsageError(f"prf is {' or '.join(forms)}, e.g. rocchio:5,0.4,0.6, not {text!r}")
    settings: dict[str, Any] = dict(zip(kind.parameters, map(float, values), strict=False))
    if values:
        settings["depth"] = int(values[0])
    return partial(kind, **settings)


def _adaptive(text: str) -> Callable[..., AdaptiveRetriever]:
    """Makes the transformer that adds neighbours to the results of the stage before it, of an index, a model and ``num_results``."""
    found = re.fullmatch(r"([a-z-]+)(?::(0*[1-9]\d*(?:,0*[1-9]\d*)*))?", re.sub(r"\s", "", text.lower()))
    kind = ADAPTIVES.get(found[1]) if found else None
    values = found[2].split(",") if found and found[2] else []
    if kind is None or len(values) not in (0, len(kind.parameters)):
        forms = [f"{name}[:{','.join(ADAPTIVES[name].parameters).upper()}]" for name in ADAPTIVES]
        raise UsageError(f"adaptive is {' or '.join(forms)}, e.g. gar:100,16, not {text!r}")
    settings: dict[str, Any] = dict(zip(kind.parameters, map(int, values), strict=False))
    return partial(kind, **settings)


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


_INDEX: Readers = {"backend": str, "aggregation": str, "prf": _feedback, "adaptive": _adaptive, "graph": _graph}
_TEXT = (*(field.name for field in fields(TextSettings)), *OPENING)
_MODEL: Readers = {"model": model_name, "passages": parse_passages, "instructions": _instructions, **_INDEX, **dict.fromkeys(_TEXT, str)}


def _open(stage: Stage, context: Context, text: str, *, retrieves: bool) -> pt.Transformer:
    if stage.path is None:
        return _over_dataset(stage, context, read_options(stage, _MODEL, text), retrieves=retrieves)
    if model_in(stage.path) is not None:
        raise UsageError(f"{stage.word} is a dense model: ance[model={stage.word}] makes an index of the dataset with it")
    index = AnceIndex(stage.path)
    encoding = index.manifest["encoding"]
    key = encoding["fingerprint"] if encoding else ""
    model = context.models.once(DenseEncoder, key, lambda: index.model(context.model, context.device, context.precision))
    return _over_index(stage, context, index, model, read_options(stage, _INDEX, text), retrieves=retrieves)


def _over_dataset(stage: Stage, context: Context, options: dict[str, Any], *, retrieves: bool) -> pt.Transformer:
    word = stage.word.lower()
    name = options.get("model") or checkpoint_for(word, _WORDS[word], context.dataset)
    passages = options.get("passages") or parse_passages(find_published(name).passages if name in published_models() else context.passages)
    model = _encoder(stage, context, name, parse_settings(f"{setting}={options[setting]}" for setting in _TEXT if setting in options))
    asking = _instructed(stage, context, model, options)
    index = dataset_dense(context.dataset, model, passages, verbose=context.verbose, told=context.told)
    of_index = {name: options[name] for name in _INDEX if name in options}
    return _over_index(stage, context, index, asking, of_index, retrieves=retrieves)


def _encoder(stage: Stage, context: Context, name: str, settings: dict[str, Any]) -> DenseEncoder:
    def opened() -> DenseEncoder:
        return DenseEncoder.from_pretrained(name, device=context.device, precision=context.precision, **settings)

    try:
        return context.models.once(DenseEncoder, repr((name, sorted(settings.items()))), opened)
    except ModelError as error:
        raise with_remedy(error, stage) from error


def _instructed(stage: Stage, context: Context, model: DenseEncoder, options: Mapping[str, Any]) -> DenseEncoder:
    """The model that encodes the queries: with the dataset's instruction before each, where the stage asks for that."""
    form = options.get("instructions")
    if form is None:
        return model
    for other in ("query_prefix", "query_prompt", "instruction"):
        if other in options:
            raise UsageError(f"instructions and {other} exclude each other: both say what stands before a query")
    if not context.instruction:
        raise UsageError(
            f"{context.dataset.name} has no instruction for {stage.written}: the file of a benchmark gives its collections theirs; "
            "query_prefix= puts a text of your own before each query"
        )
    form = form or model.instruction_form or USUAL
    return model.with_settings(query_prefix=form.replace(INSTRUCTION, context.instruction))


def _over_index(
    stage: Stage, context: Context, index: AnceIndex, model: DenseEncoder, options: dict[str, Any], *, retrieves: bool
) -> pt.Transformer:
    # no check: the index's own model was checked when it was opened, and the other index was made with the model
    if "adaptive" in options or "graph" in options:
        return _adapted(stage, context, index, model, options, retrieves=retrieves)
    feedback: Callable[[AnceIndex], VectorPRF] | None = options.pop("prf", None)
    if not retrieves:
        if feedback is not None or "backend" in options:
            name = "backend" if feedback is None else "prf"
            raise UsageError(f"{stage.written} scores the results of the stage before it: {name}= is for an index that retrieves")
        return index.scorer(model, check=False, **options)
    retriever = context.counted(index.retriever(model, context.asked, check=False, **options))
    if feedback is None:
        return retriever
    refine = feedback(index)
    return model.queries() >> retriever % refine.depth >> refine >> retriever


def _adapted(
    stage: Stage, context: Context, index: AnceIndex, model: DenseEncoder, options: dict[str, Any], *, retrieves: bool
) -> pt.Transformer:
    """Adaptive retrieval, with its graph opened, so that no query waits for one that is built."""
    make, graph = options.pop("adaptive", None), options.pop("graph", {})
    if make is None:
        raise UsageError(f"{stage.written}: graph= goes with adaptive=, e.g. adaptive=ladr; graph=16")
    if retrieves:
        raise UsageError(
            f"{stage.written} adds neighbours to the results of the stage before it: bm25 % 100 >> {stage.written}[adaptive=…]"
        )
    for other in ("backend", "prf"):
        if other in options:
            raise UsageError(f"{stage.written} scores the results of the stage before it: {other}= is for an index that retrieves")
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
KIND = Kind(words=_WORDS, open=_open, holds=_holds, instead=_instead)
