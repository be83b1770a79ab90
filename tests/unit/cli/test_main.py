from __future__ import annotations

import errno
import importlib
import json
import logging
import os
import pkgutil
import subprocess
import sys
import types
import warnings
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from tqdm import tqdm

import ance_ir
from ance_ir.cli import index
from ance_ir.cli._lazy import module_name
from ance_ir.cli.main import SUMMARIES, group, main
from ance_ir.errors import AnceError, DocumentNotFoundError, MalformedFileError, MissingDependencyError

HEAVY = {"faiss", "ir_datasets", "matplotlib", "numpy", "pandas", "pyterrier", "scipy", "sklearn", "torch", "transformers"}
ROOT = Path(ance_ir.__file__).parent.parent

Install = Callable[[Callable[[], object]], None]


@pytest.fixture
def as_search(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a function in the place of the subcommand ``search``."""

    def install(function: Callable[[], object]) -> None:
        module = types.ModuleType("ance_ir.cli.search")
        module.command = click.command("search")(function)  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "ance_ir.cli.search", module)

    return install


def raising(error: BaseException) -> Callable[[], object]:
    def function() -> None:
        raise error

    return function


def modules_after(code: str) -> set[str]:
    """Top-level names of what a new interpreter has imported after ``code``."""
    code += "\nimport json, sys; print(); print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_help_lists_every_command_and_imports_nothing_heavy(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for name, summary in SUMMARIES.items():
        assert f"{name}  " in shown
        assert summary in " ".join(shown.split())
    assert not HEAVY & modules_after("from ance_ir.cli.main import main; main(['--help'])")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"ance-ir {ance_ir.__version__}\n"
    assert not HEAVY & modules_after("from ance_ir.cli.main import main; main(['--version'])")


TABLES = {"ance_ir.cli": SUMMARIES, "ance_ir.cli.index": index.SUMMARIES}


@pytest.mark.parametrize(("package", "name"), [(package, name) for package, table in TABLES.items() for name in table])
def test_each_entry_of_a_table_is_a_command_with_that_summary(package: str, name: str) -> None:
    command = importlib.import_module(f"{package}.{module_name(name)}").command
    assert isinstance(command, click.Command)
    assert command.name == name
    assert command.get_short_help_str(limit=1000) == TABLES[package][name]


def test_the_help_of_a_command_imports_nothing_heavy() -> None:
    commands = [*SUMMARIES, "study negatives", *(f"index {name}" for name in index.SUMMARIES)]
    each = f"for name in {commands}: assert main([*name.split(), '--help']) == 0"
    assert not HEAVY & modules_after(f"from ance_ir.cli.main import main\n{each}")


@pytest.mark.parametrize("name", SUMMARIES)
def test_every_option_of_a_command_is_explained(name: str) -> None:
    command = importlib.import_module(f"ance_ir.cli.{name.replace('-', '_')}").command
    commands = [command, *(command.commands.values() if isinstance(command, click.Group) else [])]
    bare = [option.name for one in commands for option in one.params if isinstance(option, click.Option) and not option.help]
    assert bare == []


@pytest.mark.parametrize("name", [*(name for name in SUMMARIES if name != "index"), *(f"index {name}" for name in index.SUMMARIES)])
def test_wherever_a_dataset_is_named_its_columns_are(name: str) -> None:
    module = name.replace("-", "_").replace(" ", ".")
    command = importlib.import_module(f"ance_ir.cli.{module if module != 'index.import' else 'index.import_'}").command
    for one in command.commands.values() if isinstance(command, click.Group) else [command]:
        options = {option for parameter in one.params for option in parameter.opts}
        assert ("--dataset" in options) <= ("--column" in options)


@pytest.mark.parametrize("package", TABLES)
def test_every_module_of_commands_is_in_the_table(package: str) -> None:
    modules = {module.name for module in pkgutil.iter_modules(importlib.import_module(package).__path__) if module.name[0] != "_"}
    assert modules - {"main"} == set(map(module_name, TABLES[package]))


def test_options_of_building_need_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["index", "--dataset", "d"]) == 2
    assert capsys.readouterr().err == "ance-ir: error: Missing option '--out'. (see 'ance-ir index build --help')\n"
    assert main(["index", "--help"]) == 0
    assert "compact  Free the space of deleted documents" in capsys.readouterr().out
    assert main(["index"]) == 2


def test_without_arguments_the_help_is_shown_as_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("Usage: ance-ir")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nothing"], "ance-ir: error: No such command 'nothing'. (see 'ance-ir --help')\n"),
        (["search", "--nothing"], "ance-ir: error: No such option '--nothing'. (see 'ance-ir search --help')\n"),
    ],
)
def test_wrong_usage_is_one_line(arguments: list[str], expected: str, as_search: Install, capsys: pytest.CaptureFixture[str]) -> None:
    as_search(lambda: None)
    assert main(arguments) == 2
    assert capsys.readouterr() == ("", expected)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (AnceError("no such thing:\n  try   another"), "no such thing: try another"),
        (AnceError(), "AnceError"),
        (DocumentNotFoundError("the corpus holds no d1"), "the corpus holds no d1"),
        (MalformedFileError("q.tsv", 3, "qid TAB text", "x\ny"), "q.tsv, line 3: expected qid TAB text, found 'x\\ny'"),
        (
            MissingDependencyError("jinja2", "a report", "pip install 'ance_ir[report]'"),
            "a report needs the package jinja2: pip install 'ance_ir[report]'",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (PermissionError(errno.EACCES, "Permission denied", "/out"), "/out: Permission denied"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "in.tsv"), "in.tsv: No such file or directory"),
        (click.ClickException("odd"), "odd"),
    ],
)
def test_what_the_user_can_mend_is_one_line(
    error: BaseException, expected: str, as_search: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    as_search(raising(error))
    assert main(["search"]) == 2
    assert capsys.readouterr() == ("", f"ance-ir: error: {expected}\n")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_interrupted(error: BaseException, as_search: Install, capsys: pytest.CaptureFixture[str]) -> None:
    as_search(raising(error))
    assert main(["search"]) == 130
    assert capsys.readouterr() == ("", "ance-ir: interrupted\n")


@pytest.mark.parametrize(
    "error", [ValueError("a bug"), OSError(errno.EBADF, "a bug"), EOFError("a bug"), BrokenPipeError(errno.EPIPE, "a bug")]
)
def test_a_bug_shows_its_traceback(error: Exception, as_search: Install) -> None:
    as_search(raising(error))
    with pytest.raises(type(error), match="a bug"):
        main(["search"])


def test_a_command_may_choose_its_exit_code(as_search: Install) -> None:
    as_search(lambda: click.get_current_context().exit(3))
    assert main(["search"]) == 3


# In a process of its own: a signal that comes where nobody waits for it ends the process.
DESTRUCTOR = """
import signal, sys, time, types, click
from ance_ir.cli.main import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
class Bar:
    def __del__(self):
        raise KeyboardInterrupt
@click.command()
def command():
    Bar()
    time.sleep({seconds})
sys.modules["ance_ir.cli.search"] = types.SimpleNamespace(command=command)
status = main(["search"])
time.sleep(0.3)
print(status)
"""


@pytest.mark.parametrize(("seconds", "status", "said"), [(60, 130, "ance-ir: interrupted\n"), (0, 0, "")], ids=["in time", "too late"])
def test_an_interruption_while_a_destructor_runs_is_not_lost(seconds: int, status: int, said: str) -> None:
    command = [sys.executable, "-c", DESTRUCTOR.format(seconds=seconds)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=50)
    assert (done.stdout, done.stderr) == (f"{status}\n", said)


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("lines", [1, 100_000])
def test_a_reader_that_goes_away_is_no_error(lines: int, unbuffered: str) -> None:
    code = f"""
import sys, types, click, time
from ance_ir.cli.main import main
module = types.ModuleType("ance_ir.cli.search")
@click.command()
def command():
    time.sleep(0.3)
    for _ in range({lines}): print("x" * 80)
module.command = command
sys.modules["ance_ir.cli.search"] = module
sys.exit(main(["search"]))
"""
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", code], stdout=pipe, stderr=pipe, text=True, cwd=ROOT, env=environment)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 1
    process.stderr.close()


@pytest.mark.parametrize(
    ("flags", "shown"), [([], ["ance-ir: warning: said"]), (["-v"], ["INFO", "WARNING"]), (["-vv"], ["DEBUG", "INFO", "WARNING"])]
)
def test_verbose(flags: list[str], shown: list[str], as_search: Install, capsys: pytest.CaptureFixture[str]) -> None:
    def log() -> None:
        logger = logging.getLogger("ance_ir.anything")
        for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.WARNING):
            logger.log(level, "said")

    as_search(log)
    logger = logging.getLogger("ance_ir")
    before = (logger.level, list(logger.handlers))
    assert main([*flags, "search"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[2] if flags else line for line in lines] == shown
    assert (logger.level, logger.handlers) == before


def test_warnings_of_our_own_are_one_line_without_its_place(as_search: Install, capsys: pytest.CaptureFixture[str]) -> None:
    def warn() -> None:
        warnings.simplefilter("default")
        warnings.warn_explicit("use\nanother name", FutureWarning, str(Path(ance_ir.__file__).parent / "pipelines" / "x.py"), 7)
        warnings.warn_explicit("theirs", FutureWarning, "other.py", 7)

    as_search(warn)
    with warnings.catch_warnings(record=True) as others:
        before = warnings.showwarning
        assert main(["search"]) == 0
        assert warnings.showwarning is before
    assert capsys.readouterr().err == "ance-ir: warning: use another name\n"
    assert [str(warning.message) for warning in others] == ["theirs"]


def test_a_line_does_not_break_into_a_progress_bar(as_search: Install, capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        with tqdm(total=2, desc="working", file=sys.stderr, ncols=40) as bar:
            bar.update()
            logging.getLogger("sentence_transformers.anything").warning("said")

    as_search(work)
    assert main(["search"]) == 0
    said = capsys.readouterr().err.partition("ance-ir: warning: said\n")
    assert said[0].endswith("\r"), "the bar was cleared"
    assert said[2].startswith("\rworking: "), "and drawn again"
    assert not logging.getLogger("sentence_transformers").handlers


def test_completion_imports_no_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    context = click.Context(group)
    assert [item.value for item in group.shell_complete(context, "ev")] == ["eval"]
    assert [item.value for item in group.shell_complete(context, "--ver")] == ["--version", "--verbose"]
    monkeypatch.setenv("_ANCE_IR_COMPLETE", "bash_source")
    main([])
    assert "_ANCE_IR_COMPLETE=bash_complete" in capsys.readouterr().out
