"""Names that columns have in a user's files, as text: ``rows.parquet[text=body; docno=key]``."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ance_ir.errors import UsageError

_NAMED = re.compile(r"(?P<place>.+?)\[(?P<columns>[^\[\]]*)\]")


def split_columns(name: str) -> tuple[str, dict[str, str]]:
    """A dataset's name without its columns, and the columns: theirs by ours.

    Raises:
        UsageError: what is between the brackets is no list of ``OURS=THEIRS``.
    """
    match = _NAMED.fullmatch(name)
    if match is None:
        return name, {}
    columns: dict[str, str] = {}
    for text in match["columns"].split(";"):
        ours, separator, theirs = (part.strip() for part in text.partition("="))
        if not (ours and separator and theirs) or ours in columns:
            raise UsageError(f"columns are named OURS=THEIRS, with ; between them and each once, not {text.strip()!r} in {name!r}")
        columns[ours] = theirs
    return match["place"], columns


def with_columns(name: str, columns: Mapping[str, str]) -> str:
    """A dataset's name that ``split_columns`` reads."""
    return f"{name}[{'; '.join(f'{ours}={theirs}' for ours, theirs in columns.items())}]" if columns else name
