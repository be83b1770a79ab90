"""TensorBoard's own reader finds what the log says, each step once."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from ance_ir.datasets import Dataset
from ance_ir.errors import MissingDependencyError
from ance_ir.indexes import FirstP
from ance_ir.models import DenseEncoder
from ance_ir.training import DenseObjective, RandomNegatives, Trainer, TrainingQueries, TrainingSettings, read_metrics
from ance_ir.training.run.metrics import MetricsLog
from tests.breaking import Breaking, Interrupted
from tests.logged import logged_line
from tests.tiny import encoder

pytest.importorskip("tensorboard")


@pytest.fixture(autouse=True)
def _files_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of files of one second TensorBoard reads ``….10`` before ``….9``; a run that goes on writes seconds later."""
    from tensorboard.summary.writer import event_file_writer

    monkeypatch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(0))


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Steps and values by tag, as TensorBoard shows them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reader = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return {tag: [(event.step, event.value) for event in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]}


def flat(value: Any, name: str) -> Any:
    for part in name.split("/"):
        value = value.get(part, {})
    return value


def agrees(log: Path, board: Path) -> bool:
    """Whether the board holds each number of the log, and no more."""
    lines = read_metrics(log)
    train, dev = scalars(board / "train"), scalars(board / "dev") if (board / "dev").exists() else {}
    for tag, found in train.items():
        assert found == [(line["step"], pytest.approx(flat(line, tag))) for line in lines if flat(line, tag) != {}], tag
    told = [line["dev"] for line in lines if "dev" in line]
    for measure, found in dev.items():
        assert found == [(one["step"], pytest.approx(one[measure])) for one in told], measure
    names = {name for one in told for name in one} - {"step"}
    return set(dev) == names and {"loss", "grad_norm", "learning_rate", "tokens", "seconds"} <= set(train)


def write(folder: Path, first: int, last: int, *, board: bool = True, late: int = 0) -> None:
    """Write steps to a log; what is evaluated becomes known ``late`` steps later."""
    log = MetricsLog(folder / "metrics.jsonl", first, ("tensorboard",) if board else ())
    for step in range(first, last):
        line = logged_line(step, 40)
        if "dev" in line:
            line["dev"]["step"] = max(0, step - late)
        log.write(line)
    log.close()


def test_the_board_holds_what_the_log_holds(tmp_path: Path) -> None:
    write(tmp_path, 0, 40)
    assert agrees(tmp_path / "metrics.jsonl", tmp_path / "tensorboard")
    train = scalars(tmp_path / "tensorboard" / "train")
    assert train["grad_norms/layers 1-2"][3] == (3, pytest.approx(logged_line(3, 40)["grad_norms"]["layers 1-2"]))
    assert [step for step, _ in train["refresh/overlap_with_top_100"]] == [10, 20, 30]
    assert "step" not in train
    assert list(scalars(tmp_path / "tensorboard" / "dev")) == ["RR@10", "nDCG@10"]


@pytest.mark.parametrize("late", [-1, 0, 4])
@pytest.mark.parametrize("again", [0, 1, 10, 11, 22])
def test_steps_that_are_done_again_stand_once(tmp_path: Path, again: int, late: int) -> None:
    write(tmp_path, 0, 22, late=late)
    write(tmp_path, again, 40, late=late)
    assert agrees(tmp_path / "metrics.jsonl", tmp_path / "tensorboard")
    assert len(scalars(tmp_path / "tensorboard" / "dev")["RR@10"]) == 4


def test_what_was_evaluated_and_is_not_any_more_is_hidden(tmp_path: Path) -> None:
    write(tmp_path, 0, 12)
    write(tmp_path, 5, 9)
    assert scalars(tmp_path / "tensorboard" / "dev")["RR@10"] == [(0, pytest.approx(0.2))]


def test_a_board_that_comes_later_begins_with_the_log(tmp_path: Path) -> None:
    write(tmp_path, 0, 22, board=False)
    assert not (tmp_path / "tensorboard").exists()
    write(tmp_path, 20, 40)
    assert agrees(tmp_path / "metrics.jsonl", tmp_path / "tensorboard")


def test_a_line_is_in_the_files_when_it_is_written(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.jsonl", 0, ["tensorboard"])
    for step in range(3):
        log.write(logged_line(step, 40))
        assert [found for found, _ in scalars(tmp_path / "tensorboard" / "train")["loss"]][-1] == step
    log.close()


@pytest.mark.parametrize("broken_at", [2, 6])
def test_a_run_that_was_broken_off_has_a_board_without_doubles(
    tmp_path: Path, dataset: Dataset, queries: TrainingQueries, broken_at: int
) -> None:
    def make(source: Any, tensorboard: bool = True) -> Trainer[DenseEncoder]:
        return Trainer(
            DenseObjective(encoder(), queries, dataset.store(), FirstP()),
            source,
            TrainingSettings(steps=12, batch_size=4, learning_rate=1e-3, refresh_every=4),
            tmp_path / "run",
            dataset={"name": "tiny"},
            report_to=("tensorboard",) if tensorboard else (),
        )

    with pytest.raises(Interrupted):
        make(Breaking(queries, broken_at)).train()
    make(RandomNegatives(queries)).train()
    assert agrees(tmp_path / "run" / "metrics.jsonl", tmp_path / "run" / "tensorboard")
    assert "tensorboard" not in json.dumps(json.loads((tmp_path / "run" / "run.json").read_text())["settings"])
    make(RandomNegatives(queries), tensorboard=False).train()


def test_without_tensorboard_nothing_is_begun(
    tmp_path: Path, dataset: Dataset, queries: TrainingQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingDependencyError, match=r"needs the package tensorboard: pip install 'ance_ir\[train\]'"):
        Trainer(
            DenseObjective(encoder(), queries, dataset.store(), FirstP()),
            RandomNegatives(queries),
            TrainingSettings(steps=1),
            tmp_path / "run",
            dataset={"name": "tiny"},
            report_to=["tensorboard"],
        )
    assert not (tmp_path / "run").exists()


def test_a_run_that_has_ended_is_written_to_the_board_on_request(tmp_path: Path, dataset: Dataset, queries: TrainingQueries) -> None:
    for tensorboard in (False, True):
        Trainer(
            DenseObjective(encoder(), queries, dataset.store(), FirstP()),
            RandomNegatives(queries),
            TrainingSettings(steps=4, batch_size=4),
            tmp_path / "run",
            dataset={},
            report_to=("tensorboard",) if tensorboard else (),
        ).train()
    assert len(scalars(tmp_path / "run" / "tensorboard" / "train")["loss"]) == 4
    assert len(read_metrics(tmp_path / "run" / "metrics.jsonl")) == 4
