"""Full disks, mounts that cannot be written to, and processes that make the same at once."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from ance_ir.cli.main import main
from ance_ir.datasets import load_dataset
from ance_ir.files import as_path
from ance_ir.indexes import AnceIndex, FirstP, index_corpus, index_documents
from ance_ir.indexes.formats import export_index, import_index
from ance_ir.locks import alone, make_once
from ance_ir.models import CrossEncoder, DenseEncoder, Reader
from ance_ir.pipelines import BM25Index
from ance_ir.training import TrainingRun
from tests.processes import start
from tests.tiny import cross_encoder, encoder, reader
from tests.worst_instants import KIND_NAMES, fill

pytestmark = pytest.mark.slow

Mount = Callable[[Path, str], None]


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Mounts memory as a folder, or mounts it anew with other options; all is taken away in the end."""
    mounted: list[Path] = []

    def mounts(folder: Path, options: str) -> None:
        folder.mkdir(exist_ok=True)
        again = ["-o", f"remount,{options}"] if folder in mounted else ["-t", "tmpfs", "-o", options, "tmpfs"]
        done = subprocess.run(["mount", *again, str(folder)], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no folder can be mounted here: {done.stderr.strip()}")
        if folder not in mounted:
            mounted.append(folder)

    if shutil.which("mount") is None:
        pytest.skip("there is no mount")
    yield mounts
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_one_makes_and_the_other_waits_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, made = tmp_path / "deep" / "x", []

    def make() -> None:
        time.sleep(0.2)
        made.append(threading.get_ident())
        path.touch()

    threads = [threading.Thread(target=make_once, args=(path, path.exists, make, "making it")) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert [record.getMessage() for record in caplog.records if "making it" in record.getMessage() and str(path) in record.getMessage()]
    assert [entry.name for entry in path.parent.iterdir()] == ["x"], "no lock is left"


def test_who_waits_goes_on_where_the_other_failed(tmp_path: Path) -> None:
    with contextlib.suppress(ZeroDivisionError), alone(tmp_path / "x", "failing"):
        raise ZeroDivisionError
    with alone(tmp_path / "x", "making it"):
        assert (tmp_path / "x.lock").exists()


def test_a_cache_that_cannot_be_written_to_says_how_to_choose_another(
    mount: Mount, collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mount(tmp_path / "cache", "size=1m,ro")
    monkeypatch.setenv("ANCE_IR_CACHE", str(tmp_path / "cache"))
    with pytest.raises(OSError, match="ANCE_IR_CACHE"):
        load_dataset(collection).store()
    for told in (["--dataset", str(collection)], ["--dataset", "python-stdlib"]):
        assert main(["eval", *told, "--system", "bm25", "--out", str(tmp_path / "results")]) == 2
        err = capsys.readouterr().err
        assert "ANCE_IR_CACHE" in err
        assert str(tmp_path / "cache") in err


def test_an_index_on_a_mount_that_cannot_be_written_to_is_searched(
    mount: Mount, collection: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dataset, model = load_dataset(collection), encoder()
    place = tmp_path / "mounted"
    mount(place, "size=64m")
    index_corpus(place / "x.ance", model, dataset.store(), FirstP())
    AnceIndex(place / "x.ance").searcher("flat")
    BM25Index(place / "x.bm25").index(dataset.documents())
    mount(place, "ro")
    queries = model.encode_queries(["cat", "dog"])
    index = AnceIndex(place / "x.ance")
    expected = index.search_vectors(queries, 3)
    for backend, warned in (("flat", False), ("hnsw", True)):
        caplog.clear()
        found = index.search_vectors(queries, 3, index.searcher(backend))
        assert np.array_equal(found[1], expected[1])
        assert any("memory" in record.getMessage() for record in caplog.records) == warned
    caplog.clear()
    bm25 = BM25Index(place / "x.bm25")
    for k1 in (0.5, 1.5):
        assert len(bm25.retriever(k1=k1, b=0.3).search("red"))
    assert sum("temporary folder" in record.getMessage() for record in caplog.records) == 2


def test_a_faiss_file_that_a_full_disk_does_not_take_is_used_from_memory(
    mount: Mount, collection: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dataset, model = load_dataset(collection), encoder()
    mount(tmp_path / "mounted", "size=2m")
    index = index_corpus(tmp_path / "mounted" / "x.ance", model, dataset.store(), FirstP())
    with contextlib.suppress(OSError), (tmp_path / "mounted" / "filler").open("wb") as stream:
        while True:
            os.write(stream.fileno(), bytes(4096))
    queries = model.encode_queries(["cat", "dog"])
    found = index.search_vectors(queries, 3, index.searcher("hnsw"))
    assert np.array_equal(found[1], index.search_vectors(queries, 3)[1])
    assert any("memory" in record.getMessage() for record in caplog.records)


def test_paths_from_outside_may_begin_with_the_home_folder(
    collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir()
    elsewhere.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(elsewhere)
    assert as_path("~/x") == home / "x"
    assert as_path("~nobody-of-this-name/x") == Path("~nobody-of-this-name/x")
    encoder().save("~/model")
    cross_encoder().save("~/bert")
    reader().save("~/reader")
    model = DenseEncoder.from_pretrained("~/model")
    CrossEncoder.from_pretrained("~/bert")
    Reader.from_pretrained("~/reader")
    store = load_dataset(collection).store()
    index_corpus("~/a.ance", model, store, FirstP())
    index_documents("~/b.ance", model, load_dataset(collection).documents(), FirstP())
    AnceIndex("~/c.ance").index([{"docno": "a", "doc_vec": np.ones(4)}])
    AnceIndex("~/c.ance").save("~/d.ance")
    BM25Index("~/x.bm25").index(load_dataset(collection).documents())
    export_index(AnceIndex("~/a.ance"), "~/exported", "npy")
    import_index("~/e.ance", "~/exported")
    assert TrainingRun("~/run").folder == home / "run"
    told = ["eval", "--dataset", str(collection), "--system", "dense=~/a.ance", "--report=~/page.html"]
    assert main([*told, "--out=~/results"]) == 0, capsys.readouterr().err
    assert main(["index", "--dataset", str(collection), "--model", "~/model", "--out=~/f.ance"]) == 0
    assert main(["index", "export", "~/f.ance", "--format", "npy", "--out=~/f"]) == 0
    made = ["a", "b", "c", "d", "e", "f"]
    others = ["bert", "exported", "f", "model", "page.html", "reader", "results", "x.bm25"]
    assert sorted(path.name for path in home.glob("[!.]*")) == sorted([*others, *(f"{name}.ance" for name in made)])
    assert not list(elsewhere.iterdir())


@pytest.mark.parametrize("name", KIND_NAMES)
@pytest.mark.parametrize("left", [(8_192,), pytest.param((0, 4_096, 65_536), marks=pytest.mark.large)], ids=["little", "less and more"])
def test_a_full_disk_is_named_and_costs_nothing(name: str, left: tuple[int, ...], mount: Mount, collection: Path, tmp_path: Path) -> None:
    """What was there is there whole or the new one is; when there is room again, the same call ends as it should."""
    (tmp_path / "whole").mkdir()
    mount(tmp_path / "disk", "size=48m")
    process = start(fill, name, tmp_path, collection, left)
    process.join(300)
    assert process.exitcode == 0, (tmp_path / "failure").read_text()
