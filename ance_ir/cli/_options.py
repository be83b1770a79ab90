"""Options that several subcommands share, and what they have in common to say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

DATASET = "A directory, a name under $ANCE_IR_DATA, python-stdlib, or an ir_datasets id (or alias)."


def dataset_option(command: F) -> F:
    """``--dataset``."""
    return click.option("--dataset", required=True, metavar="D", help=DATASET)(command)


def device_option(command: F) -> F:
    """``--device``."""
    return click.option("--device", metavar="DEVICE", help="cpu, cuda, cuda:1, …  [default: a GPU where there is one]")(command)


def length_options(command: F) -> F:
    """``--query-length`` and ``--passage-length``."""
    passages = click.option("--passage-length", type=int, metavar="N", help="Tokens of a passage.  [default: the model's]")
    queries = click.option("--query-length", type=int, metavar="N", help="Tokens of a query.  [default: the model's]")
    return queries(passages(command))


def given(**options: Any) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}
