"""Prometheus: counts and times at /metrics."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from ance_ir.serve.metrics import CONTENT_TYPE
from ance_ir.serve.requests import Serving

ROUTER = APIRouter(tags=["state"])


@ROUTER.get("/metrics", response_class=Response)
async def metrics(server: Serving) -> Response:
    """Counts and times, as Prometheus reads them."""
    return Response(server.metrics.text(), media_type=CONTENT_TYPE)
