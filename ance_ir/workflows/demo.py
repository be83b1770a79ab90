"""The demo: BM25, and an encoder before and after training with random negatives and with ANCE's, on the embedded collection."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyterrier as pt

from ance_ir.brief import Brief
from ance_ir.datasets import Dataset, load_dataset
from ance_ir.errors import TrainingError
from ance_ir.eval.evaluation import Evaluation
from ance_ir.eval.examples import format_example, queries_won
from ance_ir.eval.experiment import evaluate_systems
from ance_ir.files import atomic_open, read_json, write_json
from ance_ir.indexes import AnceIndex, FirstP, MaxP, index_corpus
from ance_ir.models import DenseEncoder, PassageScheme
from ance_ir.pipelines import dataset_bm25
from ance_ir.training import TrainingSettings, environment, read_metrics
from ance_ir.workflows.dense import train_on_dataset
from ance_ir.workflows.runs.plots import plot_training

DATASET = "python-stdlib"
MODEL = "all-MiniLM-L6-v2"
BASELINE = "random negatives"
_TEXT: dict[str, Any] = {"query_length": 32, "passage_length": 64}
_DEPTH = 30
"""Documents of a ranking that ANCE's negatives are drawn from: of 4,205 documents, what the paper's 200 are of millions."""
_ONE_SEED = "A difference from random negatives of one seed may be chance; docs/results.md has several seeds of these settings."
_RESULTS = 100
_EXAMPLES = 3


@dataclass(frozen=True, kw_only=True, repr=False)
class DemoSettings(Brief):
    """Settings of the demo.

    Attributes:
        steps: optimiser steps.
        seed: of everything random.
        compare: whether to compare FirstP with MaxP as well.
    """

    steps: int = 32
    seed: int = 42
    compare: bool = False

    def __post_init__(self) -> None:
        self.training()

    def training(self) -> TrainingSettings:
        """The settings of a training run, in which the corpus is encoded twice."""
        return TrainingSettings(
            steps=self.steps,
            batch_size=16,
            learning_rate=5e-5,
            warm_up_steps=self.steps // 10,
            temperature=0.05,
            refresh_every=max(1, -(-self.steps // 2)),
            dropout=False,
            select="last",  # so that both schemes are compared at equal steps
            seed=self.seed,
        )


def run_demo(
    settings: DemoSettings, out: Path, *, device: str | None, say: Callable[[str], object], verbose: bool = False
) -> dict[str, Any]:
    """Run the demo in a folder; an interrupted demo is resumed, a finished one is shown again.

    Args:
        settings: of the demo.
        out: the folder.
        device: where models compute; by default a GPU where there is one.
        say: called with the text to show, a line or more at a time.
        verbose: show progress.

    Returns:
        What ``results.json`` holds.

    Raises:
        TrainingError: the folder holds a demo with other settings, or something else.
    """
    if _finished(settings, out):
        say(f"This demo has been run in {out} already; this is what it found. Another --out or --seed runs it again.\n")
        say((out / "report.md").read_text(encoding="utf-8"))
        results: dict[str, Any] = read_json(out / "results.json")
        return results
    demo = _Demo(settings, out, device, say, verbose)
    return demo.run()


def _finished(settings: DemoSettings, out: Path) -> bool:
    """Whether the demo ended in this folder.

    Raises:
        TrainingError: it was run there with other settings, or the folder is something else's.
    """
    if (path := out / "demo.json").exists():
        before = read_json(path)
        if before != asdict(settings):
            raise TrainingError(f"{out} holds a demo with other settings ({before}, not {asdict(settings)}); choose another --out")
        return (out / "results.json").exists()
    if out.is_dir() and any(out.iterdir()):
        raise TrainingError(f"{out} holds something else than a demo; choose another --out")
    return False


class _Demo:
    """One demo, in its folder."""

    def __init__(self, settings: DemoSettings, out: Path, device: str | None, say: Callable[[str], object], verbose: bool) -> None:
        self.settings = settings
        self.out = out
        self.device = device
        self.say = say
        self.verbose = verbose
        self.seconds: dict[str, float] = {}

    def run(self) -> dict[str, Any]:
        write_json(self.out / "demo.json", asdict(self.settings))
        with self._timed("collection"):
            dataset = load_dataset(DATASET)
            store = dataset.store(verbose=self.verbose)
        queries, qrels = dataset.queries(), dataset.qrels()
        self.say(f"{DATASET}: {len(store):,} documents, {len(queries):,} test queries")
        with self._timed("bm25 index"):
            bm25 = dataset_bm25(dataset).retriever(_RESULTS)
        random = self._train(dataset, "random")
        model = self._train(dataset, "ance")
        ance = self._index(dataset, model, "ance", FirstP())
        untrained = DenseEncoder.from_pretrained(MODEL, device=self.device, **_TEXT)
        zero_shot = AnceIndex(self.out / "training" / "ance" / "negatives" / "step-000000" / "index.ance")
        systems: dict[str, pt.Transformer] = {
            "BM25": bm25,
            "zero-shot": zero_shot.retriever(untrained, _RESULTS),
            BASELINE: self._index(dataset, random, "random", FirstP()).retriever(random, _RESULTS),
            "ANCE": ance.retriever(model, _RESULTS),
            "BM25 >> ANCE": bm25 >> ance.scorer(model),
        }
        if self.settings.compare:
            systems["ANCE, MaxP"] = self._index(dataset, model, "ance-maxp", MaxP(count=4)).retriever(model, _RESULTS)
        with self._timed("evaluation"):
            evaluation = evaluate_systems(systems, queries, qrels, baseline=BASELINE, verbose=self.verbose)
        self._plot()
        return self._report(dataset, queries, evaluation)

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[stage] = round(time.perf_counter() - began, 1)

    def _train(self, dataset: Dataset, scheme: str) -> DenseEncoder:
        with self._timed(f"training, {scheme}"):
            return train_on_dataset(
                dataset,
                DenseEncoder.from_pretrained(MODEL, device=self.device, **_TEXT),
                self.out / "training" / scheme,
                self.settings.training(),
                negatives=scheme,
                depth=_DEPTH,
                passages=FirstP(),
                dev_split="dev" if scheme == "ance" else None,  # which would encode the corpus for that alone
                keep_indexes=True,
                say=self.say,
                verbose=self.verbose,
            )

    def _index(self, dataset: Dataset, model: DenseEncoder, name: str, passages: PassageScheme) -> AnceIndex:
        index = AnceIndex(self.out / f"{name}.ance")
        if index.built():
            return index
        with self._timed(f"index, {name}"):
            return index_corpus(index.folder, model, dataset.store(), passages, verbose=self.verbose)

    def _plot(self) -> None:
        series = {scheme: pd.DataFrame(read_metrics(self.out / "training" / scheme / "metrics.jsonl")) for scheme in ("ance", "random")}
        plot_training(series, self.out / "training.png")

    def _report(self, dataset: Dataset, queries: pd.DataFrame, evaluation: Evaluation) -> dict[str, Any]:
        store = dataset.store()

        def text_of(docnos: Any) -> list[str]:
            return [document["text"] for document in store.get(list(docnos))]

        parts = ["```", evaluation.to_text(), "", evaluation.comparison_text(), "```", f"\n{_ONE_SEED}"]
        for winner, loser in (("ANCE", "BM25"), ("BM25", "ANCE")):
            parts.append(f"\n## Where {winner} wins\n")
            parts += [
                format_example(example, text_of) + "\n" for example in queries_won(evaluation, queries, winner, loser, "RR@10", _EXAMPLES)
            ]
        parts.append(self._where())
        report = "\n".join(parts)
        with atomic_open(self.out / "report.md") as stream:
            stream.write(f"# ance-ir demo\n\n{report}\n")
        settings = {**asdict(self.settings), "training": asdict(self.settings.training()), "model": MODEL, "text": _TEXT}
        settings |= {"dataset": DATASET, "fingerprint": dataset.fingerprint, "environment": environment(), "seconds": self.seconds}
        evaluation.save(self.out, settings)
        self.say(f"\n{report}")
        results: dict[str, Any] = read_json(self.out / "results.json")
        return results

    def _where(self) -> str:
        out = self.out
        return f"""## Where everything is

- {out}/results.json, per_query.tsv, runs/: figures, settings, TREC runs; {out}/report.md: this page
- {out}/training.png: loss and gradient norm by step
- {out}/training/ance: the training run; its model is in training/ance/model
- {out}/ance.ance: the index

## What to try next

- ance-ir search {out}/ance.ance "parse a date from a string" --dataset {DATASET}
- ance-ir eval --dataset {DATASET} --system bm25 --system "cascade=bm25 % 100 >> {out}/ance.ance" --baseline bm25
- ance-ir demo --compare --out runs/compare
- ance-ir train --help, and a directory of your own as --dataset"""
