"""``ance-ir plan``."""

from __future__ import annotations

import json
from typing import Any

import click

from ance_ir.cli._options import passages_option
from ance_ir.registries import MACHINES

EXAMPLE = """
\b
Example:
  ance-ir plan --documents 8841823 --dimension 768
  ance-ir plan --documents 3213835 --tokens 1600 --passages maxp:512,4 --queries 367013 --steps 60000 --machine h100 --machines 8
  ance-ir plan --documents 250000000 --model minilm --backend ivf+pq --dtype float16 --format markdown
"""


@click.command("plan", short_help="Say what a job will need: hours, disk, memory, money", epilog=EXAMPLE)
@click.option("--documents", type=click.IntRange(min=1), required=True, help="Documents of the collection.")
@click.option("--tokens", type=click.FloatRange(min=1), default=75, show_default=True, help="Tokens of a document, on average.")
@click.option(
    "--model",
    default="bert-base",
    show_default=True,
    help="The encoder: minilm, bert-base, bert-large, LAYERSxWIDTH (12x768), a folder or a hub name.",
)
@click.option("--dimension", type=click.IntRange(min=1), help="Of a vector.  [default: the model's width]")
@passages_option
@click.option("--passage-length", type=click.IntRange(min=3), default=512, show_default=True, help="Tokens of a passage at most.")
@click.option("--dtype", type=click.Choice(["float16", "float32"]), default="float32", show_default=True, help="How vectors are stored.")
@click.option("--backend", default="exact", show_default=True, help="What searches them: exact, or a family with hnsw or ivf.")
@click.option("--queries", type=click.IntRange(min=0), default=0, show_default=True, help="Training queries; 0: none are mined for.")
@click.option("--depth", type=click.IntRange(min=1), default=200, show_default=True, help="Candidates for negatives of each.")
@click.option("--mining-backend", default="exact", show_default=True, help="What searches for them, as --backend.")
@click.option("--steps", type=click.IntRange(min=0), default=0, show_default=True, help="Of training; 0: none.")
@click.option("--refresh-every", type=click.IntRange(min=1), default=1000, show_default=True, help="Steps between two refreshes.")
@click.option("--batch-size", type=click.IntRange(min=1), default=16, show_default=True, help="Queries of a step.")
@click.option("--negatives-per-query", type=click.IntRange(min=0), default=1, show_default=True, help="In a step.")
@click.option("--test-queries", type=click.IntRange(min=0), default=1000, show_default=True, help="To evaluate with.")
@click.option("-k", "--num-results", type=click.IntRange(min=1), default=1000, show_default=True, help="Documents for each of them.")
@click.option(
    "--machine",
    metavar="NAME|FILE",
    help=f"{'; '.join(f'{name}: {MACHINES.summary(name)}' for name in MACHINES)}; or a file of `ance-ir bench units`.  "
    "[default: this one, where it was measured so, else laptop]",
)
@click.option("--machines", type=click.IntRange(min=1), default=1, show_default=True, help="How many of it.")
@click.option("--dollars", type=click.FloatRange(min=0), metavar="D", help="Price of an hour of it.  [default: a rough one]")
@click.option("--format", "form", type=click.Choice(["text", "json", "markdown"]), default="text", show_default=True, help="Of the table.")
def command(machine: str | None, machines: int, dollars: float | None, form: str, **options: Any) -> None:
    """Say what a job will need, stage by stage, before anything is begun: hours, disk, memory, memory of a GPU, and money.

    The times are unit costs, which `ance-ir bench units` measures, times how often each is due; docs/scale.md has the laws, and how well
    they hold. Money is a rough price of an hour times hours.
    """
    from dataclasses import replace

    from ance_ir.workflows.planning.machine import Machine
    from ance_ir.workflows.planning.plan import make_plan

    found = Machine.find(machine)
    if dollars is not None:
        found = replace(found, dollars=dollars)
    plan = make_plan(_job(**options), found, machines)
    if form == "json":
        click.echo(json.dumps(plan.as_json(), indent=2, ensure_ascii=False))
        return
    click.echo(plan.table.to_text() if form == "text" else plan.table.to_markdown())
    click.echo("\n" + "\n".join(plan.notes if form == "text" else (f"- {note}" for note in plan.notes)))


def _job(
    *,
    documents: int,
    tokens: float,
    model: str,
    dimension: int | None,
    passages: str,
    passage_length: int,
    steps: int,
    refresh_every: int,
    negatives_per_query: int,
    num_results: int,
    **options: Any,
) -> Any:
    from ance_ir.indexes import parse_passages
    from ance_ir.workflows.planning.job import Corpus, Job, find_size

    scheme, size = parse_passages(passages), find_size(model)
    return Job(
        corpus=Corpus.of_mean(documents, tokens, scheme, passage_length),
        size=size,
        dimension=dimension or size.width,
        steps=steps,
        refreshes=max(1, -(-steps // refresh_every)),
        negatives=negatives_per_query,
        results=num_results,
        **options,
    )
