"""Systems from text: what ``ance-ir eval --system`` accepts.

A system is stages joined by ``>>``, each perhaps with a cut-off: ``bm25``, ``x.ance``, ``bm25 % 100 >> x.ance``,
``bm25 % 100 >> runs/bert``. The first stage retrieves, the ones after it score what it found: an index with its vectors, the folder of a
reranker with the dataset's texts. ``NAME=…`` before it names the system. An index takes options of its retriever or scorer in brackets:
``x.ance[backend=faiss; aggregation=sum:3]``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pyterrier as pt

from ance_ir.datasets import Dataset
from ance_ir.errors import ModelError, UsageError
from ance_ir.indexes import AnceIndex
from ance_ir.models import CrossEncoder, DenseEncoder
from ance_ir.models.precision import Precision
from ance_ir.pipelines.bm25 import dataset_bm25
from ance_ir.pipelines.reranker import BertReranker


class Systems:
    """Reads systems over one dataset; a model that several of them use is opened once.

    Args:
        dataset: what is searched.
        num_results: documents a query.
        device: where models compute.
        model: opens the indexes' model from another place than where it was when they were built.
        precision: what the indexes' model computes in; by default its checkpoint's own.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        num_results: int = 1000,
        device: str | None = None,
        model: str | None = None,
        precision: Precision | None = None,
    ) -> None:
        self._dataset = dataset
        self._num_results = num_results
        self._device = device
        self._model = model
        self._precision = precision
        self._models: dict[str, DenseEncoder] = {}
        self._rerankers: dict[Path, CrossEncoder] = {}

    def parse(self, text: str) -> tuple[str, pt.Transformer]:
        """The name and the pipeline of a system.

        Raises:
            UsageError: the text is no system.
        """
        match = re.fullmatch(r"\s*(?:([^=>%/[]+?)\s*=)?\s*(.+?)\s*", text)
        if not match:
            raise UsageError(f"a system is [NAME=]STAGE [% K] [>> STAGE [% K]] …, not {text!r}")
        name, expression = match[1] or match[2], match[2]
        pipeline: pt.Transformer | None = None
        for stage in expression.split(">>"):
            parsed = re.fullmatch(r"\s*([^%]+?)\s*(?:%\s*(\d+)\s*)?", stage)
            if not parsed:
                raise UsageError(
                    f"system {name}: a stage is bm25 or the path of an index or a reranker, with % and a number after it, not {stage!r}"
                )
            transformer = self._stage(parsed[1], retrieves=pipeline is None)
            pipeline = transformer if pipeline is None else pipeline >> transformer
            if parsed[2]:
                if int(parsed[2]) < 1:
                    raise UsageError(f"system {name}: a cut-off is at least 1, not {parsed[2]}")
                pipeline = pipeline % int(parsed[2])
        assert pipeline is not None
        return name, pipeline

    def _stage(self, stage: str, *, retrieves: bool) -> pt.Transformer:
        if stage.lower() == "bm25":
            if not retrieves:
                raise UsageError("bm25 only retrieves, so it is the first stage of a system")
            return dataset_bm25(self._dataset).retriever(self._num_results)
        stage, options = _split_options(stage)
        if not Path(stage).is_dir():
            raise UsageError(f"a stage is bm25 or the path of an index or a reranker; {stage!r} is neither")
        if any((Path(stage) / name).exists() for name in ("config.json", "run.json")):  # a model; an index has a manifest.json
            if options:
                raise UsageError(f"{stage} is a reranker, which takes no options in brackets")
            reranker = self._reranker(Path(stage))
            if retrieves:
                raise UsageError(f"{stage} is a reranker, which scores what stages before it found: bm25 % 100 >> {stage}")
            return reranker
        index = AnceIndex(stage)
        model = self._open_model(index)
        # index.model() has checked it, or it is another index's of the same fingerprint
        if retrieves:
            return index.retriever(model, self._num_results, check=False, **options)
        if "backend" in options:
            raise UsageError(f"{stage} scores what was found before it: a backend is for an index that retrieves")
        return index.scorer(model, check=False, **options)

    def _reranker(self, folder: Path) -> pt.Transformer:
        folder = folder.resolve()
        if folder not in self._rerankers:
            try:
                self._rerankers[folder] = CrossEncoder.from_pretrained(folder, device=self._device)
            except ModelError as error:
                raise UsageError(f"{folder} is no index, and does not open as a reranker: {error}") from error
        model = self._rerankers[folder]
        return self._dataset.text_loader(model.settings.fields) >> BertReranker(model)

    def _open_model(self, index: AnceIndex) -> DenseEncoder:
        encoding = index.manifest["encoding"]
        key = encoding["fingerprint"] if encoding else ""
        if key not in self._models:
            self._models[key] = index.model(self._model, self._device, self._precision)
        return self._models[key]


def _split_options(stage: str) -> tuple[str, dict[str, Any]]:
    """The path of a stage, and what stands in brackets after it."""
    match = re.fullmatch(r"(.*?)\s*\[(.*)\]", stage)
    if not match or Path(stage).exists():
        return stage, {}
    options = {}
    for option in match[2].split(";"):
        name, _, value = (part.strip() for part in option.partition("="))
        if name not in {"backend", "aggregation"} or not value:
            raise UsageError(f"options are backend=… and aggregation=…, with semicolons between them, not {option.strip()!r}: {stage}")
        options[name] = value
    return match[1], options
