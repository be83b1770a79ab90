"""``--lora``, of the commands that train."""

from __future__ import annotations

from typing import Any

import click

from ance_ir.cli._options import F


def lora_option(command: F) -> F:
    """``--lora``."""

    def read(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Any:
        from ance_ir.models.adapters.lora import Lora

        return None if value is None else Lora.parse(value)

    explained = "Train an adapter beside frozen weights; by default r=16, alpha=32, targets=all-linear (or q_proj+v_proj), dropout=0."
    return click.option("--lora", metavar="r=N,alpha=N,targets=…", callback=read, help=explained)(command)
