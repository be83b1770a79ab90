"""A server in a process of its own, as users start it."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ance_ir.errors import EvaluationError

_PATIENCE = 300
_OFTEN = 0.01


@dataclass(frozen=True, kw_only=True)
class Running:
    """A server that answers.

    Attributes:
        process: its process.
        port: on 127.0.0.1.
        started: seconds from its start until it was ready.
    """

    process: subprocess.Popen[bytes]
    port: int
    started: float

    def memory(self) -> float:
        """Memory of its process that is not that of files, MiB; NaN where the system does not say."""
        status = Path(f"/proc/{self.process.pid}/status")
        found = re.search(r"RssAnon:\s*(\d+) kB", status.read_text(encoding="utf-8")) if status.exists() else None
        return int(found[1]) / 1024 if found else float("nan")


@contextlib.contextmanager
def running(arguments: Sequence[str], port: int) -> Iterator[Running]:
    """While entered, ``ance-ir serve`` runs.

    Args:
        arguments: of the command, without its port.
        port: where it listens.

    Raises:
        EvaluationError: it ends before it is ready, or does not become ready.
    """
    command = [sys.executable, "-m", "ance_ir", "serve", *arguments, "--port", str(port)]
    with tempfile.TemporaryFile() as log:  # a pipe that nobody reads would fill, and the server wait
        began = time.perf_counter()
        process = subprocess.Popen(command, stderr=log)
        try:
            while not _ready(port):
                if process.poll() is not None or time.perf_counter() - began > _PATIENCE:
                    log.seek(0)
                    said = log.read().decode(errors="replace").strip().splitlines()
                    raise EvaluationError(f"ance-ir serve did not become ready: {said[-1] if said else 'it said nothing'}")
                time.sleep(_OFTEN)
            yield Running(process=process, port=port, started=time.perf_counter() - began)
        finally:
            process.terminate()
            process.wait()


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/ready", timeout=10) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
