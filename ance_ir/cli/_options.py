"""Options that several subcommands share, and how they become settings."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ance_ir import registries
from ance_ir.cli._standard_input import DASH, standard_input
from ance_ir.registries import BOARDS, PASSAGES
from ance_ir.registry import DataFiles, Registry

if TYPE_CHECKING:
    from ance_ir.datasets import Dataset
    from ance_ir.world import World

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
Number = TypeVar("Number", int, float)


NEIGHBOURS = click.IntRange(1, 1000)
"""Of a document in a corpus graph; ``indexes.graph``, which bounds them, takes long to import."""


class UserPath(click.Path):
    """A path, ``~`` at its beginning replaced by the home folder, which a shell leaves as it is in ``--out=~/x`` and in quotes. Where a
    file must exist, ``-`` is standard input; with ``hub``, hf:ORGANISATION/NAME is left as it is; with ``named``, what does not exist may
    be a name.
    """

    def __init__(
        self, *, exists: bool = False, file_okay: bool = True, dir_okay: bool = True, hub: bool = False, named: bool = False
    ) -> None:
        super().__init__(exists=exists, file_okay=file_okay, dir_okay=dir_okay, path_type=Path)
        self.hub = hub
        self.named = named

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path that a text names."""
        if value == DASH and self.exists and self.file_okay:
            return Path(standard_input())
        if (self.hub and value.startswith("hf:")) or (self.named and not os.path.exists(os.path.expanduser(value))):
            return Path(value)
        return super().convert(os.path.expanduser(value), param, ctx)


DATASET = "A file or folder, a name under $ANCE_IR_DATA, python-stdlib, or an ir_datasets id (or alias)."

HELD_OUT = "train:N holds out N training queries"
"""Of ``--dev-split``."""

PRECISIONS = ("float32", "bfloat16", "int8")
"""Those of ``ance_ir.models.compute.precision``, written here so that no help imports torch."""


def dataset_options(*names: str, help: str = DATASET, **options: Any) -> Callable[[F], F]:
    """``--dataset`` and ``--column``; ``names`` and ``options`` are those of ``click.option``."""

    def add(command: F) -> F:
        return click.option("--dataset", *names, metavar="D", help=help, callback=named_columns, **options)(column_option(command))

    return add


dataset_option = dataset_options(required=True)
"""``--dataset``, which must be given, and ``--column``."""


def training_sets_options(command: F) -> F:
    """``--dataset``, ``--split`` and ``--weight``, each of which may be repeated, and ``--column``."""
    return with_options(
        command,
        dataset_options(required=True, multiple=True, help=f"{DATASET} May be repeated, to train on several."),
        click.option(
            "--split",
            multiple=True,
            default=["train"],
            show_default="train",
            help="The queries to train on: one for each --dataset, in their order, or one for all.",
        ),
        click.option(
            "--weight",
            "weights",
            type=float,
            multiple=True,
            metavar="W",
            help="How often batches come from each --dataset, in their order; one for all: equally often.  "
            "[default: in proportion to their queries]",
        ),
    )


def only(datasets: tuple[str, ...], what: str) -> str:
    """The one dataset of a benchmark that takes no more."""
    if len(datasets) > 1:
        raise click.UsageError(f"{what} takes one dataset")
    return datasets[0]


def opened_datasets(names: Iterable[str]) -> Dataset | list[Dataset]:
    """The dataset of a name, or those of several."""
    from ance_ir import load_dataset

    found = [load_dataset(name) for name in names]
    return found[0] if len(found) == 1 else found


def column_option(command: F) -> F:
    """``--column``, which ``named_columns`` adds to the names of datasets."""
    return click.option(
        "--column",
        "columns",
        multiple=True,
        metavar="OURS=THEIRS",
        help="The name of a column in the dataset's files: --column text=body; may be repeated. The same as D[text=body; …].",
        is_eager=True,  # so that it is known when the dataset's name is read
        expose_value=False,
        callback=_keep_columns,
    )(command)


def _keep_columns(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> None:
    ctx.meta["ance_ir.columns"] = value


def named_columns(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """The name of a dataset, or several, with the columns that ``--column`` names; ``-`` is a file on standard input."""
    if not value:
        return value
    columns = f"[{'; '.join(named)}]" if (named := ctx.meta.get("ance_ir.columns", ())) else ""
    names = [f"{or_standard_input(name)}{columns}" for name in ([value] if isinstance(value, str) else value)]
    return names[0] if isinstance(value, str) else tuple(names)


def or_standard_input(name: str) -> str:
    """The name of a file or dataset; for ``-`` that of a file with what comes on standard input."""
    return standard_input() if name == DASH else name


def dev_dataset_option(command: F) -> F:
    """``--dev-dataset``."""
    text = "Whose queries these are, over the same documents; the split is dev, where D has that, or test.  [default: those of --dataset]"
    return click.option("--dev-dataset", metavar="D", help=text, callback=named_columns)(command)


def index_argument(command: F) -> F:
    """``INDEX``, an index's folder or hub name."""
    return click.argument("index", type=_IndexPath(exists=True, file_okay=False, hub=True))(command)


class _IndexPath(UserPath):
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            from ance_ir.indexes.formats.prebuilt import import_hint

            raise click.BadParameter(error.message.removesuffix(".") + import_hint(value), ctx, param) from None


def device_option(command: F) -> F:
    """``--device``."""
    return click.option("--device", metavar="DEVICE", help="cpu, cuda, cuda:1, …  [default: a GPU where there is one]")(command)


def report_options(command: F) -> F:
    """``--report-to``, and ``--tensorboard``, which is short for one of its values."""
    boards = "; ".join(f"{name}: {BOARDS.summary(name)}" for name in BOARDS)
    return with_options(
        command,
        click.option(
            "--report-to",
            type=click.Choice(list(BOARDS)),
            multiple=True,
            callback=lambda ctx, param, value: tuple(dict.fromkeys((*value, *ctx.meta.get(_REPORT_TO, ())))),
            help=f"Write the log there as well; may be repeated. {boards}.",
        ),
        click.option(
            "--tensorboard",
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=lambda ctx, param, value: ctx.meta.update({_REPORT_TO: ("tensorboard",)} if value else {}),
            help="The same as --report-to tensorboard.",
        ),
    )


_REPORT_TO = "ance_ir.report_to"


def layers_option(command: F) -> F:
    """``--layers``."""
    text = "Keep only the first N layers of the encoder to start from; 0: its embeddings alone.  [default: all]"
    return click.option("--layers", type=int, metavar="N", help=text)(command)


def passages_option(command: F) -> F:
    """``--passages``."""
    return click.option("--passages", default="firstp", show_default=True, metavar="SCHEME", help=passages_help())(command)


def passages_help() -> str:
    """What ``--passages`` takes."""
    return f"How documents are cut: {'; '.join(map(PASSAGES.summary, PASSAGES))}."


def precision_option(command: F) -> F:
    """``--precision``."""
    text = "What the encoder computes in; int8: on a CPU, with the extra int8.  [default: the checkpoint's own]"
    return click.option("--precision", type=click.Choice(PRECISIONS), help=text)(command)


def text_options(command: F) -> F:
    """``--query-length``, ``--passage-length`` and ``--text``."""
    queries = click.option("--query-length", type=int, metavar="N", help="Tokens of a query.  [default: the model's]")
    passages = click.option("--passage-length", type=int, metavar="N", help="Tokens of a passage.  [default: the model's]")
    others = click.option(
        "--text",
        "text",
        multiple=True,
        metavar="NAME=VALUE",
        help="Change a text setting of the model, e.g. lower_case=yes or fields=url,title,text; `ance-ir info` lists them. "
        f"Of a checkpoint that does not say it also pooling={' or '.join(registries.POOLINGS)}, similarity=dot or cosine.",
    )
    return queries(passages(others(command)))


def text_settings(query_length: int | None, passage_length: int | None, text: Iterable[str]) -> dict[str, Any]:
    """What ``text_options`` were given, as arguments of ``from_pretrained``."""
    from ance_ir.models.text.settings import parse_settings

    return {**given(query_length=query_length, passage_length=passage_length), **parse_settings(text)}


def out_option(command: F) -> F:
    """``--out``, the folder of a run."""
    text = "The run's folder; after an interruption, the same command resumes the run."
    return click.option("--out", type=UserPath(), required=True, help=text)(command)


def with_options(command: F, *options: Callable[[F], F]) -> F:
    for option in reversed(options):
        command = option(command)
    return command


def settings_from(kind: type[T], options: dict[str, Any], **others: Any) -> T:
    """Settings of a kind, a dataclass: each field from the option of its name, which is taken out of ``options``, or from ``others``."""
    fields: Any = dataclasses.fields(kind)  # type: ignore[arg-type]
    named = [field.name for field in fields if field.name in options and field.name not in others]
    return kind(**{name: options.pop(name) for name in named}, **others)


def listing(entries: Registry[Any] | DataFiles, names: Iterable[str] | None = None) -> str:
    """The names and summaries of a registry, or of some of its entries, as a paragraph of a help text that keeps its lines."""
    names = list(entries if names is None else names)
    width = max(14, *(len(name) + 2 for name in names))
    return "\n".join(["\b", *(f"  {name:<{width}}{entries.summary(name)}" for name in names)])


def join(device: str | None) -> tuple[World, str | None]:
    """The processes that torchrun started with this one, and this one's device."""
    from ance_ir.models.compute.device import find_device
    from ance_ir.world import join_world, own_device

    device = own_device(device)
    return join_world(find_device(device)), device


def leave(world: World, *lines: str) -> None:
    """Part from the other processes at the end of a training; the leading one prints what comes next."""
    world.leave()
    if world.leads:
        for line in lines:
            click.echo(line)


def numbers(text: str, kind: Callable[[str], Number] = int) -> list[Number]:
    """The numbers in a list with commas."""
    try:
        return [kind(part) for part in text.split(",")] if text else []
    except ValueError:
        raise click.UsageError(f"{'whole ' if kind is int else ''}numbers with commas between them were expected, not {text!r}") from None


def given(**options: Any) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}
