"""A system that a server has, by its address."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pyterrier as pt

from ance_ir.errors import UsageError
from ance_ir.pipelines.remote import Remote, RemoteScorer
from ance_ir.pipelines.server import RESULTS, split_address
from ance_ir.pipelines.systems.contents import is_address
from ance_ir.pipelines.systems.context import Context
from ance_ir.pipelines.systems.kind import Kind, Opener
from ance_ir.pipelines.systems.tree import Stage


def _plan(stage: Stage, context: Context, text: str, *, retrieves: bool) -> Opener:
    if stage.options:
        raise UsageError(f"{stage.word} takes no options: its system has them where it is served")
    return partial(_open, context, *split_address(stage.word), retrieves=retrieves)


def _open(context: Context, url: str, system: str, *, retrieves: bool) -> pt.Transformer:
    if not retrieves:
        return RemoteScorer(url, system, verbose=context.verbose)
    asked = min(context.asked, max(context.num_results, RESULTS))  # one more than is wanted, as far as a server ranks
    return context.counted(Remote(url, system, asked, verbose=context.verbose))


def _holds(path: Path) -> str | None:
    return "server" if is_address(path) else None


def _instead(stage: Stage, path: Path) -> str:
    return "serves the documents of one collection; evaluate it on each collection apart"


KIND = Kind(plan=_plan, holds=_holds, instead=_instead)
