"""How a pipeline ranks, as ir_metadata describes it: stages, what they rerank or interpolate, settings, models and indexes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any

import pyterrier as pt
from pyterrier._ops import Compose, RankCutoff, ScalarProduct

from ance_ir.datasets.loader import TextLoader
from ance_ir.indexes import AnceIndex
from ance_ir.models.dense.transformers import QueryEncoder
from ance_ir.models.pretrained import Pretrained
from ance_ir.pipelines import BM25Index
from ance_ir.transformers import inner_stages

_NAMES = {"num_results": "documents", "name": "own name"}
"""What settings are called where the schema has another word for them, or uses theirs."""

_IRRELEVANT = {"cache", "check", "memory_budget", "progress", "verbose"}
"""Settings that do not change the results."""


class Method:
    """What a pipeline is made of.

    Args:
        pipeline: any transformer; of a PyTerrier transformer that is not ours, what can be read from its attributes is described.

    Attributes:
        stages: ``method.retrieval``, in the order of their work.
        models: each once.
        indexes: each once.
    """

    def __init__(self, pipeline: pt.Transformer) -> None:
        self.stages: list[dict[str, Any]] = []
        self.models: list[Pretrained[Any]] = []
        self.indexes: list[AnceIndex | BM25Index] = []
        self._add(pipeline, "")

    def described(self) -> dict[str, Any]:
        """The schema's ``method``."""
        described: dict[str, Any] = {"automatic": True, "score ties": "reverse alphabetical order"}
        lexical = next((index for index in self.indexes if isinstance(index, BM25Index)), None)
        if lexical is not None:
            described["indexing"] = {"tokenizer": lexical.engine, "stemmer": lexical.stemmer, "stopwords": lexical.stopwords}
        described["retrieval"] = self.stages
        if self.models:
            described["models"] = [_model(model) for model in self.models]
        if self.indexes:
            described["indexes"] = [_index(index) for index in self.indexes]
        return described

    def _add(self, part: pt.Transformer, before: str) -> str:
        """Add the stages of a part of the pipeline, which gets the results of the stage ``before``; returns the name of its last stage."""
        match part:
            case Compose():
                for one in part:
                    before = self._add(one, before)
                return before
            case TextLoader() | QueryEncoder():  # neither ranks; the encoder has a model
                self._settings(part)
                return before
            case RankCutoff():
                self._last(before)["documents"] = part.k
                return before
            case ScalarProduct():
                self._last(before)["weight"] = part.scalar
                return before
        inner = [self._add(one, before) for one in inner_stages(part)]
        stage: dict[str, Any] = {"name": self._name(part), "method": f"{type(part).__module__}.{type(part).__qualname__}"}
        if len(inner) > 1:
            stage["interpolates"] = inner
        elif inner or before:
            stage["reranks"] = inner[0] if inner else before
        self.stages.append(stage | self._settings(part))
        return str(stage["name"])

    def _last(self, name: str) -> dict[str, Any]:
        return next((stage for stage in self.stages if stage["name"] == name), {})

    def _name(self, part: pt.Transformer) -> str:
        """What the kind of transformer is called, with a number where there is another of it."""
        schematic = getattr(type(part), "schematic", None)
        label = str(schematic.get("label", "") if isinstance(schematic, Mapping) else "").lower() or type(part).__name__
        same = sum(re.fullmatch(rf"{re.escape(label)}( \d+)?", stage["name"]) is not None for stage in self.stages)
        return f"{label} {same + 1}" if same else label

    def _settings(self, part: pt.Transformer) -> dict[str, Any]:
        found = {one.name: self._value(one.value) for one in pt.inspect.transformer_attributes(part, strict=False)}
        return {_NAMES.get(name, name): value for name, value in found.items() if name not in _IRRELEVANT and value is not None}

    def _value(self, value: Any) -> Any:
        """A setting as YAML can hold it, ``None`` for pipelines, which are stages; models and indexes are noted."""
        if isinstance(value, bool | int | float | str):
            return value
        if value is None or (isinstance(value, pt.Transformer) and not isinstance(value, AnceIndex | BM25Index)):
            return None
        if isinstance(value, Pretrained):
            self.models += [] if any(value is one for one in self.models) else [value]
            return value.name
        if isinstance(value, AnceIndex | BM25Index):
            self.indexes += [] if any(_folder(value) == _folder(one) for one in self.indexes) else [value]
            return str(_folder(value))
        if isinstance(value, list | tuple):
            return [one for one in map(self._value, value) if one is not None] or None
        if is_dataclass(value) and not isinstance(value, type):
            return {one.name: self._value(getattr(value, one.name)) for one in fields(value)}
        return str(value)


def _folder(index: AnceIndex | BM25Index) -> Path:
    return index.folder if isinstance(index, AnceIndex) else index.path


def _model(model: Pretrained[Any]) -> dict[str, Any]:
    text = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(model.settings).items()}
    return {"name": model.name, **model.properties(), "text": text}


def _index(index: AnceIndex | BM25Index) -> dict[str, Any]:
    name = {"name": str(_folder(index))}
    if isinstance(index, AnceIndex):
        return name | {key: str(value) for key, value in index.info().items() if not key.startswith("memory")}
    return name | {"engine": index.engine, "documents": len(index), "fingerprint": index.fingerprint}
