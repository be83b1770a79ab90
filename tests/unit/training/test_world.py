"""Several processes train as one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ance_ir.files import read_json
from tests.processes import free_port, start
from tests.training_jobs import OBJECTIVES, gradients

pytestmark = pytest.mark.slow


def _gradients(collection: Path, name: str, out: Path, size: int) -> list[dict[str, np.ndarray]]:
    port = free_port()
    processes = [start(gradients, collection, name, out, rank, size, port) for rank in range(size)]
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    return [dict(np.load(out / f"{size}-{rank}.npz")) for rank in range(size)]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_several_processes_give_the_gradients_of_one(collection: Path, tmp_path: Path, name: str) -> None:
    (alone,) = _gradients(collection, name, tmp_path, 1)
    size = 3 if name in ("fewer documents than processes", "bfloat16") else 2
    close = 0.1 if name == "bfloat16" else 1e-5
    together = _gradients(collection, name, tmp_path, size)
    assert max(np.abs(gradient).max() for gradient in alone.values()) > 1e-3, "gradients of nothing would agree too"
    for rank, found in enumerate(together):
        assert found.keys() == alone.keys()
        for key, gradient in alone.items():
            assert found[key] == pytest.approx(gradient, rel=close, abs=close), key
        told, expected = read_json(tmp_path / f"{size}-{rank}.json"), read_json(tmp_path / "1-0.json")
        assert told["loss"] == pytest.approx(expected["loss"], rel=close)
        assert told["tokens"] == expected["tokens"], "each text is encoded by one process"
    for rank in range(1, size):
        assert all((together[0][key] == together[rank][key]).all() for key in alone), "processes must not drift apart"
