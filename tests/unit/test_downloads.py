"""Downloads that break, resume, and bring something else than expected."""

from __future__ import annotations

import errno
import hashlib
import ssl
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ance_ir import downloads
from ance_ir.downloads import DownloadError, download, partial_of
from tests.processes import free_port
from tests.serving import Served, serving

CONTENT = bytes(range(256)) * 40
RIGHT = {"size": len(CONTENT), "md5": hashlib.md5(CONTENT).hexdigest()}


@pytest.fixture
def served() -> Iterator[Served]:
    with serving(Served(CONTENT)) as found:
        yield found


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that were waited, which takes no time."""
    waited: list[float] = []
    monkeypatch.setattr(downloads.time, "sleep", waited.append)
    return waited


def test_a_file_that_is_whole_at_once(tmp_path: Path, served: Served) -> None:
    download(served.url, tmp_path / "new" / "x", **RIGHT)
    assert (tmp_path / "new" / "x").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["x"]


def test_connections_that_break_are_opened_again(tmp_path: Path, served: Served, waits: list[float]) -> None:
    served.cut = 3000
    download(served.url, tmp_path / "x", **RIGHT)
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert served.asked == [0, 3000, 6000, 9000] and not waits


def failing(monkeypatch: pytest.MonkeyPatch, errors: list[Exception | None]) -> None:
    """Let reading from one connection after the other fail so, or not."""
    connect, left = urllib.request.urlopen, iter(errors)

    def connected(*asked: Any, **how: Any) -> Any:
        response = connect(*asked, **how)
        if error := next(left, None):

            def read(_: int) -> bytes:
                raise error

            response.read = read
        return response

    monkeypatch.setattr(urllib.request, "urlopen", connected)


@pytest.mark.parametrize(
    "error",
    [
        ssl.SSLError("record layer failure"),
        *(OSError(number, "") for number in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ECONNRESET, errno.ETIMEDOUT)),
    ],
    ids=str,
)
def test_a_network_that_fails_is_waited_for(
    error: OSError, tmp_path: Path, served: Served, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer each time; from the shortest time again after a byte has come."""
    served.cut = 6000
    failing(monkeypatch, [error, error, None, error])
    download(served.url, tmp_path / "x", **RIGHT)
    assert (tmp_path / "x").read_bytes() == CONTENT and waits == [1, 10, 1]
    (tmp_path / "x").unlink()
    failing(monkeypatch, [error] * 9)
    with pytest.raises(DownloadError, match=type(error).__name__):
        download(served.url, tmp_path / "x", **RIGHT)
    assert waits[3:] == [1, 10, 60]


def test_a_full_disk_is_not_waited_for(tmp_path: Path, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, [OSError(errno.ENOSPC, "No space left on device")])
    with pytest.raises(OSError, match="No space left"):
        download(served.url, tmp_path / "x", **RIGHT)
    assert served.asked == [0]


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_server_that_is_busy_is_asked_again(status: int, tmp_path: Path, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    served.status = status
    monkeypatch.setattr(downloads.time, "sleep", lambda seconds: setattr(served, "status", 0))
    download(served.url, tmp_path / "x", **RIGHT)
    assert (tmp_path / "x").read_bytes() == CONTENT and served.asked == [0, 0]


def test_another_process_resumes(tmp_path: Path, served: Served) -> None:
    partial_of(tmp_path / "x").write_bytes(CONTENT[:5000])
    served.status = 503
    with pytest.raises(DownloadError, match="5,000 of 10,240") as raised:
        download(served.url, tmp_path / "x", **RIGHT)
    assert "503" in str(raised.value)
    assert not (tmp_path / "x").exists()
    served.status = 0
    download(served.url, tmp_path / "x", **RIGHT)
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert set(served.asked) == {5000}, "nothing is fetched twice"


def test_a_server_that_begins_again(tmp_path: Path, served: Served) -> None:
    served.resumes = False
    partial_of(tmp_path / "x").write_bytes(b"?" * 5000)
    download(served.url, tmp_path / "x", **RIGHT)
    assert (tmp_path / "x").read_bytes() == CONTENT


def test_another_checksum(tmp_path: Path, served: Served) -> None:
    served.content = CONTENT[::-1]
    with pytest.raises(DownloadError, match=hashlib.md5(CONTENT[::-1]).hexdigest()):
        download(served.url, tmp_path / "x", **RIGHT)
    assert list(tmp_path.iterdir()) == [], "what is damaged is never resumed"


def test_another_size(tmp_path: Path, served: Served) -> None:
    served.content = CONTENT * 2
    with pytest.raises(DownloadError, match="10,240"):
        download(served.url, tmp_path / "x", **RIGHT)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_gone(tmp_path: Path, served: Served) -> None:
    served.status = 404
    with pytest.raises(DownloadError, match="404"):
        download(served.url, tmp_path / "x", **RIGHT)
    assert served.asked == [0], "that is not tried again"


def test_nobody_answers(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/x"
    with pytest.raises(DownloadError, match=url):
        download(url, tmp_path / "x", **RIGHT)
