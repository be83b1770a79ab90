"""Options of ``ance-ir train`` and ``ance-ir mine``: which documents are candidates for negatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def candidate_options(command: F) -> F:
    """The rank window, the filters, and the draw: ``--depth`` to ``--draw``."""
    options = (
        click.option("--depth", type=int, default=200, show_default=True, help="Documents of a ranking that negatives are drawn from."),
        click.option("--draw", metavar="[uniform|top|score]", default="uniform", show_default=True, help="How they are drawn; see above."),
        click.option("--skip", type=int, default=0, show_default=True, help="Number of top-ranked documents to leave out."),
        click.option("--max-score", type=float, metavar="S", help="Leave out documents that score more than S."),
        click.option(
            "--margin", type=float, metavar="M", help="Leave out documents that score less than M below the query's best positive."
        ),
        click.option(
            "--relative-margin",
            type=float,
            metavar="P",
            help="Leave out what scores more than s - P|s|, s being the score of the query's best positive: .05 keeps documents that score "
            "at most 95 % of it.",
        ),
        click.option(
            "--filter-teacher", metavar="MODEL", help="Leave out documents that this cross-encoder scores above the query's best positive …"
        ),
        click.option("--filter-teacher-margin", type=float, default=0.0, show_default=True, help="… or less than this below it."),
    )
    for option in reversed(options):
        command = option(command)
    return command
