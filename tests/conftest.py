"""What all tests share: no network, a cache of their own, the collections on disk where they are at hand, how hard hypothesis looks."""

from __future__ import annotations

import atexit
import gc
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.command import Run
from tests.processes import prepare

# What is imported and collected stays: looking for garbage in it takes a part of the time.
gc.disable()

# Before anything imports huggingface_hub, which reads it once.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

# Workers of pytest-xdist share the cores instead of each taking all of them. Before anything imports torch, which asks once.
# Each has a server of processes from the start.
if "PYTEST_XDIST_WORKER_COUNT" in os.environ:
    threads = max(1, (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    prepare()

# Terrier's jars, from the folder that is named or lies next to the checkout; in a folder of our own, since PyTerrier writes into its.
TERRIER = Path(os.environ.get("PYTERRIER_HOME") or Path(__file__).parents[2] / "shared" / "terrier")
if TERRIER.is_dir():
    home = tempfile.TemporaryDirectory(prefix="pyterrier-")
    atexit.register(home.cleanup)
    for jar in TERRIER.glob("*.jar"):
        Path(home.name, jar.name).symlink_to(jar.resolve())
    os.environ["PYTERRIER_HOME"] = home.name

# The same examples each time, except in long runs, which are made to find something new.
settings.register_profile("default", deadline=None, derandomize=True, max_examples=20)
settings.register_profile("ci", deadline=None, derandomize=True, max_examples=500)
settings.register_profile("large", deadline=None, max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty cache folder, of all workers and the processes that tests start."""
    shared = tmp_path_factory.getbasetemp()
    folder = (shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared) / "cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANCE_IR_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session", autouse=True)
def no_wait_for_the_disk() -> Iterator[None]:
    """In this process; those that tests start, and kill, do wait."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: None)
        yield


@pytest.fixture(autouse=True)
def no_rehearsal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Predict the memory of a training step only where a test asks for it by the mark ``rehearsal``: it takes as long as some steps."""
    memory = sys.modules.get("ance_ir.training.run.memory")  # which has been imported before anything trains
    if memory is not None and request.node.get_closest_marker("rehearsal") is None:
        monkeypatch.setattr(memory.MemoryWatch, "predict", lambda self, source: None)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command: exit code, standard output, standard error."""

    def ran(*arguments: Any) -> tuple[int, str, str]:
        from ance_ir.cli.main import main

        status = main([str(argument) for argument in arguments])
        shown = capsys.readouterr()
        return status, shown.out, shown.err

    return ran


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real collections that ``$ANCE_IR_DATA`` names."""
    named = os.environ.get("ANCE_IR_DATA")
    if not named:
        pytest.skip("ANCE_IR_DATA names no folder of collections")
    folder = Path(named).resolve()
    if not folder.is_dir():
        pytest.fail(f"ANCE_IR_DATA names {named}, which is not a folder")
    return folder


def pytest_collection_finish() -> None:
    """Let collections of garbage pass over the millions of objects that are there by now."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked ``gpu`` where there is none."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs an NVIDIA GPU"))
