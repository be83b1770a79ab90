"""``ance-ir export``."""

from __future__ import annotations

from pathlib import Path

import click

from ance_ir.cli._options import UserPath, listing, text_options, text_settings
from ance_ir.registries import EXPORT_FORMATS

HELP = f"""Write MODEL, of any family, as a graph for another runtime, with its tokeniser, to the new folder OUT.

MODEL is a folder, a training run, a hub name, or two names with a comma between them for towers that are published separately.

Formats:

{listing(EXPORT_FORMATS)}

An encoder's graph takes input_ids and attention_mask (and token_type_ids where the model has them) of any size, with padding on the right,
and gives sentence_embedding: pooling, head, truncation and normalisation are in it. Of two towers each has a graph, in OUT/query and
OUT/passage. A reranker's graph gives logits, of one that answers by a token the log-odds; a reader's gives start_logits and end_logits, and
relevance_logits of DPR's. What was written is compared with the model, and refused where it differs.

sentence-transformers opens encoders and rerankers for sequence classification with backend="onnx" or "openvino".
--query-length, --passage-length and --text are for encoders.
"""
EXAMPLE = """
\b
Example:
  ance-ir export runs/x --format onnx --out x-onnx
"""


@click.command("export", short_help="Write a model as a graph for another runtime", help=HELP, epilog=EXAMPLE)
@click.argument("model")
@click.option("--format", "form", required=True, type=click.Choice(list(EXPORT_FORMATS)), help="The format to write; see above.")
@click.option("--out", type=UserPath(), required=True, help="The folder to write; it must not exist.")
@text_options
def command(model: str, form: str, out: Path, query_length: int | None, passage_length: int | None, text: tuple[str, ...]) -> None:
    """Write a model as a graph for another runtime."""
    from ance_ir import models

    changes = text_settings(query_length, passage_length, text)
    if changes and (family := models.find_family(model)) != "encoder":
        raise click.UsageError(f"{model} is a {family}, which has no text settings of an encoder")
    models.open(model, device="cpu", **changes).export(out, form)
    click.echo(f"{out} ({EXPORT_FORMATS[form].shown}); {out / 'README.md'} shows how to use it")
