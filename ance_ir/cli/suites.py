"""``ance-ir suites``."""

from __future__ import annotations

import click

EXAMPLE = """
\b
Example:
  ance-ir suites
  ance-ir eval --dataset msmarco-mini --split dl19 --suite trec-dl-2019 --system bm25
"""


@click.command("suites", short_help="Show how collections are evaluated", epilog=EXAMPLE)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Of the list.")
def command(form: str) -> None:
    """Show the suites: for each collection its measures, what counts as relevant, how many documents are retrieved, how documents are
    cut, BM25's settings, what is downloaded, and the figures that others report.
    """
    from dataclasses import asdict

    from ance_ir.eval import SUITES, parse_measures, published_for, published_tables, required_evidence

    published = {suite.name: published_for(suite) for suite in SUITES.values()}
    if form == "json":
        import json

        rows = [{**asdict(suite), "published": list(map(asdict, published[suite.name]))} for suite in SUITES.values()]
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for suite in SUITES.values():
        click.echo(f"{suite.name}: {suite.describes}\n  measures {' '.join(suite.measures)}")
        relevant = (
            f"; binary measures count labels of at least {suite.threshold}"
            if "qrels" in required_evidence(parse_measures(suite.measures))
            else ""
        )
        click.echo(f"  depth {suite.depth}{relevant}; passages {suite.passages}; BM25 with k1 {suite.k1}, b {suite.b}")
        if suite.candidates:
            click.echo(f"  rerank setting: candidates % {suite.candidates} >> SYSTEM")
        if suite.needs:
            click.echo(f"  needs {suite.needs}")
        for table in published_tables(published[suite.name]):
            click.echo("\n".join(f"    {line}" for line in table.to_text().splitlines()))
        click.echo()
    click.echo("Published figures are stated in")
    for source, place in dict.fromkeys((figure.source, figure.stated_in) for figures in published.values() for figure in figures):
        click.echo(f"  {source}: {place}")
