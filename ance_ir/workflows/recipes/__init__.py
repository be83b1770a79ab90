"""Recipes: how published models were trained, each a TOML file here. ``_reader`` says what a file holds."""

from ance_ir.workflows.recipes._reader import Recipe, read_recipe

__all__ = ["Recipe", "read_recipe"]
