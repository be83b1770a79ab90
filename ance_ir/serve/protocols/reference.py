"""The API described for people at /docs: a page without scripts, from the same description as /openapi.json."""

from __future__ import annotations

from fastapi import APIRouter, Request
from jinja2 import Environment, PackageLoader
from starlette.responses import HTMLResponse

ROUTER = APIRouter(include_in_schema=False)


@ROUTER.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    """All paths, their parameters, bodies and answers."""
    described = request.app.openapi()
    template = Environment(loader=PackageLoader("ance_ir.serve"), autoescape=True, trim_blocks=True).get_template("reference.html")
    return HTMLResponse(template.render(api=described, schemas=described["components"]["schemas"]))
