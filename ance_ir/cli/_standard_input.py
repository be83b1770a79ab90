"""Standard input as a file, for arguments that name one: ``-``."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click

DASH = "-"
_FORMS = ((b"PAR1", ".parquet"), (b"ARROW1", ".arrow"), (b"\xff\xff\xff\xff", ".arrow"), (b"{", ".jsonl"), (b"[", ".jsonl"))


def standard_input() -> str:
    """The path of a file with what comes on standard input, or of the folder with what an archive holds, removed when the command ends.

    It is a file since its readers look at its start first, and may read it several times.

    Raises:
        UsageError: another argument has taken standard input.
    """
    from ance_ir.datasets.archives import is_archive, unpack
    from ance_ir.files import cache_folder, naming, temporary_folder

    ctx = click.get_current_context().find_root()
    if __name__ in ctx.meta:
        raise click.UsageError("two arguments are - (standard input), which can be read for one; name a file for the other")
    ctx.meta[__name__] = True
    cache_folder().mkdir(parents=True, exist_ok=True)
    path = ctx.with_resource(temporary_folder(cache_folder() / "standard-input")) / "stdin"
    with naming(path), path.open("wb") as written:
        shutil.copyfileobj(sys.stdin.buffer, written)
    if is_archive(path):
        return str(unpack(path, path.with_name("archive")))
    return str(path.rename(path.with_name(f"{path.name}{_ending(path)}")))


def _ending(path: Path) -> str:
    """The ending of the names of files of this content, by which their readers choose a form."""
    from ance_ir.compression import compression_of

    with path.open("rb") as plain:
        compression = compression_of(plain.peek())
        start = (compression.open(path, plain) if compression else plain).peek().lstrip(b"\xef\xbb\xbf \r\n")
    first = start.partition(b"\n")[0]
    columns = ".tsv" if b"\t" in first else ".csv" if b"," in first or b";" in first else ".txt"
    form = next((ending for begins, ending in _FORMS if start.startswith(begins)), columns)
    return f"{form}{compression.ending if compression else ''}"
