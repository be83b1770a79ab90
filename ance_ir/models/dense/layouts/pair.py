"""Two towers that are published apart, each in any layout of one tower.

So are DRAGON (two bare backbones), ADORE's query encoders with STAR's passages (two ANCE folders), and DPR's models as
sentence-transformers has them. DPR's own folders say which tower they are, and have a layout of their own.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ance_ir.errors import ModelError
from ance_ir.models.dense.layout import Choices, DenseCheckpoint, Files, Layout, check_fit, find_layout
from ance_ir.models.loading.foreign import refuse_partial


def _open(files: Files, choices: Choices) -> DenseCheckpoint:
    one, other = (_open_one(path, choices) for path in files.paths)
    check_fit([one.query, other.query], [one.tokenizer, other.tokenizer], files.name)
    if one.settings.lower_case != other.settings.lower_case:
        raise ModelError(f"{files.name}: one of them lower-cases texts and the other does not; lower_case= decides for both")
    own = {name: getattr(one.settings, name) for name in ("query_length", "query_prefix", "mask_padding", "strip_question_mark")}
    return DenseCheckpoint(
        layout=one.layout if one.layout == other.layout else f"{one.layout} and {other.layout}",
        query=one.query,
        passage=other.query,
        tokenizer=one.tokenizer,
        settings=replace(other.settings, **own),
        settings_from=one.settings_from,
        prompts=one.prompts,
        unused=one.unused + other.unused,
        assumed=tuple(dict.fromkeys(one.assumed + other.assumed)),
        fresh_head=one.fresh_head and other.fresh_head,
    )


def _open_one(path: Path, choices: Choices) -> DenseCheckpoint:
    files = Files(name=str(path), paths=(path,))
    if path.is_dir():
        refuse_partial(path)
    opened = find_layout(files).open(files, choices)
    if opened.passage is not None:
        raise ModelError(f"{path} has two towers already ({opened.layout}); a pair is two checkpoints of one tower each")
    return opened


LAYOUT = Layout(
    sign="two names, one for queries and one for passages",
    order=5,
    recognises=lambda files: len(files.paths) == 2,
    open=_open,
)
