"""Training a reranker: its losses, its loop, its runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ance_ir.datasets import Dataset
from ance_ir.errors import TrainingError, UsageError
from ance_ir.models import CrossEncoder
from ance_ir.training import (
    LOSSES,
    NegativeSource,
    RandomNegatives,
    RerankerObjective,
    Trainer,
    TrainingQueries,
    TrainingSettings,
)
from ance_ir.training.batches import Batches
from tests.breaking import Breaking, Interrupted, timeless_lines
from tests.tiny import cross_encoder

Make = Callable[..., Trainer[CrossEncoder]]


@pytest.fixture
def make(dataset: Dataset, queries: TrainingQueries) -> Make:
    def made(
        folder: Path,
        source: NegativeSource[CrossEncoder] | None = None,
        loss: Any = "nll",
        evaluate: Callable[[int], dict[str, float]] | None = None,
        model: CrossEncoder | None = None,
        **settings: Any,
    ) -> Trainer[CrossEncoder]:
        told = {"steps": 12, "batch_size": 4, "learning_rate": 1e-3, "checkpoint_every": 4, "negatives": 2, **settings}
        return Trainer(
            RerankerObjective(model or cross_encoder(), queries, dataset.store(), loss),
            source or RandomNegatives(queries),
            TrainingSettings(**told),
            folder,
            dataset={"name": "tiny"},
            evaluate=evaluate,
        )

    return made


def _equal(one: CrossEncoder, other: CrossEncoder) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def test_losses() -> None:
    positive, negative = torch.tensor([2.0, 0.0]), torch.tensor([[1.5, -3.0], [0.5, 2.0]])
    wanted = np.mean([-np.log(np.exp(2) / np.exp([2, 1.5, -3]).sum()), -np.log(1 / np.exp([0, 0.5, 2]).sum())])
    assert float(LOSSES["nll"](positive, negative)) == pytest.approx(wanted)
    assert float(LOSSES["hinge"](positive, negative)) == pytest.approx((0.5 + 0 + 1.5 + 3) / 4)
    one = negative[:, :1]
    assert float(LOSSES["nll"](positive, one)) == pytest.approx(float(LOSSES["pairwise-nll"](positive, one)))


@pytest.mark.parametrize("labels", [1, 2])
def test_the_loss_is_that_of_the_scores(dataset: Dataset, queries: TrainingQueries, labels: int) -> None:
    model, store = cross_encoder(labels=labels, pair_length=14), dataset.store()
    batch = Batches(queries, RandomNegatives(queries), TrainingSettings(steps=1, batch_size=5, negatives=3)).of_step(0)[0]
    scores = [
        [
            float(model.log_odds([queries.texts[query]], [store[int(number)]["text"]])[0]) / 2
            for number in [batch.positives[row], *batch.negatives[row]]
        ]
        for row, query in enumerate(batch.queries)
    ]
    found = torch.tensor(scores)
    for name, loss in LOSSES.items():
        value, tokens = RerankerObjective(model, queries, store, name).backward(batch, 2.0, 1.0)
        assert value == pytest.approx(float(loss(found[:, 0], found[:, 1:])), rel=1e-4)
        assert any(weight.grad is not None and weight.grad.abs().max() > 0 for weight in model.parameters())
        assert tokens > 20 * 5


@pytest.mark.parametrize("loss", ["nll", "hinge"])
def test_the_loss_falls(make: Make, tmp_path: Path, loss: str) -> None:
    make(tmp_path / "run", loss=loss, steps=60, dropout=False).train()
    losses = [line["loss"] for line in timeless_lines(tmp_path / "run")]
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])


@pytest.mark.parametrize("broken_at", [1, 4, 6, 11])
@pytest.mark.parametrize("dropout", [True, False])
def test_a_run_that_was_broken_off_ends_the_same(
    make: Make, tmp_path: Path, queries: TrainingQueries, broken_at: int, dropout: bool
) -> None:
    unbroken = make(tmp_path / "a", dropout=dropout).train()
    with pytest.raises(Interrupted):
        make(tmp_path / "b", Breaking(queries, broken_at), dropout=dropout).train()
    resumed = make(tmp_path / "b", dropout=dropout).train()
    assert timeless_lines(tmp_path / "a") == timeless_lines(tmp_path / "b")
    assert _equal(unbroken, resumed)
    again = make(tmp_path / "b", Breaking(queries, 0), dropout=dropout).train()
    assert _equal(again, resumed)
    assert again.name == str(tmp_path / "b" / "model")
    assert CrossEncoder.from_pretrained(tmp_path / "b", device="cpu").fingerprint() == resumed.fingerprint()


def test_evaluations_join_the_log_and_are_not_lost(make: Make, tmp_path: Path) -> None:
    asked: list[int] = []

    def evaluate(step: int) -> dict[str, float]:
        asked.append(step)
        if asked == [4, 8]:
            raise Interrupted
        return {"RR@10": step / 100}

    with pytest.raises(Interrupted):
        make(tmp_path / "run", evaluate=evaluate).train()
    make(tmp_path / "run", evaluate=evaluate).train()
    assert asked == [4, 8, 8, 12]
    found = {line["step"]: line["dev"] for line in timeless_lines(tmp_path / "run") if "dev" in line}
    assert found == {step - 1: {"step": step, "RR@10": step / 100} for step in (4, 8, 12)}


def test_another_loss_or_model_is_another_run(make: Make, tmp_path: Path) -> None:
    make(tmp_path / "run")
    with pytest.raises(TrainingError, match="loss was 'cross-entropy', is 'margin'"):
        make(tmp_path / "run", loss="hinge")
    with pytest.raises(TrainingError, match=r"model\.fingerprint was .*; model\.settings\.pair_length was 32, is 16"):
        make(tmp_path / "run", model=cross_encoder(pair_length=16))
    with pytest.raises(UsageError, match=r"loss 'hing'.*'hinge'"):
        make(tmp_path / "other", loss="hing")


@pytest.mark.parametrize(("old", "new"), [("cross-entropy", "nll"), ("margin", "hinge")])
def test_the_old_name_of_a_loss_is_the_same_run(make: Make, tmp_path: Path, old: str, new: str) -> None:
    make(tmp_path / "run", loss=new)
    with pytest.warns(FutureWarning, match=f"'{old}' is now '{new}'"):
        assert make(tmp_path / "run", loss=old).run.manifest["loss"] == old


def test_half_precision_is_trained_in_float32(make: Make, tmp_path: Path) -> None:
    trainer = make(tmp_path / "run", model=cross_encoder().bfloat16())
    assert {parameter.dtype for parameter in trainer.train().parameters()} == {torch.float32}
