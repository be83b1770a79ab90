"""``ance-ir push``."""

from __future__ import annotations

from pathlib import Path

import click

from ance_ir.cli._options import UserPath

HELP = """Upload a model or an index to the Hugging Face hub, as NAME there: ORGANISATION/NAME.

PATH is the folder of a model (an encoder, a reranker or a reader), of a training run that has ended, or of an index. It is opened and
checked before anything is uploaded; its card is filled from the run that trained it.

The account is that of `hf auth login`, or of the token in HF_TOKEN. Models are then opened by NAME, indexes by hf:NAME.
"""
EXAMPLE = """
\b
Example:
  ance-ir push runs/x me/ance-of-mine --private
"""


@click.command("push", short_help="Upload a model or an index to the Hugging Face hub", help=HELP, epilog=EXAMPLE)
@click.argument("path", type=UserPath(exists=True, file_okay=False))
@click.argument("name")
@click.option("--private", is_flag=True, help="A new repository is seen by its owners alone.")
@click.option("--licence", metavar="ID", help="For the card: apache-2.0, mit, …  [default: that of the model it was trained from]")
def command(path: Path, name: str, private: bool, licence: str | None) -> None:
    """Upload a model or an index to the Hugging Face hub."""
    from ance_ir import models
    from ance_ir.hub import check_upload
    from ance_ir.indexes import AnceIndex

    check_upload(name)  # before a large model is opened
    shared = AnceIndex(path) if (path / "pt_meta.json").exists() else models.open(path, device="cpu")
    click.echo(shared.push_to_hub(name, private=private or None, licence=licence))
