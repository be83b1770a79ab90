"""Opens the stages of a system: from words and folders to PyTerrier transformers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyterrier as pt

from ance_ir.choices import check_choice
from ance_ir.datasets import Dataset
from ance_ir.errors import ModelError, UsageError
from ance_ir.indexes import AnceIndex, parse_passages
from ance_ir.models import CrossEncoder, DenseEncoder, Reader
from ance_ir.models.compute.precision import Precision
from ance_ir.models.dense.published import find_published, published_models
from ance_ir.models.text.prompts import INSTRUCTION, USUAL
from ance_ir.pipelines.bm25 import BM25Index, dataset_bm25
from ance_ir.pipelines.excluded import Excluded, WithoutExcluded
from ance_ir.pipelines.feedback.base import VectorPRF
from ance_ir.pipelines.itself import WithoutItself
from ance_ir.pipelines.reader import AnswerReader, BestAnswer
from ance_ir.pipelines.remote import Remote, RemoteScorer
from ance_ir.pipelines.reranker import BertReranker
from ance_ir.pipelines.server import RESULTS, split_address
from ance_ir.pipelines.systems import options as kinds
from ance_ir.pipelines.systems.cache import dataset_dense
from ance_ir.pipelines.systems.folders import kind_of
from ance_ir.pipelines.systems.named import BERT, MODELS, NAMES, checkpoint_for
from ance_ir.pipelines.systems.options import read_options, text_settings
from ance_ir.pipelines.systems.parser import BM25, FUNCTIONS
from ance_ir.pipelines.systems.tree import Stage
from ance_ir.progress import Told

_ANALYSIS = ("engine", "stemmer", "stopwords")


@dataclass(frozen=True, kw_only=True, eq=False)
class OpenModels:
    """The models that are open, for systems over one dataset or several."""

    encoders: dict[str, DenseEncoder] = field(default_factory=dict)
    rerankers: dict[str, CrossEncoder] = field(default_factory=dict)
    readers: dict[str, Reader] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Stages:
    """Opens the stages of systems over one dataset; a model that several of them use is opened once.

    Attributes:
        dataset: the dataset to search.
        num_results: documents a query.
        device: where models compute.
        model: where the model of the indexes is now, if it has moved since they were built.
        precision: of dense models; by default their checkpoint's own.
        passages: how documents are split for a dense model, unless the stage sets it or the model is published with its own.
        bm25: k1 and b, unless the stage sets them.
        counts_itself: whether a document counts whose docno is the query's qid.
        excluded: documents that do not count for a query; ``None`` where there are none.
        instruction: what models that read instructions are told about the dataset's queries; empty where there is none.
        models: those that are open.
        verbose: show progress of what is built on first use.
        told: is told the progress of dense indexes that are built on first use.
    """

    dataset: Dataset
    num_results: int
    device: str | None
    model: str | None
    precision: Precision | None
    passages: str
    bm25: tuple[float, float]
    counts_itself: bool
    excluded: Excluded | None
    instruction: str
    models: OpenModels
    verbose: bool
    told: Told | None

    def open(self, stage: Stage, text: str, *, retrieves: bool) -> pt.Transformer:
        """A stage: a retriever if it is the first of its system, otherwise a scorer of the documents that were found.

        Args:
            stage: the stage.
            text: the whole system, for errors.
            retrieves: whether the system begins with it.

        Raises:
            UsageError: there is no such stage, or it cannot stand there.
            ModelError: a checkpoint is not available, or does not load.
        """
        if stage.path is not None:
            return self._of_folder(stage, stage.path, text, retrieves=retrieves)
        word = stage.word.lower()
        if word == BM25:
            return self._bm25(stage, text, None, retrieves=retrieves)
        if word == BERT:
            return self._reranker(stage, None, read_options(stage, kinds.BERT, text), retrieves=retrieves)
        if word in MODELS:
            return self._dense(stage, word, read_options(stage, kinds.DENSE, text), retrieves=retrieves)
        check_choice("stage", stage.word, [*NAMES, *FUNCTIONS], hint=f"To name a folder write ./{stage.word}")
        raise UsageError(f"{word} stands before brackets: {word}(bm25, ance)")

    def _of_folder(self, stage: Stage, path: Path, text: str, *, retrieves: bool) -> pt.Transformer:
        match kind_of(path):
            case "dense index":
                index = AnceIndex(path)
                return self._over_index(stage, index, self._model_of(index), read_options(stage, kinds.INDEX, text), retrieves=retrieves)
            case "BM25 index":
                return self._bm25(stage, text, path, retrieves=retrieves)
            case "reranker":
                return self._reranker(stage, path, read_options(stage, kinds.RERANKER, text), retrieves=retrieves)
            case "reader":
                return self._reader(stage, path, read_options(stage, kinds.READER, text), retrieves=retrieves)
            case "dense model":
                raise UsageError(f"{stage.word} is a dense model: ance[model={stage.word}] makes an index of the dataset with it")
            case "server":
                return self._remote(stage, retrieves=retrieves)

    def _remote(self, stage: Stage, *, retrieves: bool) -> pt.Transformer:
        if stage.options:
            raise UsageError(f"{stage.word} takes no options: its system has them where it is served")
        url, system = split_address(stage.word)
        if not retrieves:
            return RemoteScorer(url, system, verbose=self.verbose)
        asked = min(self._asked, max(self.num_results, RESULTS))  # one more than is wanted, as far as a server ranks
        return self._others(Remote(url, system, asked, verbose=self.verbose))

    def _bm25(self, stage: Stage, text: str, path: Path | None, *, retrieves: bool) -> pt.Transformer:
        options = read_options(stage, kinds.BM25, text)
        if not retrieves:
            raise UsageError(f"{stage.written} only retrieves, so it must be the first stage of a system")
        analysis = {name: options.pop(name) for name in _ANALYSIS if name in options}
        index = dataset_bm25(self.dataset, **analysis) if path is None else BM25Index(path, **analysis)
        return self._others(index.retriever(self._asked, **{"k1": self.bm25[0], "b": self.bm25[1], **options}))

    def _dense(self, stage: Stage, word: str, options: dict[str, Any], *, retrieves: bool) -> pt.Transformer:
        name = options.get("model") or checkpoint_for(word, self.dataset)
        passages = options.get("passages") or parse_passages(find_published(name).passages if name in published_models() else self.passages)
        model = self._encoder(stage, name, text_settings(options))
        asking = self._instructed(stage, model, options)
        index = dataset_dense(self.dataset, model, passages, verbose=self.verbose, told=self.told)
        return self._over_index(stage, index, asking, {name: options[name] for name in kinds.INDEX if name in options}, retrieves=retrieves)

    def _instructed(self, stage: Stage, model: DenseEncoder, options: Mapping[str, Any]) -> DenseEncoder:
        """The model that encodes the queries: with the dataset's instruction before each, where the stage asks for that."""
        form = options.get("instructions")
        if form is None:
            return model
        for other in ("query_prefix", "query_prompt", "instruction"):
            if other in options:
                raise UsageError(f"instructions and {other} exclude each other: both say what stands before a query")
        if not self.instruction:
            raise UsageError(
                f"{self.dataset.name} has no instruction for {stage.written}: the file of a benchmark gives its collections theirs; "
                "query_prefix= puts a text of your own before each query"
            )
        form = form or model.instruction_form or USUAL
        return model.with_settings(query_prefix=form.replace(INSTRUCTION, self.instruction))

    def _over_index(
        self, stage: Stage, index: AnceIndex, model: DenseEncoder, options: dict[str, Any], *, retrieves: bool
    ) -> pt.Transformer:
        feedback: Callable[[AnceIndex], VectorPRF] | None = options.pop("prf", None)
        # no check: the index's own model was checked when it was opened, and the other index was made with the model
        if not retrieves:
            if feedback is not None or "backend" in options:
                name = "backend" if feedback is None else "prf"
                raise UsageError(f"{stage.written} scores the results of the stage before it: {name}= is for an index that retrieves")
            return index.scorer(model, check=False, **options)
        retriever = self._others(index.retriever(model, self._asked, check=False, **options))
        if feedback is None:
            return retriever
        refine = feedback(index)
        return model.queries() >> retriever % refine.depth >> refine >> retriever

    @property
    def _asked(self) -> int:
        """The number of documents to ask a retriever for."""
        return self._without_itself + (self.excluded.most if self.excluded is not None else 0)

    @property
    def _without_itself(self) -> int:
        return self.num_results if self.counts_itself else self.num_results + 1

    def _others(self, retriever: pt.Transformer) -> pt.Transformer:
        """A retriever without the documents that do not count."""
        if self.excluded is not None:
            retriever = WithoutExcluded(retriever, self.excluded, self._without_itself)
        return retriever if self.counts_itself else WithoutItself(retriever, self.num_results)

    def _reranker(self, stage: Stage, folder: Path | None, options: dict[str, Any], *, retrieves: bool) -> pt.Transformer:
        name = str(folder.resolve()) if folder else options.pop("model", None) or checkpoint_for(BERT, self.dataset)
        model = self._cross_encoder(stage, name, is_stage=folder is not None)
        if retrieves:
            raise UsageError(f"{stage.written} is a reranker, which scores the results of another stage: bm25 % 100 >> {stage.written}")
        if "instruction" in options:
            model = model.with_settings(instruction=options.pop("instruction"))
        return self.dataset.text_loader(model.settings.fields) >> BertReranker(model, verbose=self.verbose, **options)

    def _reader(self, stage: Stage, path: Path, options: dict[str, Any], *, retrieves: bool) -> pt.Transformer:
        if retrieves:
            raise UsageError(f"{stage.word} is a reader, which answers from the results of another stage: bm25 % 20 >> {stage.word}")
        name = str(path.resolve())
        if name not in self.models.readers:
            self.models.readers[name] = Reader.from_pretrained(name, device=self.device)
        texts = self.dataset.text_loader(("title", "text"))
        return texts >> AnswerReader(self.models.readers[name], verbose=self.verbose) >> BestAnswer(**options)

    def _cross_encoder(self, stage: Stage, name: str, *, is_stage: bool) -> CrossEncoder:
        if name not in self.models.rerankers:
            try:
                self.models.rerankers[name] = CrossEncoder.from_pretrained(name, device=self.device)
            except ModelError as error:
                if is_stage:
                    raise UsageError(f"{stage.word} is no index, and does not open as a reranker: {error}") from error
                raise _with_remedy(error, stage) from error
        return self.models.rerankers[name]

    def _encoder(self, stage: Stage, name: str, settings: dict[str, Any]) -> DenseEncoder:
        key = repr((name, sorted(settings.items())))
        if key not in self.models.encoders:
            try:
                self.models.encoders[key] = DenseEncoder.from_pretrained(name, device=self.device, precision=self.precision, **settings)
            except ModelError as error:
                raise _with_remedy(error, stage) from error
        return self.models.encoders[key]

    def _model_of(self, index: AnceIndex) -> DenseEncoder:
        encoding = index.manifest["encoding"]
        key = encoding["fingerprint"] if encoding else ""
        if key not in self.models.encoders:
            self.models.encoders[key] = index.model(self.model, self.device, self.precision)
        return self.models.encoders[key]


def _with_remedy(error: ModelError, stage: Stage) -> ModelError:
    return ModelError(f"{error}. Name another checkpoint in brackets: {stage.written}[model=FOLDER]")
