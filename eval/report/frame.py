"""The frame of every page: a self-contained file, with colours, type, tables, dark mode and printing."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

_HOME = "ance_ir.eval.report"


def part(name: str) -> Markup:
    """A file of a package, as text: ``frame.css`` of this package, or ``ance_ir.workflows.runs/page.html`` of another one."""
    package, _, file = name.rpartition("/")
    return Markup((files(package or _HOME) / file).read_text(encoding="utf-8"))


def render(template: str, **values: Any) -> str:
    """Render a page.

    Args:
        template: a Jinja template, named as for ``part``; it extends ``frame.html`` and may import the macros of ``macros.html``.
            Texts are escaped.
        values: of the template's variables.
    """
    return _PAGES.get_template(template).render(**values)


_PAGES = jinja2.Environment(
    loader=jinja2.FunctionLoader(part), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
_PAGES.globals["part"] = part
