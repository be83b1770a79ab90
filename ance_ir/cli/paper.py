"""``ance-ir paper``."""

from __future__ import annotations

from pathlib import Path

import click

from ance_ir.cli._options import UserPath, dataset_options, device_option

EXAMPLE = """
\b
Example:
  ance-ir paper
  ance-ir paper table-2 --dataset msmarco-mini --split dl19 --system bm25 --system "dr=ance[model=runs/x]" --out paper
"""


@click.command("paper", short_help="Make the paper's analyses, each with table, picture and verdict", epilog=EXAMPLE)
@click.argument("name", required=False)
@dataset_options()
@click.option("--split", default="test", show_default=True, help="The queries.")
@click.option("--system", multiple=True, metavar="[NAME=]SYSTEM", help="As in `ance-ir eval`; the others are compared with the first.")
@click.option("--study", multiple=True, metavar="FOLDER", help="A finished study of negatives, as `ance-ir study negatives` makes it.")
@click.option("--run", multiple=True, metavar="FOLDER", help="A training run.")
@click.option("--reader", multiple=True, metavar="[NAME=]READER", help="As in `ance-ir read`.")
@click.option("--model", multiple=True, metavar="MODEL", help="A dense model: a folder or a hub name.")
@click.option("--queries", type=int, metavar="N", help="At most so many, drawn at random.  [default: the analysis's own]")
@click.option("--seed", type=int, default=42, show_default=True, help="Of all that is drawn.")
@click.option("--out", type=UserPath(), default=Path("paper"), show_default=True, help="For results; each analysis has a folder in it.")
@device_option
def command(
    name: str | None,
    dataset: str | None,
    split: str,
    queries: int | None,
    seed: int,
    out: Path,
    device: str | None,
    **given: tuple[str, ...],
) -> None:
    """Make an analysis of the paper on your own collection and models; without NAME, list them: claims, and what each needs.

    OUT/NAME has the table (results.md, results.json), the picture (SVG and PNG), and whether the claim holds there, with significance over
    queries where it can be tested. After an interruption, the same command resumes; a finished analysis is shown again.
    """
    from ance_ir.paper.analysing import ANALYSES, listing, run_analysis

    if name is None:
        for line in listing():
            click.echo(line)
        return
    ANALYSES.check(name)
    if dataset is None:
        raise click.UsageError("name a dataset with --dataset")
    from ance_ir import load_dataset
    from ance_ir.paper.analysis import Asked

    asked = Asked(
        dataset=load_dataset(dataset), folder=out / name, split=split, given=given, queries=queries, seed=seed, device=device, verbose=True
    )
    run_analysis(name, asked, say=click.echo)
