"""Killed at any instant, a run goes on and ends the same."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ance_ir.datasets import Dataset
from ance_ir.indexes import AnceIndex, FirstP
from ance_ir.indexes.mining import AnnMiner
from ance_ir.models import DenseEncoder
from ance_ir.training import MinedNegatives, TrainingQueries, TrainingRun
from tests.breaking import timeless_lines
from tests.processes import CONTEXT, MINING, PUBLISHING, TRAINING, kill_in, start
from tests.training_jobs import encode_part_by_part, index_a_stream, infer, train, train_asynchronously

pytestmark = pytest.mark.slow

PHASES = {"training": TRAINING, "mining": MINING, "publishing": PUBLISHING}
KILLS = 8


def _weights(folder: Path) -> dict[str, Any]:
    return DenseEncoder.from_pretrained(folder, device="cpu").state_dict()


def contents(folder: Path) -> dict[Path, bytes]:
    """All files of a folder."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_trainer_killed_at_random_instants_ends_the_same(collection: Path, tmp_path: Path) -> None:
    settings = {"steps": 60}
    unbroken = start(train, collection, tmp_path / "a", None, settings)
    unbroken.join(120)
    assert unbroken.exitcode == 0
    instants, kills = random.Random(1), Counter[str]()
    now = CONTEXT.Value("i", 0)
    while kills.total() < KILLS:
        name = list(PHASES)[kills.total() % 3]
        process = start(train, collection, tmp_path / "b", now, settings)
        if kill_in(PHASES[name], now, process, instants, 0.01):
            kills[name] += 1
        else:
            assert process.exitcode == 0
            break
    assert min(kills.values()) >= KILLS // 3, f"the run ended before it was killed often enough: {kills}"
    last = start(train, collection, tmp_path / "b", None, settings)
    last.join(120)
    assert last.exitcode == 0
    expected, found = timeless_lines(tmp_path / "a"), timeless_lines(tmp_path / "b")
    assert found == expected
    for one, other in zip(_weights(tmp_path / "a").values(), _weights(tmp_path / "b").values(), strict=True):
        assert (one == other).all()
    assert not list((tmp_path / "b").rglob("*.partial-*"))


def test_inferencers_and_trainers_killed_at_random_instants(
    collection: Path, dataset: Dataset, queries: TrainingQueries, tmp_path: Path
) -> None:
    """Both are killed in turn; what is published is always whole, and what was trained is repeated to the last digit."""
    folder = tmp_path / "run"
    settings = {"steps": 400, "checkpoint_every": 5, "keep_checkpoints": 1000}
    instants, kills = random.Random(2), Counter[str]()
    phases = {"trainer": CONTEXT.Value("i", 0), "inferencer": CONTEXT.Value("i", 0)}
    jobs = {"trainer": train_asynchronously, "inferencer": infer}
    arguments: dict[str, list[Any]] = {"trainer": [settings], "inferencer": []}

    def begin(role: str) -> Any:
        return start(jobs[role], collection, folder, phases[role], *arguments[role])

    seen: dict[int, dict[str, Any]] = {}
    running = {"trainer": begin("trainer")}
    while not (folder / "run.json").exists():
        assert running["trainer"].is_alive()
    running["inferencer"] = begin("inferencer")
    targets = [("inferencer", MINING), ("trainer", TRAINING), ("inferencer", PUBLISHING), ("trainer", PUBLISHING)]
    while kills.total() < KILLS and running["trainer"].is_alive():
        role, phase = targets[kills.total() % len(targets)]
        if not kill_in(phase, phases[role], running[role], instants, 0.02):
            break
        kills[role] += 1
        for line in timeless_lines(folder) if (folder / "metrics.jsonl").exists() else []:
            before = seen.setdefault(line["step"], line)
            assert line == before, "a step that is repeated is the same to the last digit"
        for step in TrainingRun(folder).published():
            MinedNegatives.read(TrainingRun(folder).negatives_folder(step))
        running[role] = begin(role)
    assert min(kills["trainer"], kills["inferencer"]) >= KILLS // 2, f"the run ended before it was killed often enough: {kills}"
    for process in running.values():
        process.join(180)
        assert process.exitcode == 0
    lines = timeless_lines(folder)
    assert [line["step"] for line in lines] == list(range(400))
    for line in lines:
        assert line == seen.get(line["step"], line)
    mined_at = [line["step"] - line["staleness"] for line in lines]
    assert mined_at == sorted(mined_at)
    assert len(set(mined_at)) > 3
    run, store = TrainingRun(folder), dataset.store()
    for step in sorted(set(mined_at)):
        model = DenseEncoder.from_pretrained(run.checkpoint_folder(step) / "model", device="cpu")
        AnnMiner(queries, store, FirstP(), depth=5).mine(model, tmp_path / "again" / f"step-{step:06d}", step, None)
        again = MinedNegatives.read(tmp_path / "again" / f"step-{step:06d}")
        assert (MinedNegatives.read(run.negatives_folder(step)).candidates_QK == again.candidates_QK).all()


def test_an_encoding_killed_at_random_instants_is_byte_equal(collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unbroken = start(encode_part_by_part, collection, tmp_path / "a.ance", None, True)
    unbroken.join(60)
    assert unbroken.exitcode == 0
    instants, kills, now = random.Random(3), 0, CONTEXT.Value("i", 0)
    while kills < KILLS:
        helper = start(encode_part_by_part, collection, tmp_path / "b.ance", None, False)
        leader = start(encode_part_by_part, collection, tmp_path / "b.ance", now, True)
        if kill_in(MINING, now, leader, instants, 0.04):
            kills += 1
        elif leader.exitcode == 0:
            shutil.rmtree(tmp_path / "b.ance")
        helper.kill()
        helper.join()
        now.value = 0
    last = start(encode_part_by_part, collection, tmp_path / "b.ance", None, True)
    last.join(60)
    assert last.exitcode == 0
    assert contents(tmp_path / "a.ance") == contents(tmp_path / "b.ance")
    AnceIndex(tmp_path / "b.ance").verify()
    assert len(np.unique(AnceIndex(tmp_path / "b.ance").vectors.get(np.arange(38)), axis=0)) > 30


def test_a_stream_killed_at_random_instants_is_indexed_byte_for_byte(collection: Path, tmp_path: Path) -> None:
    """Killed while the stream is written, encoded, made an index of, and put into its place."""
    unbroken = start(index_a_stream, collection, tmp_path / "a" / "x.ance", None)
    unbroken.join(60)
    assert unbroken.exitcode == 0
    instants, kills, now, path = random.Random(4), Counter[str](), CONTEXT.Value("i", 0), tmp_path / "b" / "x.ance"
    while kills.total() < KILLS or min(kills["stream"], kills["encoding"]) < KILLS // 3:
        process = start(index_a_stream, collection, path, now)
        name = "stream" if kills["stream"] <= kills["encoding"] else "encoding"
        if kill_in({"stream": TRAINING, "encoding": MINING}[name], now, process, instants, 0.05):
            kills[name] += 1
        else:
            assert process.exitcode == 0
        if AnceIndex(path).built():
            AnceIndex(path).verify()
            shutil.rmtree(path)
        now.value = 0
    last = start(index_a_stream, collection, path, None)
    last.join(60)
    assert last.exitcode == 0
    assert contents(tmp_path / "a") == contents(tmp_path / "b"), "nothing is left beside the index either"
