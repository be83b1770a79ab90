"""Kinds of folders that we write, how each is made, and what a reader finds there."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyterrier as pt
import pytest
import torch

from ance_ir.datasets import DocumentStore, convert, load_dataset
from ance_ir.datasets.sources.python_stdlib import build as build_collection
from ance_ir.errors import AnceError
from ance_ir.eval import Evaluation, KeptRuns, evaluate_systems, read_run
from ance_ir.eval.tuning import tune
from ance_ir.files import read_json, remove_leftovers, restore
from ance_ir.indexes import AnceIndex, FirstP, add_documents, index_corpus, index_documents
from ance_ir.indexes.ann.build import faiss_paths, open_faiss
from ance_ir.indexes.ann.settings import parse_backend
from ance_ir.indexes.formats import export_index, import_index
from ance_ir.indexes.store import corpus
from ance_ir.models import CrossEncoder, DenseEncoder, Reader
from ance_ir.pipelines import BM25Index, SparseIndex
from tests.breaking import timeless_lines
from tests.instants import ENDED, contents, end_before
from tests.tiny import ByWords, cross_encoder, encoder, reader
from tests.training_jobs import trainer

Job = Callable[[Path], Any]
NEVER = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of folder.

    Attributes:
        before: makes what is there before, in an empty folder.
        work: the work that is ended; it is given the same folder.
        state: what a reader finds: by name, ``None`` for what is not there.
        each: whether each name may be in its old or its new state; otherwise all are in one.
        resumes: whether what is found in between is not looked at, only what comes out in the end.
        left: names that may be left when all is done.
    """

    before: Job
    work: Job
    state: Callable[[Path], dict[str, Any]]
    each: bool = False
    resumes: bool = False
    left: tuple[str, ...] = ()


def _documents(first: int, last: int) -> list[dict[str, str]]:
    words = ("cat", "dog", "bird", "fish", "tree", "king")
    return [{"docno": f"d{number}", "text": f"the {words[number % 6]} {words[number // 6 % 6]} sings"} for number in range(first, last)]


def _rows(first: int, last: int) -> list[dict[str, Any]]:
    return [{"docno": f"d{number}", "doc_vec": np.full(4, number, dtype=np.float32)} for number in range(first, last)]


def _index(folder: Path, seed: int = 0, *, overwrite: bool = True) -> AnceIndex:
    path = folder / "documents"
    store = DocumentStore(path) if path.exists() else DocumentStore.build(_documents(0, 12), path)
    return index_corpus(folder / "x", encoder(seed=seed), store, FirstP(), overwrite=overwrite)


def _index_state(folder: Path) -> dict[str, Any]:
    index = AnceIndex(folder / "x")
    if not index.folder.exists():
        return {"index": None}
    index.verify()
    docnos = [str(docno) for docno in index.docnos(np.arange(len(index.table))) if index.numbers([docno])[0] >= 0]
    made_by = (index.manifest["encoding"] or {}).get("fingerprint")
    return {"index": (made_by, {docno: index.passage_vectors(docno).tobytes() for docno in docnos})}


def _folder_state(folder: Path) -> dict[str, Any]:
    restore(folder / "x")
    return {"folder": contents(folder / "x") if (folder / "x").exists() else None}


def _model_state(kind: Any) -> Callable[[Path], dict[str, Any]]:
    def state(folder: Path) -> dict[str, Any]:
        model = kind.from_pretrained(folder / "x", device="cpu")
        return {"model": {name: value.numpy().tobytes() for name, value in model.state_dict().items()}}

    return state


def _bm25(folder: Path, count: int) -> BM25Index:
    return BM25Index(folder / "x", overwrite=True).index(iter(_documents(0, count)))


def _bm25_state(folder: Path) -> dict[str, Any]:
    index = BM25Index(folder / "x")
    return {"index": (len(index), index.manifest["content"], index.retriever(k1=1.2).search("cat dog")["docno"].tolist())}


def _evaluation(seed: int) -> Evaluation:
    queries = pd.DataFrame({"qid": ["q1", "q2"], "query": ["cat", "dog"]})
    qrels = pd.DataFrame({"qid": ["q1", "q2"], "docno": ["d1", "d2"], "label": [1, 1]})
    scores = np.random.default_rng(seed).random(4)
    run = pd.DataFrame({"qid": ["q1", "q1", "q2", "q2"], "query": "", "docno": ["d1", "d2"] * 2, "score": scores})
    ranked = pt.model.add_ranks(run)
    return evaluate_systems({"a/b": pt.Transformer.from_df(ranked)}, queries, qrels, ["RR@10"])


def _evaluation_state(folder: Path) -> dict[str, Any]:
    told = read_json(folder / "x" / "results.json")
    told["systems"]["a/b"].pop("ms_per_query")
    kept = KeptRuns(folder / "x" / "runs")
    return {
        "results": json.dumps(told, sort_keys=True),
        "queries": (folder / "x" / "per_query.tsv").read_bytes(),
        "run": read_run(next(kept.folder.glob("*.txt.gz"))).to_json(),
    }


def _faiss_state(folder: Path) -> dict[str, Any]:
    state: dict[str, Any] = {}
    index = AnceIndex(folder / "x")
    for family in ("sq8", "hnsw"):
        there = faiss_paths(folder / "x" / "faiss-00000", parse_backend(family))[1].exists()
        state[family] = open_faiss(index.vectors, folder / "x" / "faiss-00000", parse_backend(family)).rows if there else None
    return {**_index_state(folder), **state}


def _tuned_state(folder: Path) -> dict[str, Any]:
    path = folder / "x" / "search.json"
    told = read_json(path) if path.exists() else {"backend": None}
    return {**_index_state(folder), "chosen": told["backend"] is not None}


def _train(folder: Path) -> None:
    trainer(folder / "collection", folder / "run", steps=4, refresh_every=2, checkpoint_every=2).train()


def _trained_state(folder: Path) -> dict[str, Any]:
    if not (folder / "run" / "model").exists():
        return {}
    weights = DenseEncoder.from_pretrained(folder / "run", device="cpu").state_dict()
    return {"lines": timeless_lines(folder / "run"), "model": {name: value.numpy().tobytes() for name, value in weights.items()}}


def _library(folder: Path) -> None:
    for place in (folder / "few", folder / "many"):
        place.mkdir()
        for number in range(5 if place.name == "many" else 2):
            body = "\n".join(f"    x{line} = {line}" for line in range(20))
            (place / f"m{number}.py").write_text(f'def f{number}():\n    """Do the thing of number {number} now."""\n{body}\n')
    build_collection(folder / "few", folder / "x")


def _export(folder: Path, format: str) -> None:
    path = folder / "vectors"
    index = AnceIndex(path) if path.exists() else AnceIndex(path).index(_rows(0, 6))
    export_index(index, folder / "x", format, overwrite=True)


def _sparse(folder: Path, count: int) -> SparseIndex:
    return SparseIndex(folder / "x", ByWords(), overwrite=True).index(iter(_documents(0, count)))


def _sparse_state(folder: Path) -> dict[str, Any]:
    index = SparseIndex(folder / "x", ByWords())
    return {"index": (len(index), index.manifest["content"], index.retriever().search("cat dog")["docno"].tolist())}


def _graph_state(folder: Path) -> dict[str, Any]:
    graphs = sorted(path.parent for path in (folder / "x").glob("graph-*/pt_meta.json"))
    return {**_index_state(folder), "graphs": [contents(graph) for graph in graphs]}


def _nothing(folder: Path) -> None:
    pass


KINDS = {
    "index": Kind(before=_nothing, work=lambda f: _index(f, overwrite=False), state=_index_state),
    "index over another": Kind(before=lambda f: _index(f), work=lambda f: _index(f, seed=1), state=_index_state),
    "index over an equal one that grew": Kind(
        before=lambda f: AnceIndex(_index(f).folder).delete(["d3"]), work=lambda f: _index(f), state=_index_state
    ),
    "index of a stream": Kind(
        before=lambda f: AnceIndex(f / "x").index(_rows(0, 3)),
        work=lambda f: index_documents(f / "x", encoder(), iter(_documents(0, 9)), FirstP(), overwrite=True),
        state=_index_state,
    ),
    "index of vectors": Kind(
        before=lambda f: AnceIndex(f / "x").index(_rows(0, 3)),
        work=lambda f: AnceIndex(f / "x", overwrite=True).index(_rows(3, 9)),
        state=_index_state,
    ),
    "documents added": Kind(
        before=lambda f: _index(f),
        work=lambda f: add_documents(AnceIndex(f / "x"), encoder(), iter(_documents(12, 18)), existing="keep"),
        state=_index_state,
        left=("adding.lock",),
    ),
    "vectors added": Kind(
        before=lambda f: AnceIndex(f / "x").index(_rows(0, 5)),
        work=lambda f: AnceIndex(f / "x").add(_rows(3, 9), replace=True),
        state=_index_state,
    ),
    "documents deleted": Kind(
        before=lambda f: AnceIndex(f / "x").index(_rows(0, 5)),
        work=lambda f: AnceIndex(f / "x").delete(["d1", "d3"], missing=True),
        state=_index_state,
    ),
    "index compacted": Kind(
        before=lambda f: AnceIndex(f / "x").index(_rows(0, 5)).delete(["d1"]),
        work=lambda f: AnceIndex(f / "x").compact(),
        state=_index_state,
    ),
    "index copied": Kind(
        before=lambda f: AnceIndex(f / "y").index(_rows(0, 5)), work=lambda f: AnceIndex(f / "y").save(f / "x"), state=_index_state
    ),
    "index imported": Kind(
        before=lambda f: (_export(f, "npy"), shutil.move(f / "x", f / "exported")),
        work=lambda f: import_index(f / "x", f / "exported", overwrite=True),
        state=_index_state,
    ),
    "index exported": Kind(
        before=lambda f: _export(f, "embeddings-jsonl"), work=lambda f: _export(f, "embeddings-jsonl"), state=_folder_state
    ),
    "Faiss file": Kind(
        before=lambda f: AnceIndex(f / "x").index(_rows(0, 50)).searcher("sq8"),
        work=lambda f: AnceIndex(f / "x").searcher("hnsw"),
        state=_faiss_state,
        each=True,
    ),
    "index tuned": Kind(
        before=lambda f: AnceIndex(f / "x").index(_rows(0, 50)),
        work=lambda f: tune(AnceIndex(f / "x"), np.eye(4, dtype=np.float32), k=5, backends=["sq8", "hnsw"], rounds=1),
        state=_tuned_state,
        each=True,
    ),
    "document store": Kind(
        before=lambda f: DocumentStore.build(_documents(0, 4), f / "x"),
        work=lambda f: DocumentStore.build(_documents(2, 9), f / "x"),
        state=_folder_state,
    ),
    "embedded collection": Kind(before=_library, work=lambda f: build_collection(f / "many", f / "x"), state=_folder_state),
    "BM25 index": Kind(before=lambda f: _bm25(f, 6), work=lambda f: _bm25(f, 12), state=_bm25_state),
    "sparse index": Kind(before=lambda f: _sparse(f, 6), work=lambda f: _sparse(f, 12), state=_sparse_state),
    "graph of an index": Kind(
        before=lambda f: _index(f),
        work=lambda f: AnceIndex(f / "x").corpus_graph(4),
        state=_graph_state,
        each=True,
        left=("graph-00000-exact.lock",),
    ),
    "converted collection": Kind(
        before=_nothing, work=lambda f: convert(load_dataset(f / "collection"), "beir", f / "x"), state=_folder_state
    ),
    "encoder": Kind(
        before=lambda f: encoder().save(f / "x"), work=lambda f: encoder(seed=1).save(f / "x"), state=_model_state(DenseEncoder)
    ),
    "reranker": Kind(
        before=lambda f: cross_encoder().save(f / "x"),
        work=lambda f: cross_encoder(seed=1).save(f / "x"),
        state=_model_state(CrossEncoder),
    ),
    "reader": Kind(before=lambda f: reader().save(f / "x"), work=lambda f: reader(seed=1).save(f / "x"), state=_model_state(Reader)),
    "results": Kind(
        before=lambda f: _evaluation(0).save(f / "x"), work=lambda f: _evaluation(5).save(f / "x"), state=_evaluation_state, each=True
    ),
    "training run": Kind(before=_nothing, work=_train, state=_trained_state, resumes=True, left=("run.lock",)),
}

KIND_NAMES = [pytest.param(name, marks=pytest.mark.slow) if name == "BM25 index" else name for name in KINDS]
"""Their names; PISA works in a process of its own, which takes longer."""


def end_at_worst(name: str, folder: Path, collection: Path, most: int) -> None:
    """End a kind's work at up to so many instants, each time from the start, and look what is there, and what comes out of it again."""
    torch.set_num_threads(1)
    corpus.LEAST = 4
    kind = KINDS[name]
    first = folder / "before"
    first.mkdir()
    shutil.copytree(collection, first / "collection")
    _child(lambda: kind.before(first))
    whole = folder / "whole"
    shutil.copytree(first, whole)

    def unbroken() -> None:
        seen = end_before(NEVER)
        kind.work(whole)
        (folder / "seen").write_text(" ".join(seen))

    _child(unbroken)
    seen = (folder / "seen").read_text().split()
    worst = [number for number, change in enumerate(seen) if change in ("rename", "replace", "exchange")]
    worst = sorted({*worst, *(number + 1 for number in worst), *range(0, len(seen), 3)})
    for number in worst[:: max(1, -(-len(worst) // most))]:
        place = folder / str(number)
        shutil.copytree(first, place)
        status = _child(partial(_end, kind, place, number), may=ENDED)
        change = seen[number] if number < len(seen) else "its end"
        _child(partial(_look, kind, first, whole, place), told=f"{name}, ended before {change} ({number} of {len(seen)}): ")
        assert status == ENDED or number >= len(seen) - 1, f"{name}: not ended at {number} of {len(seen)}"
        shutil.rmtree(place)


def _end(kind: Kind, place: Path, number: int) -> None:
    end_before(number)
    kind.work(place)


def _look(kind: Kind, first: Path, whole: Path, place: Path, *, again: bool = True) -> None:
    before, after = kind.state(first), kind.state(whole)
    if not kind.resumes:
        now = kind.state(place)
        if kind.each:
            assert all(now[name] in (before[name], after[name]) for name in now), "neither the old nor the new"
        else:
            assert now in (before, after), "neither the old nor the new"
    if not again:
        return
    try:
        kind.work(place)
    except AnceError:
        assert not kind.resumes
        assert now == after, "the same command does not go on"
        return
    assert kind.state(place) == after, "the same command does not end the same"
    for _ in range(20):  # an engine's process may still write, whose parent was ended
        remove_leftovers(place, "x")
        if any(place.glob("x.partial-*")):
            time.sleep(0.1)
    names = [path.name for path in place.rglob("*")]
    strange = [name for name in names if ".partial-" in name or ".replaced-" in name or name.endswith((".building", ".adding", ".lock"))]
    faiss = [name for name in names if name.endswith(".lock") and (place / "x" / "faiss-00000" / name).exists()]
    assert not {*strange} - {*kind.left, *faiss}, f"left: {strange}"


def _child(work: Callable[[], Any], *, may: int = 0, told: str = "") -> int:
    """Do something in a process of its own; how it ended."""
    sys.stderr.flush()
    process = os.fork()
    if process == 0:
        try:
            work()
        except BaseException:
            print(told, traceback.format_exc(), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert status in (0, may), f"{told}ended with {status}"
    return status


def _work_on_full_disk(kind: Kind, disk: Path, left: int) -> None:
    """Do the work where so many bytes are left; what cannot be written is named."""
    filler = disk / "filler"
    with filler.open("wb") as stream, contextlib.suppress(OSError):
        while True:
            os.write(stream.fileno(), bytes(4096))
    os.truncate(filler, max(0, filler.stat().st_size - left))
    try:
        kind.work(disk)
    except AnceError as error:
        assert "space" in str(error), error
    except OSError as error:
        assert error.errno == errno.ENOSPC, error
        assert error.filename is not None, error
        assert str(disk) in str(error.filename), error
    filler.unlink()


def full_disk(name: str, folder: Path, collection: Path, left: Sequence[int]) -> None:
    """Do a kind's work on the small file system ``disk``, full but for so many bytes, and look what is there, and what comes out of it."""
    torch.set_num_threads(1)
    corpus.LEAST = 4
    kind, whole, disk = KINDS[name], folder / "whole", folder / "disk"
    for place in (whole, disk):
        shutil.copytree(collection, place / "collection")
        _child(partial(kind.before, place))
    shutil.copytree(whole, folder / "before")
    _child(partial(kind.work, whole))
    for number in left:
        _child(partial(_work_on_full_disk, kind, disk, number), told=f"{name}, {number} bytes left: ")
        _child(partial(_look, kind, folder / "before", whole, disk, again=number == left[-1]), told=f"{name}, {number} bytes left: ")


def fill(name: str, folder: Path, collection: Path, left: Sequence[int]) -> None:
    """``full_disk`` for a process of its own."""
    _told(folder, partial(full_disk, name, folder, collection, left))


def run(name: str, folder: Path, collection: Path, most: int) -> None:
    """``end_at_worst`` for a process of its own."""
    _told(folder, partial(end_at_worst, name, folder, collection, most))


def _told(folder: Path, work: Callable[[], None]) -> None:
    """What goes wrong stands in the file ``failure``."""
    with (folder / "failure").open("w") as stream:
        os.dup2(stream.fileno(), 2)
        sys.stderr = stream
        try:
            work()
        except BaseException:
            traceback.print_exc(file=stream)
            stream.flush()
            os._exit(1)
