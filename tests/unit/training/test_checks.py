"""What is refused or warned of before a run and after it."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ance_ir.datasets import Dataset, load_dataset
from ance_ir.errors import TrainingError, UsageError
from ance_ir.indexes import FirstP
from ance_ir.indexes.mining import AnnMiner
from ance_ir.notices import collected
from ance_ir.training import (
    AnnNegatives,
    DenseObjective,
    InBatchNegatives,
    MinedNegatives,
    MixedNegatives,
    RandomNegatives,
    RerankerObjective,
    Trainer,
    TrainingQueries,
    TrainingSettings,
    read_metrics,
)
from ance_ir.workflows import train_on_dataset
from tests.breaking import Breaking, Interrupted
from tests.tiny import cross_encoder, encoder


def some(queries: TrainingQueries, count: int) -> TrainingQueries:
    """The first of some queries."""
    cut = {name: getattr(queries, name)[:count] for name in ("qids", "texts", "positives", "excluded")}
    return dataclasses.replace(queries, **cut)


def sharing(queries: TrainingQueries, count: int = 24) -> TrainingQueries:
    """Queries of which the first ones have one relevant document."""
    first = {name: [getattr(queries, name)[0]] * count + getattr(queries, name)[count:] for name in ("positives", "excluded")}
    return dataclasses.replace(queries, **first)


def trainer(dataset: Dataset, queries: TrainingQueries, folder: Path, source: Any, **options: Any) -> Trainer[Any]:
    objective = options.pop("objective", None) or DenseObjective(encoder(), queries, dataset.store(), FirstP(), loss="nll")
    more = {name: options.pop(name) for name in ("miner", "evaluate", "notices") if name in options}
    settings = {
        "steps": 4,
        "batch_size": 4,
        "refresh_every": 2,
        "checkpoint_every": 1,
        "keep_checkpoints": 1,
        **options,
    }
    return Trainer(objective, source, TrainingSettings(**settings), folder, dataset={"name": "tiny"}, **more)


def manifest(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return told


@pytest.mark.parametrize("kind", ["all", "hardest"])
def test_the_batchs_documents_are_negatives_of_dense_encoders_alone(
    dataset: Dataset, queries: TrainingQueries, tmp_path: Path, kind: Any
) -> None:
    reranker = RerankerObjective(cross_encoder(), queries, dataset.store())
    taught = DenseObjective(encoder(), queries, dataset.store(), FirstP(), loss="kl", teacher=cross_encoder())
    mixture = MixedNegatives([InBatchNegatives(kind), RandomNegatives(queries)], [1, 1])
    for objective, source in ((reranker, InBatchNegatives(kind)), (reranker, mixture), (taught, mixture)):
        with pytest.raises(UsageError, match=source.name.replace("+", r"\+")):
            trainer(dataset, queries, tmp_path / "run", source, objective=objective)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", ["all", "hardest"])
def test_batches_that_cannot_hold_a_negative_are_refused(dataset: Dataset, queries: TrainingQueries, tmp_path: Path, kind: Any) -> None:
    for asked, size in ((queries, 1), (some(queries, 1), 4), (sharing(queries), 4)):
        with pytest.raises(UsageError):
            trainer(dataset, asked, tmp_path / "run", InBatchNegatives(kind), batch_size=size)
    assert not (tmp_path / "run").exists()


def test_steps_without_a_negative_are_counted_over_a_run_that_was_broken_off(
    dataset: Dataset, queries: TrainingQueries, tmp_path: Path
) -> None:
    asked, folder = sharing(queries, 23), tmp_path / "run"  # one of 24 has another document
    trainer(dataset, asked, folder, InBatchNegatives("all"), batch_size=2, steps=12).train()
    idle = [line["step"] for line in read_metrics(folder / "metrics.jsonl") if line.get("without_negatives")]
    assert len(idle) == 11
    assert all(line["loss"] == 0 for line in read_metrics(folder / "metrics.jsonl") if line["step"] in idle)
    (notice,) = manifest(folder)["notices"]
    assert "11 of 12 steps" in notice
    assert str(idle[0]) in notice


def test_weights_that_are_not_finite_are_named(dataset: Dataset, queries: TrainingQueries, tmp_path: Path) -> None:
    model = encoder()
    name, weights = list(model.named_parameters())[3]
    with torch.no_grad():
        weights.view(-1)[0] = float("nan")
    with pytest.raises(TrainingError, match=name.replace(".", r"\.")):
        trainer(
            dataset,
            queries,
            tmp_path / "run",
            RandomNegatives(queries),
            objective=DenseObjective(model, queries, dataset.store(), FirstP()),
        )
    assert not (tmp_path / "run").exists()


def test_what_will_be_otherwise_than_meant_is_said_before(dataset: Dataset, queries: TrainingQueries, tmp_path: Path) -> None:
    miner = AnnMiner(queries, dataset.store(), FirstP(), depth=5)
    once = trainer(dataset, queries, tmp_path / "once", AnnNegatives(queries), miner=miner, steps=3, refresh_every=3).run.manifest
    assert ["never refreshed" in notice for notice in once["notices"]] == [True]
    assert "3 steps" in once["notices"][0]
    assert "notices" not in trainer(dataset, queries, tmp_path / "twice", AnnNegatives(queries), miner=miner, steps=3).run.manifest
    evaluated = AnnMiner(queries, dataset.store(), FirstP(), evaluate=lambda *_: {"RR@10": 0.0})
    dev = trainer(dataset, queries, tmp_path / "dev", RandomNegatives(queries), miner=evaluated, steps=2, select="last").run.manifest
    assert ["dev" in notice for notice in dev["notices"]] == [True]
    large = trainer(dataset, some(queries, 3), tmp_path / "large", RandomNegatives(queries)).run.manifest
    assert ["batch of 4" in notice for notice in large["notices"]] == [True]


@pytest.mark.parametrize(("values", "best"), [([0.1, 0.5, 0.3, 0.2], 2), ([0.1, 0.2, 0.3, 0.4], 4), ([0.3, 0.3, 0.3, 0.3], 1)])
def test_another_model_that_was_better_on_dev_is_named(
    dataset: Dataset, queries: TrainingQueries, tmp_path: Path, values: list[float], best: int
) -> None:
    objective = RerankerObjective(cross_encoder(), queries, dataset.store())
    told_to = {"objective": objective, "evaluate": lambda step: {"RR@10": values[step - 1]}, "select": "last"}
    one = trainer(dataset, queries, tmp_path, RandomNegatives(queries), **told_to)
    one.train()
    told = manifest(tmp_path)
    assert told["saved"] == {"step": 4, "best_on_dev": best}
    if values[best - 1] == values[-1]:
        assert "notices" not in told
        return
    (notice,) = told["notices"]
    kept = one.run.checkpoint_folder(best) / "model"
    assert str(kept) in notice
    assert kept.is_dir()
    assert f"{values[best - 1]:.4f}" in notice


def test_a_run_that_goes_on_keeps_its_notices_once(dataset: Dataset, queries: TrainingQueries, tmp_path: Path) -> None:
    given = ["1 of 2 queries were left out"]
    with pytest.raises(Interrupted):
        trainer(dataset, queries, tmp_path, Breaking(queries, 2), notices=given).train()
    assert manifest(tmp_path)["notices"] == given
    trainer(dataset, queries, tmp_path, RandomNegatives(queries), notices=["1 of 2 queries were left out", "another"]).train()
    assert manifest(tmp_path)["notices"] == ["1 of 2 queries were left out", "another"]


@pytest.fixture
def partly(collection: Path, tmp_path: Path) -> Path:
    """The collection with a query that nobody judged, a relevant document that is not there, and so on."""
    folder = tmp_path / "partly"
    shutil.copytree(collection, folder)
    with (folder / "queries.train.tsv").open("a") as stream:
        stream.write("unjudged\twho is it\n")
        stream.write((folder / "queries.tsv").read_text().splitlines()[0].replace("q24", "again") + "\n")
    with (folder / "qrels.train.txt").open("a") as stream:
        stream.write("again 0 d24 1\nunasked 0 d3 1\nq0 0 gone 1\n")
    return folder


def test_what_is_left_out_of_training_stands_in_the_manifest(partly: Path, tmp_path: Path) -> None:
    settings = TrainingSettings(steps=2, batch_size=2, negatives=1, refresh_every=1)
    with collected() as shown:
        train_on_dataset(load_dataset(partly), encoder(), tmp_path / "run", settings, negatives="random", passages=FirstP())
    notices = manifest(tmp_path / "run")["notices"]
    assert notices == shown
    for named in ("'unjudged'", "'gone'", "'unasked'", "'again'"):
        assert sum(named in notice for notice in notices) == 1, named
    assert len(notices) == 4


def test_a_ranking_deeper_than_the_corpus_is_said(partly: Path, tmp_path: Path) -> None:
    settings = TrainingSettings(steps=1, batch_size=2, negatives=1)
    run = "".join(f"q{i} Q0 d{j} {j} {-j} x\n" for i in range(24) for j in range(36))
    (tmp_path / "mine.txt").write_text(run)
    with collected() as shown:
        source = str(tmp_path / "mine.txt")
        train_on_dataset(load_dataset(partly), encoder(), tmp_path / "run", settings, negatives=source, passages=FirstP(), depth=50)
    assert sum("first 50" in notice and "has 38" in notice for notice in shown) == 1
    assert sum("no candidates" in notice and "'again'" in notice for notice in shown) == 1


def test_mined_queries_without_candidates_are_named_once(queries: TrainingQueries) -> None:
    found = np.full((len(queries), 2), 3, dtype=np.int32)
    found[5] = -1
    nothing = np.zeros((0, 2), dtype=np.int32)
    mined = MinedNegatives(candidates_QK=found, scores_QK=found.astype(np.float32), top_SN=nothing, sample_S=nothing[:, 0], report={})
    source = AnnNegatives(queries)
    with collected() as shown:
        source.use(mined)
        source.use(mined)
    assert len(shown) == 1
    assert repr(queries.qids[5]) in shown[0]
