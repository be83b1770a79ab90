from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import faiss
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ance_ir.errors import AnceError
from tests.fuzz import mutations, of_indexes, of_models, of_texts
from tests.fuzz.bounds import bounded, in_child
from tests.fuzz.reader import Reader

pytestmark = pytest.mark.hypothesis  # which the plugin sees on decorated tests only

READERS = [*of_indexes.READERS, *of_texts.READERS, *of_models.READERS]
CASES = [pytest.param(reader, file, id=f"{reader.name}-{file}") for reader in READERS for file in reader.files]


def strategy(reader: Reader, content: bytes, file: str) -> st.SearchStrategy[bytes]:
    """What may be found in a file in place of what it should hold."""
    kind = reader.files[file]
    if kind == "json":
        return st.one_of(mutations.other_json(json.loads(content)), mutations.damaged(content))
    of_kind: dict[str, Callable[[bytes], st.SearchStrategy[bytes]]] = {
        "array": mutations.other_array,
        "bytes": mutations.damaged,
        "lines": mutations.other_lines,
    }
    return of_kind[kind](content)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Threads would not outlive a fork, and wait for one another where other tests run."""
    before = torch.get_num_threads(), faiss.omp_get_max_threads()
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    yield
    torch.set_num_threads(before[0])
    faiss.omp_set_num_threads(before[1])


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Reader], Path]:
    """The folder of a reader with what it reads, all of it right; made once."""
    made: dict[str, Path] = {}

    def make(reader: Reader) -> Path:
        if reader.name not in made:
            folder = tmp_path_factory.mktemp("valid")
            reader.make(folder)
            reader.read(folder)  # what is valid is read
            made[reader.name] = folder
        return made[reader.name]

    return make


@pytest.mark.parametrize(("reader", "file"), CASES)
def test_a_value_or_an_error_of_ours(reader: Reader, file: str, valid: Callable[[Reader], Path], tmp_path: Path) -> None:
    shutil.copytree(valid(reader), folder := tmp_path / "x", dirs_exist_ok=True)
    content = (folder / file).read_bytes()

    @settings(deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(strategy(reader, content, file))
    def read(found: bytes) -> None:
        (folder / file).write_bytes(found)
        try:
            with bounded():
                reader.read(folder)
        except AnceError as error:
            _ = str(error)

    if not reader.apart:
        read()
        return
    wrong = in_child(read, tmp_path / "note")
    assert not wrong, f"{wrong}; the file's content was {(folder / file).read_bytes()[:2000]!r}"
