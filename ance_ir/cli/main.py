"""The command ``ance-ir``: its options, the table of its subcommands, and its error messages.

A subcommand is the object ``command`` of the module ``ance_ir.cli.<name>``, "_" for "-".
Exit codes: 0 done, 1 the output was closed or a figure was not reproduced, 2 an error (explained in one line; two more
show the place in the text of a system), 130 interrupted.
"""

from __future__ import annotations

import _thread
import contextlib
import errno
import logging
import os
import select
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from typing import TextIO

import click

from ance_ir import __version__
from ance_ir.cli._lazy import LazyGroup
from ance_ir.errors import AnceError, PointedError
from ance_ir.notices import Once

PROGRAM = "ance-ir"
SUMMARIES = {
    "demo": "Train, index and evaluate on a collection that needs no download",
    "train": "Train a dense retriever",
    "inferencer": "Mine negatives for a training run",
    "train-reranker": "Train a reranker (cross-encoder)",
    "train-reader": "Train a reader that finds answers in passages",
    "index": "Build and change an index",
    "search": "Search an index, or run a system",
    "mcp": "Serve systems to an agent, by the Model Context Protocol",
    "serve": "Serve systems: search page, HTTP API",
    "read": "Answer questions from passages, and compare readers",
    "mine": "Mine hard negatives into training files",
    "convert": "Write a collection or training data in another layout",
    "export": "Write a model as a graph for another runtime",
    "eval": "Evaluate systems on a dataset, or on several",
    "systems": "List the named systems",
    "suites": "Show how collections are evaluated",
    "push": "Upload a model or an index to the Hugging Face hub",
    "runs": "Show training runs, side by side",
    "info": "Show what a dataset or an index holds, or the properties of a model",
    "models": "List the published encoders that are known by name",
    "layouts": "List the layouts of collections and training data",
    "study": "Compare negatives as the paper does",
    "paper": "Make the paper's analyses, each with table, picture and verdict",
    "reproduce": "Reproduce published figures with the released checkpoints",
    "plan": "Say what a job will need: hours, disk, memory, money",
    "bench": "Measure search, adaptive and sparse retrieval, encoding, pipelines, training, mining, the server, a GPU, units of work",
}
"""Each subcommand and its short help, written here so that ``ance-ir --help`` imports none of them."""

_LIBRARY = "sentence_transformers"
"""Its warnings are shown as ours are."""

_SURROUNDINGS = {
    getattr(errno, name)
    for name in ("EACCES", "EDQUOT", "EEXIST", "EFBIG", "EIO", "EISDIR", "ENAMETOOLONG", "ENOENT", "ENOSPC", "ENOTDIR", "EPERM", "EROFS")
}
"""System errors that the user can fix (a path, a permission, a full disk); others are bugs and show their traceback."""


@click.group(cls=LazyGroup, package="ance_ir.cli", summaries=SUMMARIES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
@click.option("-v", "--verbose", count=True, help="Log to standard error; twice: in detail.")
@click.pass_context
def group(ctx: click.Context, verbose: int) -> None:
    """Dense retrieval with ANCE: train, index, search and evaluate."""
    logger = logging.getLogger("ance_ir")
    handler = _BesideBars()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s") if verbose else _Plain())
    handler.addFilter(Once())
    level, shown = logger.level, (logger, logging.getLogger(_LIBRARY))

    def restore() -> None:
        for one in shown:
            one.removeHandler(handler)
        logger.setLevel(level)

    ctx.with_resource(_own_warnings_logged())
    for one in shown:
        one.addHandler(handler)
    logger.setLevel((logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)])
    ctx.call_on_close(restore)


@contextlib.contextmanager
def _own_warnings_logged() -> Iterator[None]:
    """Log the Python warnings of this package, such as of names that will go, which are shown without the file and line of our code."""
    others, folder = warnings.showwarning, os.path.dirname(os.path.dirname(__file__))

    def show(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None, line: str | None = None
    ) -> None:
        if filename.startswith(folder + os.sep):
            logging.getLogger("ance_ir").warning("%s", message)
        else:
            others(message, category, filename, lineno, file, line)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = others


class _BesideBars(logging.StreamHandler[TextIO]):
    """Writes to standard error; progress bars are cleared for a line, and drawn again below it."""

    def emit(self, record: logging.LogRecord) -> None:
        bar = getattr(sys.modules.get("tqdm"), "tqdm", None)  # where nobody has imported it, there are none
        with bar.external_write_mode(file=self.stream) if bar is not None else contextlib.nullcontext():
            super().emit(record)


class _Plain(logging.Formatter):
    """A warning in one line, as errors are shown."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{PROGRAM}: {record.levelname.lower()}: {' '.join(record.getMessage().split())}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``ance-ir``.

    Args:
        arguments: what follows the program's name; ``None`` takes the process's own.

    Returns:
        The exit code.
    """
    if completion := os.environ.get("_ANCE_IR_COMPLETE"):
        from click.shell_completion import shell_complete

        return shell_complete(group, {}, PROGRAM, "_ANCE_IR_COMPLETE", completion)
    try:
        status = _run(sys.argv[1:] if arguments is None else list(arguments))
        sys.stdout.flush()
    except BrokenPipeError:
        if not _output_is_gone():
            raise
        return 1
    return status


def _run(arguments: list[str]) -> int:
    try:
        with _interrupted_everywhere(), group.make_context(PROGRAM, arguments) as ctx:
            group.invoke(ctx)
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.exceptions.NoArgsIsHelpError as asked:
        asked.show()
        return 2
    except (KeyboardInterrupt, click.Abort):
        status, lines = 130, ["interrupted"]
    except click.ClickException as error:
        where = getattr(error, "ctx", None)
        hint = f" (see '{where.command_path} --help')" if where is not None else ""
        status, lines = 2, _refusal(f"{error.format_message()}{hint}")
    except PointedError as error:
        status, lines = 2, _refusal(error.args[0], error.pointer())
    except AnceError as error:
        status, lines = 2, _refusal(str(error) or type(error).__name__)
    except OSError as error:
        if error.errno not in _SURROUNDINGS:
            raise
        status, lines = 2, _refusal(f"{error.filename}: {error.strerror}" if error.filename is not None else str(error.strerror))
    else:
        return 0
    # Said here, where the error's frames are gone: a progress bar that one of them held has ended its line.
    click.echo(f"{PROGRAM}: " + "\n".join(lines), err=True)
    return status


@contextlib.contextmanager
def _interrupted_everywhere() -> Iterator[None]:
    """Repeat a Ctrl-C that came while a destructor ran, of a progress bar for one: Python drops what destructors raise."""
    others = sys.unraisablehook
    pending: list[threading.Timer] = []

    def repeat(dropped: sys.UnraisableHookArgs) -> None:
        if not isinstance(dropped.exc_value, KeyboardInterrupt):
            others(dropped)
            return
        later = threading.Timer(0.1, _interrupt, (threading.get_ident(),))  # once the destructor has ended
        later.daemon = True
        pending.append(later)
        later.start()

    sys.unraisablehook = repeat
    try:
        yield
    finally:
        sys.unraisablehook = others
        for later in pending:
            later.cancel()


def _interrupt(thread: int) -> None:
    """Send Ctrl-C to a thread; on Windows to the main thread, which takes it when it does not wait."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(thread, signal.SIGINT)
    else:
        _thread.interrupt_main()


def _refusal(message: str, *more: str) -> list[str]:
    return [f"error: {' '.join(message.split())}", *more]


def _output_is_gone() -> bool:
    """Whether the output was closed; if so, it is redirected to nothing, to keep the interpreter's last flush quiet.

    Windows does not say.
    """
    gone = False
    for stream in (sys.stdout, sys.stderr) if hasattr(select, "poll") else ():
        try:
            descriptor = stream.fileno()
        except (OSError, ValueError):
            continue
        poll = select.poll()
        poll.register(descriptor, 0)
        if any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0)):
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, descriptor)
            os.close(nothing)
            gone = True
    return gone


if __name__ == "__main__":
    raise SystemExit(main())
