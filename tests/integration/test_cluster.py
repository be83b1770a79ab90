"""A Ray cluster: the same bytes, the same rankings, whatever happens to its nodes."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ance_ir.processes import usable_cpus

pytestmark = pytest.mark.large  # two or three minutes on an idle machine

ROOT = Path(__file__).resolve().parents[2]
ALONE = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$0" "$@"']
"""Runs a command in a network of its own."""


def ran(module: str, folder: Path) -> None:
    """Run jobs on a cluster of their own."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    if sys.platform != "linux" or subprocess.run([*ALONE, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no network namespaces here: they need Linux, root, unshare and ip")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    job = [*ALONE, sys.executable, "-m", module, str(folder)]
    done = subprocess.run(job, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-5000:]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What ``tests.cluster_jobs`` found."""
    folder = tmp_path_factory.mktemp("cluster")
    ran("tests.cluster_jobs", folder)
    return dict(json.loads((folder / "found.json").read_text(encoding="utf-8")))


def test_two_nodes_write_the_bytes_of_one_process(found: dict[str, Any]) -> None:
    indexing = found["indexing"]
    assert indexing["whole"] == indexing["alone"]
    assert sum(indexing["read"]) == 60
    assert min(indexing["read"]) > 0, "both nodes encode"


def test_a_node_is_lost_in_the_middle(found: dict[str, Any]) -> None:
    indexing = found["indexing"]
    assert indexing["broken"] == indexing["alone"]
    left, lost = indexing["read again"]
    assert lost % 4, "it was killed in the middle of a part"
    assert left + lost == 60 + lost % 4, "which the other encoded again, and nothing else"


@pytest.mark.parametrize("after", ["ray", "lost"])
def test_a_sharded_index_ranks_as_on_one_machine(found: dict[str, Any], after: str) -> None:
    searching = found["searching"]
    assert searching["nodes"] == 2
    for case, expected in searching["exact"].items():
        assert searching[after][case]["docnos"] == expected["docnos"], case
        np.testing.assert_allclose(searching[after][case]["scores"], expected["scores"], rtol=1e-6)


def test_negatives_are_those_of_one_machine(found: dict[str, Any]) -> None:
    assert found["mining"]["ray"] == found["mining"]["exact"]
    assert max(found["mining"]["ray"]["candidates"][0]) > 0


def test_the_command_indexes_and_searches_on_a_cluster(found: dict[str, Any]) -> None:
    commands = found["commands"]
    assert [commands[name][0] for name in ("one", "two", "search exact", "search ray")] == [0, 0, 0, 0], commands["two"][2]
    assert commands["two.ance"] == commands["one.ance"]
    assert commands["search ray"][1] == commands["search exact"][1] != ""


def test_the_command_evaluates_and_trains_on_a_cluster(found: dict[str, Any]) -> None:
    commands = found["commands"]
    for name in ("eval", "train exact", "train ray"):
        assert commands[name][0] == 0, commands[name][2]
    exact, ray = commands["rankings"]
    assert ray == exact != []
    with_exact, with_ray = commands["weights"]
    assert with_ray == with_exact, "the negatives were the same"


def test_a_cluster_that_does_not_answer_is_named(found: dict[str, Any]) -> None:
    status, _, said = found["commands"]["nobody"]
    assert status == 2
    assert "127.0.0.1:9" in said.splitlines()[-1]


@pytest.mark.parametrize(("use", "folder"), [("index", "unseen.ance"), ("search", "maxp.ance")])
def test_a_node_that_does_not_see_a_folder_is_named_with_it(found: dict[str, Any], use: str, folder: str) -> None:
    assert "node " in found["not seen"][use]
    assert "127.0.0.1" in found["not seen"][use]
    assert folder in found["not seen"][use]


@pytest.mark.skipif(usable_cpus() < 2, reason="two nodes need two cores")
def test_two_nodes_take_less_time_than_one(tmp_path: Path) -> None:
    """With the actual model; by the clock, so it needs two cores that little else uses."""
    ran("tests.cluster_speed", tmp_path)
    seconds = json.loads((tmp_path / "seconds.json").read_text(encoding="utf-8"))
    print({**seconds, "one / two": seconds["one"] / seconds["two"]})
    assert seconds["two"] <= 0.75 * seconds["one"]
