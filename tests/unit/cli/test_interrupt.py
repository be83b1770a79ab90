"""Ctrl-C at any moment: one line, exit code 130, nothing half-written under the name that was asked for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.tiny import WORDS, encoder

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("material")
    encoder().save(folder / "model")
    (folder / "collection").mkdir()
    with (folder / "collection" / "corpus.jsonl").open("w") as stream:
        for number in range(20_000):
            stream.write(json.dumps({"docno": str(number), "text": f"the {WORDS[number % len(WORDS)]} sings"}) + "\n")
    return folder


@pytest.mark.parametrize("after", [0.0, 0.3])
def test_interrupting_an_index(material: Path, tmp_path: Path, after: float) -> None:
    told = ["index", "--dataset", str(material / "collection"), "--model", str(material / "model"), "--out", str(tmp_path / "x.ance")]
    process = subprocess.Popen(
        [sys.executable, "-m", "ance_ir.cli.main", *told],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell has its background jobs ignore it
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stderr is not None
    said = b""
    while b"encoding" not in said:  # the progress bar: work has begun
        piece = os.read(process.stderr.fileno(), 4096)
        assert piece, said.decode()
        said += piece
    time.sleep(after)
    process.send_signal(signal.SIGINT)
    err = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 130, err
    assert err.splitlines()[-1] == "ance-ir: interrupted"
    assert "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["x.ance.building"], "what the same command goes on with"
    assert not list(tmp_path.rglob("*.partial-*"))
