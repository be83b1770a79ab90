"""Training from the command line by several processes: torchrun, inferencers of the trainer's own, inferencers elsewhere."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ance_ir.models import DenseEncoder
from ance_ir.training import TrainingRun, read_metrics
from tests.command import Run
from tests.tiny import WORDS, encoder

pytestmark = pytest.mark.slow  # tests/unit/training has the same without processes that import everything

ANCE_IR = [sys.executable, "-m", "ance_ir"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]

TWO_MACHINES = """
unshare --net true || exit 77
unshare --net sh -c '
    ip link set lo up
    unshare --net sleep 300 &
    other=$!
    trap "kill $other" EXIT
    while [ "$(readlink /proc/$other/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
    ip link add name here type veth peer name there netns $other || exit 77
    ip addr add 10.1.0.1/24 dev here && ip link set here up
    nsenter --target $other --net sh -c "ip link set lo up; ip addr add 10.1.0.2/24 dev there; ip link set there up"
    GLOO_SOCKET_IFNAME=there PET_NODE_RANK=1 nsenter --target $other --net "$0" "$@" &
    GLOO_SOCKET_IFNAME=here PET_NODE_RANK=0 "$0" "$@" && wait $!
' "$0" "$@"
"""
"""Runs a command twice at the same time, on two machines as far as the network goes: each has an address, and a wire joins them."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A collection of 400 documents, a tiny model, and how to train it."""
    folder = tmp_path_factory.mktemp("large")
    animals, verbs, colours = WORDS[21:26], ("runs", "sleeps", "sings", "swims"), ("red", "green", "blue", "small")
    texts = [f"the {c} {a} {v} {x}" for a, v, c, x in itertools.product(animals, verbs, colours, WORDS[:5])]
    (folder / "corpus.jsonl").write_text("".join(json.dumps({"docno": f"d{i}", "text": text}) + "\n" for i, text in enumerate(texts)))
    for name, numbers in ((".train", range(300)), ("", range(300, 360))):
        (folder / f"queries{name}.tsv").write_text("".join(f"q{i}\twho {' '.join(texts[i].split()[2:])}\n" for i in numbers))
        (folder / f"qrels{name}.txt").write_text("".join(f"q{i} 0 d{i} 1\n" for i in numbers))
    model = tmp_path_factory.mktemp("model") / "tiny"
    encoder().save(model)
    return ["--dataset", str(folder), "--model", str(model), "--batch-size", "8", "--learning-rate", "1e-3", "--dev-split", "test"]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    cache = tmp_path_factory.mktemp("cache")
    return {**os.environ, "OMP_NUM_THREADS": "1", "ANCE_IR_CACHE": str(cache), "PYTHONPATH": str(Path.cwd())}


def _run(command: list[Any], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], env=environment, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def _losses(folder: Path) -> list[float]:
    return [line["loss"] for line in read_metrics(folder / "metrics.jsonl") if "loss" in line]


MORE = ["--steps", "12", "--refresh-every", "6", "--no-dropout", "--negatives", "in-batch+ance", "--device", "cpu"]


@pytest.fixture(scope="module")
def alone(told: list[str], environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process trained."""
    folder = tmp_path_factory.mktemp("alone") / "one"
    found = _run([*ANCE_IR, "train", *told, *MORE, "--out", folder], environment)
    assert found.returncode == 0, found.stderr
    return folder


def test_torchrun_trains_as_one_process_does(told: list[str], environment: dict[str, str], alone: Path, tmp_path: Path) -> None:
    two = _run([*TORCHRUN, "-m", "ance_ir", "train", *told, *MORE, "--out", tmp_path / "two"], environment)
    assert two.returncode == 0, two.stderr
    assert two.stdout.count("trained model:") == 1, "one process speaks for all"
    assert _losses(tmp_path / "two") == pytest.approx(_losses(alone), rel=1e-4)
    evaluated = [
        [line["dev"]["step"] for line in read_metrics(folder / "metrics.jsonl") if "dev" in line] for folder in (alone, tmp_path / "two")
    ]
    assert evaluated == [[0, 6, 12], [0, 6, 12]]


def test_two_machines_train_as_one_process_does(told: list[str], environment: dict[str, str], alone: Path, tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1"]
    torchrun += ["--master-addr", "10.1.0.1", "--master-port", "29500"]
    two = _run(["sh", "-c", TWO_MACHINES, *torchrun, "-m", "ance_ir", "train", *told, *MORE, "--out", tmp_path / "two"], environment)
    if two.returncode == 77:
        pytest.skip(f"no two networks here: {two.stderr.strip()}")
    assert two.returncode == 0, two.stderr
    assert two.stdout.count("trained model:") == 1
    assert _losses(tmp_path / "two") == pytest.approx(_losses(alone), rel=1e-4)


def test_torchrun_indexes_byte_for_byte_as_one_process_does(told: list[str], environment: dict[str, str], tmp_path: Path) -> None:
    """Each process writes parts, and has one of its own to tokenise."""
    more = ["index", *told[:4], "--passages", "maxp:8,2", "--dtype", "float16", "--device", "cpu"]
    alone = _run([*ANCE_IR, *more, "--out", tmp_path / "one"], environment)
    assert alone.returncode == 0, alone.stderr
    two = _run([*TORCHRUN, "-m", "ance_ir", *more, "--workers", "1", "--out", tmp_path / "two"], environment)
    assert two.returncode == 0, two.stderr
    assert two.stdout.count("400 documents, ") == 1, "one process speaks for all"
    one, other = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*") if path.is_file()}
        for name in ("one", "two")
    )
    assert one == other
    assert sum(path.name.startswith("vectors-") for path in one) == 2
    assert not list(tmp_path.glob("*.building*"))


def test_two_processes_train_while_an_inferencer_mines(told: list[str], environment: dict[str, str], tmp_path: Path) -> None:
    more = ["--steps", "150", "--refresh-every", "10", "--inferencers", "1", "--depth", "20"]
    found = _run([*TORCHRUN, "-m", "ance_ir", "train", *told, *more, "--out", tmp_path / "run"], environment)
    assert found.returncode == 0, found.stderr
    lines = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert len(_losses(tmp_path / "run")) == 150
    assert sum("refresh" in line for line in lines) >= 2, found.stdout
    assert "test RR@10" in found.stdout
    assert DenseEncoder.from_pretrained(tmp_path / "run", device="cpu").dimension == 32


def test_a_process_that_fails_ends_all_and_is_heard(told: list[str], environment: dict[str, str], tmp_path: Path) -> None:
    more = ["--steps", "50", "--negatives", "random"]
    began = time.monotonic()
    found = _run([*TORCHRUN, "-m", "tests.failing_rank", "train", *told[:-2], *more, "--out", tmp_path / "run"], environment)
    assert found.returncode != 0
    assert "the second process fails here" in found.stderr
    assert time.monotonic() - began < 120
    assert len(_losses(tmp_path / "run")) == 2


def test_trainer_and_inferencers_are_commands_of_their_own(
    told: list[str], environment: dict[str, str], tmp_path: Path, started: list[subprocess.Popen[str]]
) -> None:
    folder = tmp_path / "run"

    def begin(*command: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*ANCE_IR, *map(str, command)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    more = ["--steps", "400", "--refresh-every", "10", "--inferencers", "0"]
    trainer = begin("train", *told, *more, "--out", folder)
    while not (folder / "run.json").exists():
        assert trainer.poll() is None, trainer.communicate()[1]
        time.sleep(0.05)
    first, second = begin("inferencer", folder), begin("inferencer", folder)
    while len(TrainingRun(folder).published()) < 2:
        assert first.poll() is None, first.communicate()[1]
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    said, errors = trainer.communicate(timeout=200)
    assert trainer.returncode == 0, errors
    said, errors = second.communicate(timeout=60)
    assert second.returncode == 0, errors
    assert "the training has ended" in said
    assert len(_losses(folder)) == 400


def test_what_an_inferencer_refuses(told: list[str], run: Run, tmp_path: Path) -> None:
    status, shown, error = run("inferencer", tmp_path / "nothing", "--patience", "0.5")
    assert (status, "holds no training run" in error) == (2, True), error
    assert "waiting for a training run to begin" in shown
    status, _, error = run("train", *told, "--steps", "1", "--out", tmp_path / "run")
    assert status == 0, error
    status, _, error = run("inferencer", tmp_path / "run")
    assert status == 2
    assert "--inferencers" in error
