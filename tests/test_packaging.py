"""What the built distributions hold."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("ance_ir", "eval", "indexes", "pipelines")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution of a copy of the checkout, and the wheel built from that."""
    pytest.importorskip("build")
    copy = tmp_path_factory.mktemp("copy") / "checkout"
    copy.mkdir()
    for name in (*FOLDERS, "tests"):
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for path in ROOT.iterdir():
        if path.is_file() and not path.name.startswith("."):
            shutil.copy2(path, copy)
    out = tmp_path_factory.mktemp("dist")
    done = subprocess.run([sys.executable, "-m", "build", "--no-isolation", "--outdir", out, copy], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def of_the_checkout(*endings: str) -> set[str]:
    """Files with these endings in the checkout, each once, under its own folder."""
    found = {path.relative_to(ROOT) for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.name.endswith(endings)}
    return {path.as_posix() for path in found if path.parts[:1] != ("ance_ir",) or path.parts[1] not in FOLDERS}


PAGES = (".css", ".html", ".js", ".json", ".rst", ".svg", ".toml")
"""Endings of the files that pages are put together from, of those for PyTerrier's documentation, and of data."""


def duplicates(names: Iterable[str]) -> list[str]:
    """Names that come more than once."""
    names = list(names)
    return sorted({name for name in names if names.count(name) > 1})


def test_the_wheel_holds_every_module_once_and_nothing_beside_the_package(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = {name.rpartition("/")[2]: archive.read(name).decode() for name in names if ".dist-info/" in name}
    assert duplicates(names) == []
    assert {name.partition("/")[0] for name in names} == {"ance_ir", wheel.name.removesuffix("-py3-none-any.whl") + ".dist-info"}
    installed = {name if name.startswith("ance_ir/") else f"ance_ir/{name}" for name in of_the_checkout(".py")}
    assert {name for name in names if name.endswith(".py")} == installed
    assert "ance_ir/py.typed" in names
    pages = {name if name.startswith("ance_ir/") else f"ance_ir/{name}" for name in of_the_checkout(*PAGES)}
    assert {name for name in names if name.endswith(PAGES)} == pages
    assert "Apache License" in metadata["LICENSE"]
    assert "ance-ir = ance_ir.cli.main:main" in metadata["entry_points.txt"]
    assert "dense_index.ance_ir = ance_ir.indexes:AnceIndex" in metadata["entry_points.txt"]
    assert "ance_ir = ance_ir.java:AnseriniJava" in metadata["entry_points.txt"]


def test_the_source_distribution_holds_every_file_once(built: Path) -> None:
    (source,) = built.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        members = [member for member in archive.getmembers() if not member.isdir()]
    names = [member.name.partition("/")[2] for member in members]
    assert duplicates(names) == []
    assert all(member.isfile() for member in members)
    assert {name for name in names if name.endswith(".py") and name.partition("/")[0] in FOLDERS} == of_the_checkout(".py")
    assert of_the_checkout(*PAGES) <= set(names)
    assert {"LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile", "constraints.txt", "tests/conftest.py"} <= set(names)
