"""Figures that others publish for the full collections: a TOML file for each publication, which ``_reader.py`` describes."""

from ance_ir.eval.published._reader import PublishedFigure, published_figures, published_on, published_table, published_tables

__all__ = ["PublishedFigure", "published_figures", "published_on", "published_table", "published_tables"]
