"""Counts and times for Prometheus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """What a server counts."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        kept: Any = {"registry": self._registry, "namespace": "ance_ir"}
        self._requests = Counter("requests", "Requests that were answered.", ["method", "path", "status"], **kept)
        self._seconds = Histogram("request_seconds", "Seconds from a request to its answer.", ["path"], buckets=_SECONDS, **kept)
        self._together = Histogram(
            "batch_requests", "Requests that were computed together.", ["worker"], buckets=(1, 2, 4, 8, 16, 32, 64), **kept
        )
        self._computing = Histogram("batch_seconds", "Seconds of computing for requests together.", ["worker"], buckets=_SECONDS, **kept)
        self._waiting = Gauge("waiting_requests", "Requests that wait.", ["worker"], **kept)

    def answered(self, method: str, path: str, status: int, seconds: float) -> None:
        """Count a request.

        Args:
            method: of HTTP.
            path: that of the route, not of the request, of which there are too many.
            status: of the answer.
            seconds: that it took.
        """
        self._requests.labels(method, path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def of_worker(self, name: str, waiting: Callable[[], float]) -> Callable[[int, float], None]:
        """A function that counts what a worker computed: requests together, and seconds.

        Args:
            name: the worker's.
            waiting: how many requests wait for it.
        """
        self._waiting.labels(name).set_function(waiting)
        together, seconds = self._together.labels(name), self._computing.labels(name)

        def computed(requests: int, took: float) -> None:
            together.observe(requests)
            seconds.observe(took)

        return computed

    def text(self) -> bytes:
        """What Prometheus reads, of ``CONTENT_TYPE``."""
        return generate_latest(self._registry)
