"""``ance-ir read``."""

from __future__ import annotations

from pathlib import Path

import click

from ance_ir.cli._options import UserPath, dataset_option, device_option

EXAMPLE = """
\b
Example:
  ance-ir read --dataset squad-open --reader runs/reader --reader nearest-name --questions 500
"""


@click.command("read", short_help="Answer questions from passages, and compare readers", epilog=EXAMPLE)
@dataset_option
@click.option(
    "--reader",
    "readers",
    multiple=True,
    required=True,
    metavar="[NAME=]READER",
    help="A checkpoint, a training run, or nearest-name, which needs no model; may be given several times.",
)
@click.option(
    "--system",
    default="bm25",
    show_default=True,
    help="The system that finds the passages, as in `ance-ir eval`; gold: the relevant passages.",
)
@click.option("--depth", type=int, default=10, show_default=True, help="Passages of each question that are read.")
@click.option("--split", default="test", show_default=True, help="The questions; they need answers.")
@click.option("--questions", type=int, metavar="N", help="So many of them, drawn at random.  [default: all]")
@click.option("--seed", type=int, default=42, show_default=True, help="Seed of the draw.")
@click.option("--out", type=UserPath(dir_okay=False), help="Write the answers there, as JSON lines.")
@device_option
def command(
    dataset: str,
    readers: tuple[str, ...],
    system: str,
    depth: int,
    split: str,
    questions: int | None,
    seed: int,
    out: Path | None,
    device: str | None,
) -> None:
    """Answer a dataset's questions from the passages that a system finds; exact match and F1 of each reader.

    A question's answer is the best span of its most relevant passage.
    """
    from ance_ir import load_dataset
    from ance_ir.workflows import evaluate_readers, open_readers

    report = evaluate_readers(
        load_dataset(dataset),
        open_readers(readers, device=device, verbose=True),
        system=system,
        depth=depth,
        split=split,
        questions=questions,
        seed=seed,
        device=device,
    )
    if out is not None:
        report.save(out)
    click.echo(report.to_text())
