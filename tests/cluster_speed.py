"""How long ``ance-ir index --cluster ray`` takes on one node and on two, of a core each; run in a network namespace of its own.

``python -m tests.cluster_speed FOLDER`` writes the seconds to FOLDER/seconds.json, for ``tests/integration/test_cluster.py``.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from pathlib import Path

import ray
from ray._private.ray_constants import RAY_WORKER_NICENESS
from ray.cluster_utils import Cluster

from ance_ir.cli.main import main
from ance_ir.datasets import load_dataset
from ance_ir.indexes.cluster.connection import connect
from ance_ir.indexes.store import corpus

DOCUMENTS, FEW = 240, 16
NODE = {"num_cpus": 1, "include_dashboard": False}


def seconds(folder: Path, cluster: Cluster, name: str) -> float:
    """Of the command, after a warm-up: the processes of a long run have imported everything."""
    for collection in ("few", "all"):
        command = ["index", "--dataset", str(folder / collection), "--model", "all-MiniLM-L6-v2"]
        began = time.perf_counter()
        assert main([*command, "--cluster", f"ray://{cluster.address}", "--out", str(folder / f"{name}-{collection}.ance")]) == 0
        taken = time.perf_counter() - began
    return taken


def work(folder: Path) -> None:
    """First one node, then another one with it."""
    corpus.LEAST = 1  # so that there are 16 parts
    os.environ[RAY_WORKER_NICENESS] = "0"  # by default Ray's processes give way to all others
    lines = [json.dumps(document) + "\n" for document in itertools.islice(load_dataset("python-stdlib").usable_documents(), DOCUMENTS)]
    for name, count in (("few", FEW), ("all", DOCUMENTS)):
        (folder / name).mkdir()
        (folder / name / "corpus.jsonl").write_text("".join(lines[:count]), encoding="utf-8")
    cluster = Cluster(initialize_head=True, head_node_args=NODE)
    try:
        connect(f"ray://{cluster.address}")
        found = {"one": seconds(folder, cluster, "one")}
        cluster.add_node(**NODE)
        found["two"] = seconds(folder, cluster, "two")
    finally:
        ray.shutdown()
        cluster.shutdown()
    (folder / "seconds.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    work(Path(sys.argv[1]).absolute())
