"""What a Ray cluster on this machine does to a small corpus; run in a network namespace of its own, so that all of it stays on 127.0.0.1.

``python -m tests.cluster_jobs FOLDER`` writes what came out to FOLDER/found.json, for ``tests/integration/test_cluster.py``.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray.cluster_utils import Cluster

from ance_ir.cli.main import main
from ance_ir.datasets import Dataset, Document, DocumentStore, load_dataset
from ance_ir.errors import AnceError
from ance_ir.indexes import AnceIndex, FirstP, MaxP, index_corpus
from ance_ir.indexes.cluster.connection import connect
from ance_ir.indexes.cluster.encoding import PartTasks
from ance_ir.indexes.mining import AnnMiner
from ance_ir.indexes.search.aggregation import parse_aggregation
from ance_ir.indexes.store import corpus
from ance_ir.training import MinedNegatives, TrainingQueries
from tests.tiny import WORDS, encoder

PARTS, SIZE = 15, 4
QUICK = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 4}
"""A node that was killed is missed after two seconds."""


class Watched(DocumentStore):
    """A store that notes on which node each document was read, and takes its time, much of it on a node that is to be lost."""

    def __getitem__(self, number: int) -> Document:
        notes = Path(os.environ["WATCHED"], ray.get_runtime_context().get_node_id())
        with notes.open("a", encoding="utf-8") as stream:
            stream.write("read\n")
        time.sleep(10 if notes.with_suffix(".slow").exists() else 0.1)
        return super().__getitem__(number)


def read_on(node: str) -> int:
    """How many documents were read on a node."""
    path = Path(os.environ["WATCHED"], node)
    return path.read_text(encoding="utf-8").count("\n") if path.exists() else 0


def content(folder: Path) -> dict[str, str]:
    """A hash of every file."""
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


class Ranking:
    """Rankings of an index on one machine and on a cluster.

    Args:
        folder: for the index.
        store: its documents.
    """

    def __init__(self, folder: Path, store: DocumentStore) -> None:
        model = encoder(head=8)
        self.index = index_corpus(folder / "maxp.ance", model, store, MaxP(8, 3))
        self.index.delete(["d3", "d30"])
        pairs = zip(WORDS[:20], WORDS[20:40], strict=True)
        self.queries_QD = model.encode_queries([f"{one} {other}" for one, other in pairs])

    def __call__(self, backend: str) -> dict[str, Any]:
        found = {}
        for name in ("max", "first", "mean", "sum:2"):
            for k in (1, 7, 100):
                searcher = self.index.searcher(backend, first_passages=name == "first")
                scores_QK, numbers_QK = self.index.search_vectors(self.queries_QD, k, searcher, parse_aggregation(name))
                found[f"{name}@{k}"] = {"docnos": self.index.docnos(numbers_QK).tolist(), "scores": scores_QK.tolist()}
        return found


def holding_nodes() -> int:
    """On how many nodes there are processes that hold shards."""
    actors = ray._private.state.actors().values()
    return len({actor["Address"]["NodeID"] for actor in actors if actor["State"] == "ALIVE"})


def index_and_lose(folder: Path, cluster: Cluster, lost: Any, store: DocumentStore) -> dict[str, Any]:
    """Index on two nodes, then once more, and kill one of them when it has read a part of a part."""
    model, nodes = encoder(head=8), [cluster.head_node, lost]
    index_corpus(folder / "alone.ance", model, store, FirstP())
    watched = Watched(store.folder)
    index_corpus(folder / "whole.ance", model, watched, FirstP(), cluster=f"ray://{cluster.address}")
    read = [read_on(node.node_id) for node in nodes]
    encode = PartTasks.__call__

    def losing(self: PartTasks, parts: list[int]) -> int:
        done = encode(self, parts)
        if lost in cluster.worker_nodes:
            until = time.monotonic() + 60
            Path(os.environ["WATCHED"], lost.node_id).with_suffix(".slow").touch()
            while read_on(lost.node_id) % SIZE == 0:
                assert time.monotonic() < until, "the node has nothing to do"
                time.sleep(0.01)
            cluster.remove_node(lost, allow_graceful=False)
        return done

    PartTasks.__call__ = losing  # type: ignore[method-assign]
    index_corpus(folder / "broken.ance", model, watched, FirstP(), cluster="ray")
    PartTasks.__call__ = encode  # type: ignore[method-assign]
    return {
        "alone": content(folder / "alone.ance"),
        "whole": content(folder / "whole.ance"),
        "broken": content(folder / "broken.ance"),
        "read": read,
        "read again": [read_on(node.node_id) - before for node, before in zip(nodes, read, strict=True)],
    }


def mine(folder: Path, dataset: Dataset) -> dict[str, Any]:
    """What is mined on one machine and on two nodes."""
    store, model = dataset.store(), encoder(head=8)
    queries = TrainingQueries.load(dataset, store)
    found = {}
    for backend in ("exact", "ray"):
        AnnMiner(queries, store, FirstP(), depth=9, backend=backend).mine(model, folder / backend, 0, None)
        mined = MinedNegatives.read(folder / backend)
        found[backend] = {"candidates": mined.candidates_QK.tolist(), "report": sorted(mined.report)}
    return found


def commands(folder: Path, cluster: Cluster) -> dict[str, Any]:
    """The command, in processes of their own that connect by address."""
    address, corpus.LEAST = f"ray://{cluster.address}", 256

    def ran(*arguments: Any) -> list[Any]:
        command = [sys.executable, "-m", "ance_ir", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return [done.returncode, done.stdout, done.stderr]

    def ran_here(*arguments: Any) -> list[Any]:
        with contextlib.redirect_stdout(io.StringIO()) as shown:
            return [main([str(argument) for argument in arguments]), shown.getvalue(), ""]

    index = ("index", "--dataset", folder / "collection", "--model", folder / "model", "--passages", "maxp:8,3")
    search = ("search", folder / "two.ance", "dog cat", "a fish", "--backend")
    systems = ("--system", f"exact={folder / 'two.ance'}", "--system", f"ray={folder / 'two.ance'}[backend=ray]")
    evaluate = ("eval", "--dataset", folder / "collection", "--split", "train", *systems, "--out", folder / "results")
    train = ("train", "--dataset", folder / "collection", "--model", folder / "model", "--negatives", "ance", "--depth", 9)
    train = (*train, "--steps", 4, "--refresh-every", 2, "--batch-size", 2, "--mining-backend")
    found = {
        "one": ran_here(*index, "--device", "cpu", "--out", folder / "one.ance"),
        "two": ran(*index, "--cluster", address, "--out", folder / "two.ance"),
        "nobody": ran(*index, "--cluster", "ray://127.0.0.1:9", "--out", folder / "three.ance"),
        "search exact": ran_here(*search, "exact"),
        "search ray": ran_here(*search, address),
        "eval": ran(*evaluate),
        "train exact": ran_here(*train, "exact", "--out", folder / "trained-exact"),
        "train ray": ran(*train, "ray", "--out", folder / "trained-ray"),
    }
    found["rankings"] = [hits(folder / "results", name) for name in ("exact", "ray")]
    found["weights"] = [content(folder / f"trained-{backend}" / "model")["model.safetensors"] for backend in ("exact", "ray")]
    return {**found, "one.ance": content(folder / "one.ance"), "two.ance": content(folder / "two.ance")}


def hits(results: Path, system: str) -> list[list[str]]:
    """Query, document and rank of each line of a run that an evaluation wrote."""
    with gzip.open(results / "runs" / f"{system}.txt.gz", "rt", encoding="utf-8") as lines:
        return [[fields[0], *fields[2:4]] for fields in map(str.split, lines)]


def not_seen(folder: Path, cluster: Cluster, store: DocumentStore) -> dict[str, str]:
    """What is said where one of two nodes does not see the folders, and the other is busy."""
    corpus.LEAST = SIZE
    Path(os.environ["WATCHED"], cluster.head_node.node_id).with_suffix(".slow").touch()
    hide = 'mount -t tmpfs none "$1" && exec "$2" -m ray.scripts.scripts start --address "$3" --num-cpus 1 --block'
    command = ["unshare", "--mount", "sh", "-c", hide, "sh", str(folder), sys.executable, cluster.address]
    blind = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while ray.cluster_resources()["CPU"] < 2:
        time.sleep(0.1)
    said = {}
    try:
        index_corpus(folder / "unseen.ance", encoder(head=8), Watched(store.folder), FirstP(), cluster="ray")
    except AnceError as error:
        said["index"] = str(error)
    try:
        AnceIndex(folder / "maxp.ance").searcher("ray")
    except AnceError as error:
        said["search"] = str(error)
    blind.terminate()  # which takes it half a minute
    return said


def work(folder: Path) -> None:
    """Everything, one after the other, in a cluster of two nodes of one core each."""
    corpus.LEAST = SIZE
    os.environ["WATCHED"] = str(folder / "watched")
    Path(os.environ["WATCHED"]).mkdir()
    texts = [" ".join(np.random.default_rng(number % 50).choice(WORDS, size=20)) for number in range(PARTS * SIZE)]  # ten of them twice
    documents = [{"docno": f"d{number}", "text": text} for number, text in enumerate(texts)]
    store = DocumentStore.build(documents, folder / "store")
    (folder / "collection").mkdir()
    (folder / "collection" / "corpus.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in documents), encoding="utf-8")
    (folder / "collection" / "queries.train.tsv").write_text("q0\tthe dog\nq1\ta fish\n", encoding="utf-8")
    (folder / "collection" / "qrels.train.txt").write_text("q0 0 d0 1\nq1 0 d1 1\n", encoding="utf-8")
    encoder(head=8).save(folder / "model")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False, "_system_config": QUICK})
    try:
        other = cluster.add_node(num_cpus=1, include_dashboard=False)
        connect(f"ray://{cluster.address}")
        ranking = Ranking(folder, store)
        searching: dict[str, Any] = {"exact": ranking("exact"), "ray": ranking("ray"), "nodes": holding_nodes()}
        found: dict[str, Any] = {"searching": searching, "mining": mine(folder / "mined", load_dataset(folder / "collection"))}
        found["indexing"] = index_and_lose(folder, cluster, other, store)
        searching["lost"] = ranking("ray")
        found["commands"] = commands(folder, cluster)
        found["not seen"] = not_seen(folder, cluster, store)
    finally:
        ray.shutdown()
        cluster.shutdown()
    (folder / "found.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    work(Path(sys.argv[1]).absolute())
