"""Ctrl-C at any moment: one line, exit code 130, nothing half-written."""

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


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("material")
    encoder().save(folder / "model")
    (folder / "collection").mkdir()
    with (folder / "collection" / "corpus.jsonl").open("w") as stream:
        for number in range(200_000):
            stream.write(json.dumps({"docno": str(number), "text": f"the {WORDS[number % len(WORDS)]} sings"}) + "\n")
    return folder


@pytest.mark.parametrize("after", [0.5, 3.0, 5.0])
def test_interrupting_an_index(material: Path, tmp_path: Path, after: float) -> None:
    told = ["index", "--dataset", str(material / "collection"), "--model", str(material / "model"), "--out", str(tmp_path / "x.ance")]
    process = subprocess.Popen(
        [sys.executable, "-m", "ance_ir.cli.main", *told],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    time.sleep(after)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    if after > 1:  # before that the interpreter itself may still be starting
        assert process.returncode == 130, err
        assert err.splitlines()[-1] == "ance-ir: interrupted"
        assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []
