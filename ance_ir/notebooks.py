"""HTML of objects in notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape


def html_table(caption: str, rows: Mapping[str, str]) -> str:
    """A ``<table>`` element of names and values; all text is escaped."""
    cells = "".join(f'<tr><th style="text-align:left">{escape(name)}</th><td>{escape(value)}</td></tr>' for name, value in rows.items())
    return f"<table><caption>{escape(caption)}</caption>{cells}</table>"
