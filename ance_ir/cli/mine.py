"""``ance-ir mine``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from ance_ir.cli._mining import candidate_options
from ance_ir.cli._options import UserPath, dataset_option, device_option, precision_option

HELP = """Mine hard negatives for training elsewhere: for each training query documents that a system ranks high. Its positives, and
documents with the same text as one of them, are never among them.

--system is anything that `ance-ir eval --system` takes: bm25, an index, "bm25 % 100 >> runs/bert", "rrf(bm25, x.ance)".

Negatives are drawn from the first --depth documents, those that are left out by the filters excepted: uniformly, the top of them, or by the
softmax of their scores (--draw). Where too few are left, a query has fewer negatives; files whose records all need as many (of
sentence-transformers and ColBERT) leave it out. Positives that the system does not score are counted, and margins do not apply to a query
without a scored one.

If mining is interrupted, the same command resumes it: what is done is kept in OUT.mining until OUT is there.
"""
EXAMPLE = """
\b
Example:
  ance-ir mine --dataset python-stdlib --system bm25 --format tevatron --out train.jsonl --examples 5
  ance-ir mine --dataset D --system x.ance --relative-margin .05 --skip 10 --format sentence-transformers --out train.jsonl
  ance-ir mine --dataset D --system "bm25 % 100 >> runs/bert" --scores --format flagembedding --out train.jsonl
"""


@click.command("mine", short_help="Mine hard negatives into training files", help=HELP, epilog=EXAMPLE)
@dataset_option
@click.option("--split", default="train", show_default=True, help="The queries.")
@click.option("--system", required=True, metavar="SYSTEM", help="What ranks; see above.")
@click.option("--negatives-per-query", type=int, default=7, show_default=True, help="Negatives drawn for each query.")
@click.option(
    "--format",
    "layout",
    required=True,
    metavar="FORMAT",
    help="tevatron, sentence-transformers, flagembedding, dpr or colbert, or trec: a run of the negatives alone.",
)
@click.option("--out", type=UserPath(), required=True, help="The file to write, or (without an ending) its folder; it must not exist.")
@click.option("--scores", is_flag=True, help="Write the system's scores; positives that it does not score are left out then.")
@click.option(
    "--examples",
    type=click.IntRange(0, 100),
    default=0,
    metavar="N",
    help="Show N negatives that score nearest to the positive, or above it.",
)
@click.option("--compare-with", metavar="FILE", help="Report the overlap with the negatives of a TREC run or a training file.")
@candidate_options
@click.option("--temperature", type=float, default=1.0, show_default=True, help="Scores are divided by it for --draw score.")
@click.option("--seed", type=int, default=42, show_default=True, help="Seed of the draws.")
@click.option(
    "--pipelines",
    "file",
    type=UserPath(exists=True, dir_okay=False),
    metavar="FILE.py",
    help="Your own pipelines, as for `ance-ir eval`.",
)
@click.option("--model", help="Where the index's model is now, if it has moved.")
@precision_option
@device_option
def command(dataset: str, system: str, layout: str, out: Path, examples: int, file: Path | None, **options: Any) -> None:
    """Mine hard negatives into training files."""
    from ance_ir import load_dataset
    from ance_ir.pipelines.systems import load_pipelines
    from ance_ir.workflows import write_negatives

    source = load_dataset(dataset)
    report = write_negatives(
        source,
        system,
        out,
        layout,
        _how(options),
        say=partial(click.echo, err=True),
        pipelines=load_pipelines(file, source) if file else {},
        verbose=True,
        **options,
    )
    click.echo(f"{out} ({layout})")
    for line in report.lines():
        click.echo(line)
    for suspect in report.suspects[:examples]:
        click.echo(f"\n{suspect}")


def _how(options: dict[str, Any]) -> Any:
    """Which negatives, taken out of the options."""
    from ance_ir.cli._options import settings_from
    from ance_ir.workflows import HardNegatives, Mining

    teacher = {"teacher": options.pop("filter_teacher"), "teacher_margin": options.pop("filter_teacher_margin")}
    names = ("skip", "max_score", "margin", "relative_margin")
    filters = Mining(**{name: options.pop(name) for name in names}, **teacher).filters(options["device"])
    return settings_from(HardNegatives, options, filters=filters)
