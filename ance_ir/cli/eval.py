"""``ance-ir eval``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ance_ir.cli._options import dataset_option, device_option, precision_option

if TYPE_CHECKING:
    from ance_ir.eval.significance import Correction, Test
    from ance_ir.models.precision import Precision

EXAMPLE = """
\b
Example:
  ance-ir eval --dataset python-stdlib --system bm25 --system dense=stdlib.ance \\
               --system "cascade=bm25 % 100 >> stdlib.ance" --baseline bm25 --out results
  ance-ir eval --dataset python-stdlib --system bm25 --system "ance-firstp[model=all-MiniLM-L6-v2]" --pipelines mine.py --system mine
"""


@click.command("eval", short_help="Evaluate systems on a dataset", epilog=EXAMPLE)
@dataset_option
@click.option("--split", default="test", show_default=True, help="Which queries.")
@click.option(
    "--system",
    "systems",
    multiple=True,
    metavar="[NAME=]SYSTEM",
    help="bm25, an index, a name that `ance-ir systems` shows, or an expression of them; may be repeated.",
)
@click.option(
    "--pipelines",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE.py",
    help="Pipelines of your own: it is run, and its function pipelines(dataset) returns them by name.",
)
@click.option("--baseline", metavar="NAME", help="The system that the others are compared with.")
@click.option("--test", type=click.Choice(["t", "randomisation", "wilcoxon"]), default="t", show_default=True, help="Of the differences.")
@click.option("--correction", type=click.Choice(["holm", "bonferroni"]), default="holm", show_default=True, help="For the number of tests.")
@click.option("--measure", "measures", multiple=True, metavar="MEASURE", help="As ir_measures names it.  [default: RR@10 nDCG@10 R@100]")
@click.option("-k", "--num-results", type=int, default=1000, show_default=True, help="Documents a query.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results"), show_default=True, help="Where everything is written.")
@click.option("--model", help="Where the indexes' model is now, if it has moved.")
@precision_option
@device_option
def command(
    dataset: str,
    split: str,
    systems: tuple[str, ...],
    file: Path | None,
    baseline: str | None,
    test: Test,
    correction: Correction,
    measures: tuple[str, ...],
    num_results: int,
    out: Path,
    model: str | None,
    precision: Precision | None,
    device: str | None,
) -> None:
    """Evaluate systems on a dataset.

    A system is stages joined by >>, each with % and a number after it to cut: bm25, x.ance, "bm25 % 100 >> x.ance",
    "bm25 % 100 >> runs/bert". The first stage retrieves, those after it (indexes, rerankers) score what it found. "bm25 + 1.1 * x.ance",
    "rrf(bm25, x.ance)" fuse. `ance-ir systems` shows what else has a name. Without --system, all of --pipelines are evaluated.

    The means are shown, and with a baseline each difference from it; they, the values of each query, and the runs are written to --out. A
    run that stands there and was made of the same queries, models and indexes is used again.
    """
    from ance_ir import load_dataset
    from ance_ir.eval import DEFAULT_MEASURES, KeptRuns, evaluate_systems, parse_measures
    from ance_ir.pipelines.systems import Systems, load_pipelines
    from ance_ir.training import environment

    if not systems and file is None:
        raise click.UsageError("name a system with --system, or a file of pipelines with --pipelines")
    parse_measures(measures or DEFAULT_MEASURES)
    source = load_dataset(dataset)
    queries, qrels = source.queries(split), source.qrels(split)
    own = load_pipelines(file, source) if file else {}
    parser = Systems(source, num_results=num_results, device=device, model=model, precision=precision, pipelines=own, verbose=True)
    found = evaluate_systems(
        parser.parse_all(systems) if systems else own,
        queries,
        qrels,
        measures or DEFAULT_MEASURES,
        baseline=baseline,
        test=test,
        correction=correction,
        kept=KeptRuns(out / "runs"),
        verbose=True,
    )
    if found.reused:
        click.echo(f"used again from {out / 'runs'}, with the times of then: {', '.join(found.reused)}")
    click.echo(found.to_text())
    if compared := found.comparison_text():
        click.echo(f"\n{compared}")
    told = {"dataset": source.name, "fingerprint": source.fingerprint, "split": split, "systems": list(systems or own), "k": num_results}
    found.save(out, {**told, "environment": environment()})
    click.echo(f"results.json, per_query.tsv and runs/ are in {out}")
