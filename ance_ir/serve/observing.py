"""A line of JSON for each request in the log, and its count. Neither holds what was asked for."""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ance_ir.serve.metrics import Metrics

logger = logging.getLogger(__name__)

_METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS"})


class Observer:
    """Stands before everything else.

    Args:
        app: what it observes.
        metrics: counts.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and note what became of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            seconds = time.perf_counter() - started
            path = getattr(scope.get("route"), "path", "other")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.answered(method, path, status, seconds)
            if logger.isEnabledFor(logging.INFO):
                logger.info(
                    json.dumps(
                        {
                            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                            "client": scope["client"][0] if scope.get("client") else None,
                            "method": method,
                            "path": path,
                            "system": scope.get("path_params", {}).get("system"),
                            "status": status,
                            "milliseconds": round(1000 * seconds, 2),
                        }
                    )
                )
