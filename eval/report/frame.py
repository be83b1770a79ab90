"""What all pages have in common: colours, type, tables, dark mode and printing."""

from __future__ import annotations

from importlib.resources import files


def part(name: str) -> str:
    """A file of the pages, as text."""
    return (files("ance_ir.eval.report") / name).read_text(encoding="utf-8")
