"""Asks a server of systems (``ance-ir serve``): many requests at a time, each again where the server is busy or away."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar
from urllib.parse import quote

import urllib3
from tqdm.auto import tqdm
from urllib3.exceptions import HTTPError, LocationParseError, MaxRetryError

from ance_ir.errors import AnceError, UsageError

T = TypeVar("T")

RESULTS = 1000
"""The depth to which a server searches its systems: documents before the first that is shown and those shown."""

TOKEN = "ANCE_IR_TOKEN"
"""The environment variable with the token of servers that ask for one; an argument would stand in every ``repr`` and process list."""

_LATER = (408, 429, 502, 503)
"""What a server answers that is busy, starts or ends; 504, the answer took too long, it would but say again."""
_BACKOFF = 0.5
"""Seconds: after the first retry, at once, come waits of 2, 4, 8 … of them, unless the server says how long."""
_LONGEST_WAIT = 30


class RemoteError(AnceError):
    """A server that is not reached, or does not answer the question."""


def read_url(value: str) -> str:
    """The address of a server, without a slash at its end.

    Raises:
        UsageError: it is none.
    """
    try:
        found = urllib3.util.parse_url(value)
    except LocationParseError:
        found = urllib3.util.Url()
    if found.scheme not in ("http", "https") or not found.host or found.auth or found.query or found.fragment:
        raise UsageError("and no address of a server, such as http://127.0.0.1:8080")
    return value.rstrip("/")


def split_address(address: str) -> tuple[str, str]:
    """The URL of a server and the name of a system there, of ``http://host:8080/system``.

    Raises:
        UsageError: it names no system.
    """
    url, _, system = address.rpartition("/")
    if not system or url.endswith("/"):
        raise UsageError(f"{address} names no system of a server: write http://HOST:PORT/SYSTEM")
    return url, system


def ask_server(
    address: tuple[str, str, str],
    questions: Sequence[dict[str, Any]],
    read: Callable[[Any], T],
    *,
    at_once: int,
    timeout: float,
    retries: int,
    verbose: bool,
) -> Iterator[T]:
    """What a server answers to each question, in their order.

    Args:
        address: its URL, the name of a system there, and what to do with that, such as ``search``.
        questions: the bodies of the requests.
        read: reads the body of an answer.
        at_once: requests that are on their way at a time.
        timeout: seconds without an answer after which a request has failed.
        retries: of a request that failed.
        verbose: show progress.

    Raises:
        RemoteError: it is not reached, refuses, or answers with something else than ``read`` expects.
    """
    url, system, action = address
    place = f"{url}/v1/{quote(system, safe='')}/{action}"
    pool = _pool(os.getpid())
    retry = urllib3.Retry(
        retries,
        allowed_methods=None,  # questions change nothing, so they may come twice
        status_forcelist=_LATER,
        backoff_factor=_BACKOFF,
        backoff_max=_LONGEST_WAIT,
        retry_after_max=_LONGEST_WAIT,
        raise_on_status=False,
    )

    def ask(question: dict[str, Any]) -> T:
        body = as_json(question)
        try:
            answer = pool.request("POST", place, body=body, headers=_headers(), retries=retry, timeout=timeout, redirect=False)
        except HTTPError as error:
            raise RemoteError(f"{url} is not reached ({_reason(error)}); is `ance-ir serve` running there?") from error
        if answer.status != 200:
            raise RemoteError(f"{place} answers {answer.status}: {_told(answer)}")
        try:
            return read(json.loads(answer.data))
        except (ValueError, TypeError, KeyError) as error:
            raise RemoteError(f"{place} answers {answer.data[:60]!r}, as `ance-ir serve` does not; is it the server's address?") from error

    with ThreadPoolExecutor(at_once) as threads:
        answers = threads.map(ask, questions)
        yield from tqdm(answers, desc=system, total=len(questions), unit=" requests", disable=not verbose)


def as_json(value: Any) -> bytes:
    """JSON as it is sent: text takes its bytes in UTF-8; half surrogate pairs come through, as Python's JSON reads them."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


@cache
def _pool(process: int) -> urllib3.PoolManager:
    """The connections of a process; a forked one must not share those of its parent."""
    return urllib3.PoolManager(maxsize=_KEPT)


_KEPT = 64
"""Connections to a server that stay open between requests, at most."""


def _headers() -> dict[str, str]:
    token = os.environ.get(TOKEN)
    return {"Content-Type": "application/json", "User-Agent": "ance_ir", **({"Authorization": f"Bearer {token}"} if token else {})}


def _reason(error: HTTPError) -> str:
    inner = error.reason if isinstance(error, MaxRetryError) and error.reason is not None else error
    return " ".join(str(inner).split())


def _told(answer: urllib3.BaseHTTPResponse) -> str:
    """What a server says to a request that it refuses."""
    try:
        return str(json.loads(answer.data)["error"])
    except (ValueError, TypeError, KeyError):
        return answer.reason or "without a reason"
