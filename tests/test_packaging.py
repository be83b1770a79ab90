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


def modules_of_the_checkout() -> set[str]:
    """Files of the package in the checkout, each under its own folder."""
    found = set()
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            relative = path.relative_to(ROOT)
            if not (folder == "ance_ir" and relative.parts[1] in FOLDERS):
                found.add(relative.as_posix())
    return found


def parts_of_pages() -> set[str]:
    """Files that pages are put together from."""
    return {path.relative_to(ROOT).as_posix() for ending in ("css", "html", "js") for path in (ROOT / "eval").rglob(f"*.{ending}")}


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
    installed = {name if name.startswith("ance_ir/") else f"ance_ir/{name}" for name in modules_of_the_checkout()}
    assert {name for name in names if name.endswith(".py")} == installed
    assert "ance_ir/py.typed" in names
    assert {name for name in names if name.endswith((".css", ".html", ".js"))} == {f"ance_ir/{name}" for name in parts_of_pages()}
    assert "Apache License" in metadata["LICENSE"]
    assert "ance-ir = ance_ir.cli.main:main" in metadata["entry_points.txt"]
    assert "dense_index.ance_ir = ance_ir.indexes:AnceIndex" in metadata["entry_points.txt"]


def test_the_source_distribution_holds_every_file_once(built: Path) -> None:
    (source,) = built.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        members = [member for member in archive.getmembers() if not member.isdir()]
    names = [member.name.partition("/")[2] for member in members]
    assert duplicates(names) == []
    assert all(member.isfile() for member in members)
    assert {name for name in names if name.endswith(".py") and name.partition("/")[0] in FOLDERS} == modules_of_the_checkout()
    assert parts_of_pages() <= set(names)
    assert {"LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile", "constraints.txt", "tests/conftest.py"} <= set(names)
