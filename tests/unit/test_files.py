from __future__ import annotations

import gzip
import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ance_ir import files
from ance_ir.errors import UsageError
from ance_ir.files import atomic_folder, atomic_open, atomic_path, cache_folder, read_json, write_json
from ance_ir.reading import open_binary
from tests import instants


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.parametrize("name", ["x.txt", "x.txt.gz", "inner/x.txt"])
def test_what_is_written_is_read(tmp_path: Path, name: str) -> None:
    with atomic_open(tmp_path / name) as stream:
        stream.write("größe\n日本\n")
        assert not (tmp_path / name).exists()
    with open_binary(tmp_path / name) as stream:
        assert stream.read() == "größe\n日本\n".encode()
    assert names((tmp_path / name).parent) == [Path(name).name]


def test_a_name_in_gz_is_compressed(tmp_path: Path) -> None:
    with atomic_open(tmp_path / "x.gz", "wb") as stream:
        stream.write(b"abc")
    assert gzip.decompress((tmp_path / "x.gz").read_bytes()) == b"abc"


@pytest.mark.parametrize("name", ["x", "x.gz"])
@pytest.mark.parametrize("old", [None, b"old"])
def test_a_file_that_fails_leaves_what_was_there(tmp_path: Path, name: str, old: bytes | None) -> None:
    if old is not None:
        (tmp_path / name).write_bytes(old)
    with pytest.raises(KeyboardInterrupt), atomic_open(tmp_path / name) as stream:
        stream.write("new")
        stream.flush()
        raise KeyboardInterrupt
    assert names(tmp_path) == ([] if old is None else [name])
    assert old is None or (tmp_path / name).read_bytes() == old


def test_a_file_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("old", encoding="utf-8")
    with atomic_path(tmp_path / "x") as temporary:
        temporary.write_text("new", encoding="utf-8")
        assert (tmp_path / "x").read_text(encoding="utf-8") == "old"
    assert (tmp_path / "x").read_text(encoding="utf-8") == "new"
    assert names(tmp_path) == ["x"]


def test_a_folder_takes_the_place_of_the_old_one_with_nothing_left_over(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "x"
    target.mkdir(parents=True)
    (target / "old").write_text("old", encoding="utf-8")
    with atomic_folder(target, "old") as folder:
        (folder / "inner").mkdir()
        (folder / "inner" / "new").write_text("new", encoding="utf-8")
        assert names(target) == ["old"]
    assert names(target.parent) == ["x"]
    assert names(target) == ["inner"]


@pytest.mark.parametrize("old", [False, True])
def test_a_folder_that_fails_leaves_what_was_there(tmp_path: Path, old: bool) -> None:
    if old:
        (tmp_path / "x").mkdir()
        (tmp_path / "x" / "old").write_text("old", encoding="utf-8")
    with pytest.raises(ZeroDivisionError), atomic_folder(tmp_path / "x", "old") as folder:
        (folder / "new").write_text("new", encoding="utf-8")
        raise ZeroDivisionError
    assert names(tmp_path) == (["x"] if old else [])
    assert not old or names(tmp_path / "x") == ["old"]


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_a_folder_never_takes_the_place_of_something_else(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "thesis"
    if kind == "folder":
        target.mkdir()
        (target / "chapter1.tex").write_text("precious", encoding="utf-8")
    else:
        target.write_text("precious", encoding="utf-8")
    with (
        pytest.raises(UsageError, match=r"thesis holds something else \(there is no manifest\.json in it\)"),
        atomic_folder(target, "manifest.json"),
    ):
        pytest.fail("the block was entered")
    assert names(tmp_path) == ["thesis"]
    assert kind == "file" or names(target) == ["chapter1.tex"]


def test_json_goes_there_and_back(tmp_path: Path) -> None:
    value = {"größe": [1, 2.5, None, True], "x": {"y": "日"}}
    write_json(tmp_path / "x.json", value)
    assert read_json(tmp_path / "x.json") == value
    with pytest.raises(TypeError):
        write_json(tmp_path / "x.json", {"bad": object()})
    assert read_json(tmp_path / "x.json") == value
    assert names(tmp_path) == ["x.json"]


def test_the_cache_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANCE_IR_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("ANCE_IR_CACHE")
    assert cache_folder() == Path.home() / ".cache" / "ance_ir"


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    for name in ("a.gz", "b.gz"):
        with atomic_open(tmp_path / name) as stream:
            stream.write("größe\n")
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
    with gzip.open(tmp_path / "a.gz", "rt", encoding="utf-8") as stream:
        assert stream.read() == "größe\n"


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    code = f"""
import os, signal
from ance_ir.files import atomic_folder
with atomic_folder({str(tmp_path / "x")!r}, "manifest.json") as folder:
    (folder / "half").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parent.parent.parent)
    assert len(names(tmp_path)) == 1
    with atomic_folder(tmp_path / "x", "manifest.json") as folder:
        (folder / "manifest.json").write_text("{}", encoding="utf-8")
    assert names(tmp_path) == ["x"]


def _replace(folder: Path) -> None:
    """Put a folder with the file ``new`` into the place of ``x``."""
    with atomic_folder(folder / "x", "mark") as unfinished:
        for name in ("mark", "new"):
            (unfinished / name).write_text(name, encoding="utf-8")


def _with_an_old_folder(folder: Path) -> Path:
    (folder / "x").mkdir()
    for name in ("mark", "old"):
        (folder / "x" / name).write_text(name, encoding="utf-8")
    return folder / "x"


@pytest.mark.parametrize("one_step", [True, False])
def test_ended_between_any_two_steps_the_old_folder_is_there_or_the_new_one(
    tmp_path: Path, one_step: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the exchange in one step of Linux, and without, as on network file systems."""
    if not one_step:
        monkeypatch.setattr("ance_ir.files.exchange", lambda one, other: False)
    ends = 0
    for number in itertools.count():
        place = tmp_path / str(number)
        place.mkdir()
        target = _with_an_old_folder(place)
        child = os.fork()
        if child == 0:
            instants.end_before(number)
            _replace(place)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status in (0, instants.ENDED)
        if one_step:
            assert target.exists(), "somebody who looks at this instant finds a folder"
        files.restore(target)
        assert names(target) in (["mark", "old"], ["mark", "new"])
        _replace(place)
        assert names(place) == ["x"]
        assert names(target) == ["mark", "new"]
        if status == 0:
            break
        ends += 1
    assert ends >= (4 if one_step else 5)


def test_the_next_to_write_brings_back_what_stepped_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ance_ir.files._runs", lambda process: False)
    old = _with_an_old_folder(tmp_path)
    old.rename(files._marked(old, files.ASIDE))
    (tmp_path / "x.replaced-thesis").mkdir()
    files.remove_leftovers(tmp_path, "x")
    assert names(tmp_path) == ["x", "x.replaced-thesis"]
    assert names(old) == ["mark", "old"]


@pytest.mark.parametrize("one_step", [True, False])
def test_the_old_folder_comes_back_if_the_new_one_cannot_take_its_place(
    tmp_path: Path, one_step: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    _with_an_old_folder(tmp_path)
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if target.name == "x" and (self / "new").exists():
            raise KeyboardInterrupt
        return rename(self, target)

    def interrupted(one: Path, other: Path) -> bool:
        if one_step:
            raise KeyboardInterrupt
        return False

    monkeypatch.setattr(Path, "rename", failing)
    monkeypatch.setattr("ance_ir.files.exchange", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _replace(tmp_path)
    assert names(tmp_path) == ["x"]
    assert names(tmp_path / "x") == ["mark", "old"]


def test_what_is_put_there_meanwhile_by_somebody_else_stays(tmp_path: Path) -> None:
    with pytest.raises(UsageError), atomic_folder(tmp_path / "x", "mark") as unfinished:
        (unfinished / "mark").write_text("ours", encoding="utf-8")
        (tmp_path / "x").mkdir()
        (tmp_path / "x" / "thesis").write_text("precious", encoding="utf-8")
    assert names(tmp_path / "x") == ["thesis"]


def test_two_that_write_the_same_folder_leave_one_whole(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "x", "mark") as one, atomic_folder(tmp_path / "x", "mark") as other:
        for folder, content in ((one, "one"), (other, "other")):
            (folder / "mark").write_text(content, encoding="utf-8")
    assert (tmp_path / "x" / "mark").read_text(encoding="utf-8") == "one", "who ends last"
    assert names(tmp_path) == ["x"]


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    _with_an_old_folder(tmp_path / "disk")
    (tmp_path / "x").symlink_to(tmp_path / "disk" / "x")
    (tmp_path / "disk" / "y").write_text("old", encoding="utf-8")
    (tmp_path / "y").symlink_to(tmp_path / "disk" / "y")
    _replace(tmp_path)
    with atomic_open(tmp_path / "y") as stream:
        stream.write("new")
    assert names(tmp_path / "disk" / "x") == ["mark", "new"]
    assert (tmp_path / "disk" / "y").read_text(encoding="utf-8") == "new"
    assert (tmp_path / "x").is_symlink()
    assert (tmp_path / "y").is_symlink()


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=tmp_path.name), atomic_open(tmp_path):
        pass
