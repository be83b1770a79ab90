"""Training steps compared with sentence-transformers' own trainer: the same weights, batches, lengths and loss."""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from torch.utils.data import BatchSampler, SequentialSampler
from transformers import PrinterCallback, TrainerCallback

from ance_ir.datasets import Dataset
from ance_ir.errors import UsageError
from ance_ir.eval.bench.contenders import LIBRARY
from ance_ir.eval.bench.rounds import OURS, medians, ratio
from ance_ir.indexes import FirstP
from ance_ir.models import DenseEncoder
from ance_ir.optional import optional
from ance_ir.training import DenseObjective, InBatchNegatives, MixedNegatives, RandomNegatives, TrainingQueries, TrainingSettings
from ance_ir.training.batches import Batches
from ance_ir.training.run.optimisation import make_optimiser
from ance_ir.training.run.step import take_step

Steps = Sequence[tuple[float, float]]
"""Of each step, when it had ended, by the clock, and its loss."""

_TEMPERATURE = 0.05
_RATE = 1e-5


def bench_train(
    dataset: Dataset,
    model: str,
    *,
    split: str = "train",
    batch_size: int = 16,
    length: int = 128,
    layers: int | None = None,
    steps: int = 4,
    rounds: int = 3,
    device: str | None = None,
) -> pd.DataFrame:
    """Take steps with the negatives of the batch and one random one a query: ours and sentence-transformers', float32 and bfloat16.

    Args:
        dataset: queries, judgements and documents.
        model: the encoder that training begins with, each time.
        split: the queries.
        batch_size: queries of a step.
        length: tokens that queries and passages are cut to.
        layers: of the encoder that are kept; ``None``: all.
        steps: of a turn, at least 2; the first does not count, since it sets up the optimiser.
        rounds: that count; the contenders take turns in each.
        device: where to train.

    Returns:
        A row for each contender: ``seconds`` of a step, tokenising included; ``ours ×``, how many times as long as ours at the same
        precision it takes; and ``loss`` of the first step, which differs by dropout.

    Raises:
        UsageError: too few steps, or a model that pairs a title with a text, which the other does not know.
        TrainingError: no query has a relevant document in the corpus.
        MissingDependencyError: sentence-transformers, its trainer's accelerate, or datasets is not installed.
    """
    if steps < 2:
        raise UsageError(f"steps is at least 2, since the first does not count, not {steps}")
    with tempfile.TemporaryDirectory() as folder:
        work = _Work(dataset, model, Path(folder), split, batch_size, length, layers, steps, device)
        contenders: dict[str, Callable[[], Steps]] = {
            OURS: lambda: work.ours(bfloat16=False),
            LIBRARY: lambda: work.theirs(bfloat16=False),
            f"{OURS} bfloat16": lambda: work.ours(bfloat16=True),
            f"{LIBRARY} bfloat16": lambda: work.theirs(bfloat16=True),
        }
        seconds: dict[str, list[float]] = {name: [] for name in contenders}
        losses: dict[str, float] = {}
        for _ in range(rounds):
            for name, train in contenders.items():
                ends, taken = zip(*train(), strict=True)
                seconds[name].append(statistics.median(later - earlier for earlier, later in itertools.pairwise(ends)))
                losses.setdefault(name, taken[0])
    own = {name: name.replace(LIBRARY, OURS) for name in contenders}
    return pd.DataFrame(
        [
            {"contender": name, "seconds": medians(seconds)[name], "ours ×": ratio(seconds, name, own[name]), "loss": losses[name]}
            for name in contenders
        ]
    )


class _Work:
    """What both train on, and how."""

    def __init__(
        self,
        dataset: Dataset,
        model: str,
        folder: Path,
        split: str,
        batch_size: int,
        length: int,
        layers: int | None,
        steps: int,
        device: str | None,
    ) -> None:
        self._store = dataset.store()
        self._queries = TrainingQueries.load(dataset, self._store, split)
        self._folder = folder
        self._length = length
        self._steps = steps
        encoder = DenseEncoder.from_pretrained(model, device=device, layers=layers, passage_length=length, query_length=length)
        self._device = str(encoder.device)
        self._rows = self._texts(encoder, self._batches(self._settings(batch_size)))
        self._batch_size = batch_size
        self._routes = {} if encoder.shared else {"anchor": "query", "positive": "document", "negative": "document"}
        encoder.save(folder / "model")

    def _settings(self, batch_size: int, *, bfloat16: bool = False) -> TrainingSettings:
        return TrainingSettings(
            steps=self._steps, batch_size=batch_size, learning_rate=_RATE, schedule="constant", temperature=_TEMPERATURE, bfloat16=bfloat16
        )

    def _batches(self, settings: TrainingSettings) -> Batches:
        negatives = MixedNegatives([InBatchNegatives("all"), RandomNegatives(self._queries)], [1, 1])
        return Batches(self._queries, negatives, settings)

    def _texts(self, encoder: DenseEncoder, batches: Batches) -> dict[str, list[str]]:
        """What the other reads in all steps: its trainer puts no prompts before texts, so those are in them."""
        rows: dict[str, list[str]] = {"anchor": [], "positive": [], "negative": []}
        settings = encoder.settings
        for step in range(self._steps):
            for batch in batches.of_step(step):
                rows["anchor"] += [settings.query_prefix + self._queries.texts[query] for query in batch.queries]
                for column, numbers in (("positive", batch.positives), ("negative", batch.negatives[:, 0])):
                    texts = [settings.join(self._store[int(number)]) for number in numbers]
                    if not all(isinstance(text, str) for text in texts):
                        raise UsageError(
                            f"{encoder.name} reads title and text as a pair, which {LIBRARY} does not; give a model that joins them"
                        )
                    rows[column] += [f"{settings.passage_prefix}{text}" for text in texts]
        return rows

    def ours(self, *, bfloat16: bool) -> Steps:
        """Our steps."""
        settings = self._settings(self._batch_size, bfloat16=bfloat16)
        batches = self._batches(settings)
        model = DenseEncoder.from_pretrained(self._folder / "model", device=self._device)
        objective = DenseObjective(model, self._queries, self._store, FirstP(self._length), loss="nll")
        optimiser = make_optimiser(objective.model, settings)
        found = []
        for step in range(self._steps):
            loss = take_step(objective, batches.of_step(step), settings, optimiser, dropout=step, rounding=step).loss
            found.append((time.perf_counter(), loss))
        return found

    def theirs(self, *, bfloat16: bool) -> Steps:
        """The steps of ``SentenceTransformerTrainer``."""
        needed: Any = {"needed_for": "this benchmark", "remedy": f"pip install {LIBRARY} accelerate datasets"}
        library = optional("sentence_transformers", package=LIBRARY, **needed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of the name that older releases have, too
            losses = optional("sentence_transformers.losses", package=LIBRARY, **needed)
        optional("accelerate", **needed)
        data = optional("datasets", **needed).Dataset.from_dict(self._rows)
        model = library.SentenceTransformer(str(self._folder / "model"), device=self._device)
        model.max_seq_length = self._length
        found: list[tuple[float, float]] = []

        class Clock(TrainerCallback):
            """Notes when each step has ended, and its loss."""

            def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                if "loss" in kwargs["logs"]:
                    found.append((time.perf_counter(), float(kwargs["logs"]["loss"])))

        arguments = library.SentenceTransformerTrainingArguments(
            output_dir=str(self._folder / "theirs"),
            per_device_train_batch_size=self._batch_size,
            max_steps=self._steps,
            learning_rate=_RATE,
            lr_scheduler_type="constant",
            bf16=bfloat16,
            use_cpu=self._device == "cpu",
            router_mapping=self._routes,
            batch_sampler=lambda rows, batch_size, drop_last, **_: BatchSampler(SequentialSampler(rows), batch_size, drop_last),
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        loss = losses.MultipleNegativesRankingLoss(model, scale=1 / _TEMPERATURE, similarity_fct=model.similarity)
        trainer = library.SentenceTransformerTrainer(model, arguments, data, loss=loss, callbacks=[Clock()])
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        return found
