"""``ance-ir search``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ance_ir.cli._options import DATASET, UserPath, dataset_options, device_option, precision_option
from ance_ir.registries import FAISS_PARTS, RUN_FORMATS

if TYPE_CHECKING:
    import pandas as pd

    from ance_ir.datasets import Dataset
    from ance_ir.models.compute.precision import Precision

_SHOWN, _WRITTEN = 10, 1000
"""Documents a query by default: of an index or on the screen, and of a system in a run."""

HELP = """Search INDEX, or with --system a dataset, with QUERIES, those of a file, or those of a split. They need not be judged.

With --system SYSTEM and --dataset D, SYSTEM is what `ance-ir eval` takes: bm25, "bm25 % 100 >> x.ance", "rrf(bm25, x.ance)", a name that
`ance-ir systems` shows, or one of --pipelines; INDEX is left out.

With --out a run is written, and next to it ir-metadata.yml (www.ir-metadata.org): what is known of its models, indexes, settings,
versions and machine. Where that file is of another run, NAME.ir-metadata.yml is written, NAME being the name of the run's file. What only
you know, such as your team and the goal of the research, is for you to add.
"""
EXAMPLE = """
\b
Example:
  ance-ir search stdlib.ance "parse a date from a string" --dataset python-stdlib
  ance-ir search --dataset python-stdlib --system "bm25 % 100 >> stdlib.ance" --split test --tag mine --out run.trec.gz
"""


@click.command("search", short_help="Search an index, or run a system", help=HELP, epilog=EXAMPLE)
@click.argument("words", nargs=-1, metavar="[INDEX] [QUERIES]...")
@click.option("--system", metavar="SYSTEM", help="Run this system over --dataset; there is no INDEX then.")
@click.option(
    "--pipelines", "own", type=UserPath(exists=True, dir_okay=False), metavar="FILE.py", help="Your own pipelines, as for `ance-ir eval`."
)
@click.option(
    "--queries",
    "file",
    type=UserPath(exists=True, dir_okay=False),
    help="A file of qid, tab, query, or BEIR's queries.jsonl; -: standard input.",
)
@click.option("--split", help="The queries of this split of --dataset.")
@click.option(
    "-k",
    "--num-results",
    type=click.IntRange(min=1),
    help=f"Documents a query.  [default: {_SHOWN}; {_WRITTEN} with --system and --out]",
)
@dataset_options(help=f"What to search; with INDEX, shows its texts. {DATASET}")
@click.option("--out", type=UserPath(dir_okay=False), help="Write a run there instead of showing the results.")
@click.option("--format", "form", type=click.Choice(list(RUN_FORMATS)), default="trec", show_default=True, help="Of the run.")
@click.option("--tag", default="ance_ir", show_default=True, help="The run's name, one word.")
@click.option("--model", help="The present name or folder of the index's model, if it has moved.")
@click.option(
    "--backend",
    metavar="BACKEND",
    default="exact",
    show_default=True,
    help="Search method of INDEX: exact, tuned, ray[://HOST:PORT] (exact, on the nodes of a cluster), or a family of Faiss indexes with "
    "options, such as ivf+sq8,nprobe=64; its parts are "
    f"{', '.join(FAISS_PARTS)} (docs/indexes.md).",
)
@click.option(
    "--aggregation",
    metavar="max|mean|sum:N|first",
    default="max",
    show_default=True,
    help="How a document of INDEX is scored by its passages; sum:N: the N best.",
)
@precision_option
@device_option
@click.pass_context
def command(
    ctx: click.Context,
    words: tuple[str, ...],
    system: str | None,
    own: Path | None,
    file: Path | None,
    split: str | None,
    num_results: int | None,
    dataset: str | None,
    out: Path | None,
    form: str,
    tag: str,
    model: str | None,
    backend: str,
    aggregation: str,
    precision: Precision | None,
    device: str | None,
) -> None:
    """Search an index, or run a system over a dataset."""
    from ance_ir import load_dataset
    from ance_ir.eval import RunFile, search_index, search_on_dataset
    from ance_ir.pipelines.systems import load_pipelines

    index, texts = _index_and_queries(words, system)
    if system and dataset is None:
        raise click.UsageError("--system needs --dataset, what it searches")
    if own and not system:
        raise click.UsageError("--pipelines needs --system, which of them to run")
    if system and (fixed := _chosen(ctx, "backend", "aggregation")):
        raise click.UsageError(f"--{fixed[0]} is for INDEX; in a system it is an option of the stage: x.ance[{fixed[0]}=…]")
    if out is None and (of_run := _chosen(ctx, "form", "tag")):
        raise click.UsageError(f"--{of_run[0].replace('form', 'format')} is of the run that --out FILE writes; name one")
    source = load_dataset(dataset) if dataset else None
    topics = str(file) if file else split or ""
    file_out = RunFile(path=out, tag=tag, format=form, dataset=source, split=split or "test", topics=topics) if out else None
    queries = _queries(texts, file, split, source)
    computing: Any = {"device": device, "model": model, "precision": precision}
    if index is not None:
        depth = num_results or _SHOWN
        found = search_index(index, queries, num_results=depth, backend=backend, aggregation=aggregation, **computing)
    else:
        assert source is not None and system is not None
        depth = num_results or (_WRITTEN if out else _SHOWN)
        pipelines = load_pipelines(own, source) if own else {}
        searching: Any = {"split": split or "test", "num_results": depth, "pipelines": pipelines, "verbose": out is not None}
        found = search_on_dataset(source, system, queries, **searching, **computing)
    if file_out is None:
        _show(found.queries, found.run, source)
        return
    about = file_out.write(found)
    click.echo(f"{len(found.run):,} results of {len(queries):,} queries in {out}, what made them in {about}")


def _chosen(ctx: click.Context, *names: str) -> list[str]:
    """Those of some parameters that were given."""
    return [name for name in names if ctx.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT]


def _index_and_queries(words: tuple[str, ...], system: str | None) -> tuple[Path | None, tuple[str, ...]]:
    """The index, unless there is a system, and the texts of queries."""
    index = Path(words[0]).expanduser() if words else None
    if system:
        if index is not None and (index / "manifest.json").exists():
            raise click.UsageError(f"{index} is an index, and --system takes its place; an index is a stage of it: --system {index}")
        return None, words
    if index is None:
        raise click.UsageError("name an INDEX to search, or a system with --system and --dataset")
    if not index.is_dir():
        from ance_ir.indexes.formats.prebuilt import import_hint

        raise click.UsageError(f"there is no index {words[0]!r}; to search a dataset with a system, give --system{import_hint(words[0])}")
    return index, words[1:]


def _queries(texts: tuple[str, ...], file: Path | None, split: str | None, dataset: Dataset | None) -> pd.DataFrame:
    """The queries that were given, in one of three ways."""
    import pandas as pd

    from ance_ir.datasets.frames import queries_frame
    from ance_ir.datasets.parsing import read_topics
    from ance_ir.errors import DatasetError

    if sum((bool(texts), file is not None, split is not None)) != 1:
        raise click.UsageError("give queries, or a file of queries with --queries, or a split of --dataset with --split")
    if file is not None:
        queries = queries_frame(read_topics(file))
        if queries.empty:
            raise DatasetError(f"{file} holds no queries")
        return queries
    if split is None:
        return pd.DataFrame({"qid": [str(number + 1) for number in range(len(texts))], "query": list(texts)})
    if dataset is None:
        raise click.UsageError("--split needs --dataset, whose split it is")
    return dataset.queries(split)


def _show(queries: pd.DataFrame, run: pd.DataFrame, dataset: Dataset | None) -> None:
    if dataset is not None:
        run = dataset.text_loader(["title", "text"]).transform(run)
    for qid, query in zip(queries["qid"], queries["query"], strict=True):
        click.echo(f"\n{qid}: {query}")
        found = run[run["qid"] == qid]
        if found.empty:
            click.echo("      nothing found")
        for row in found.to_dict("records"):
            text = " ".join(f"{row.get('title', '')} {row.get('text', '')}".split())
            click.echo(f"{row['rank'] + 1:4d}  {row['score']:8.4f}  {row['docno']}" + (f"  {text[:120]}" if text else ""))
