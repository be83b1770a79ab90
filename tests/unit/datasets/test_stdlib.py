from __future__ import annotations

import ast
import shutil
import sysconfig
import warnings
from pathlib import Path

import pandas as pd
import pytest

from ance_ir.datasets import Dataset, load_dataset
from ance_ir.datasets.definitions import definitions
from ance_ir.datasets.sources.python_stdlib import build, first_sentence

WORDS = " ".join(f"w{number}," for number in range(12))


def parse(tmp_path: Path, source: str) -> dict[str, str]:
    path = tmp_path / "m.py"
    path.write_text(source, encoding="utf-8")
    found = {definition.name: definition.source for definition in definitions(path, "m")}
    for text in found.values():
        ast.parse(text)
    return found


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('def f(a):\n    """Doc."""\n    return a\n', {"m.f": "def f(a):\n    return a"}),
        ('def f(a):\n    """Doc.\n\n    More.\n    """  # why\n    return a\n', {"m.f": "def f(a):\n    # why\n    return a"}),
        ('def f(a): "Doc."; return a\n', {"m.f": "def f(a): return a"}),
        ('def f(a): "Döc."\n', {"m.f": "def f(a): pass"}),
        ('def fé(a): "Döçümént."; return a\n', {"m.fé": "def fé(a): return a"}),
        ('@g\nasync def f(a):\n    "Doc."\n', {"m.f": "@g\nasync def f(a):\n    pass"}),
        ('def f():\n    ("Doc. "\n     "More.")\n    \x0c\n    return 1\n', {"m.f": "def f():\n    return 1"}),
        ("def f():\n    return 1\n", {}),
        ("def f(:\n", {}),
        ('def f():\n    """ """\n    return 1\n', {}),
    ],
)
def test_docstrings_are_taken_out(tmp_path: Path, source: str, expected: dict[str, str]) -> None:
    found = parse(tmp_path, source)
    assert {name: text.replace("    \x0c\n", "") for name, text in found.items()} == expected


def test_what_is_inside_a_definition_is_one_as_well(tmp_path: Path) -> None:
    source = (
        "if True:\n"
        "    class A:\n"
        '        """A."""\n'
        "        text = '''\n"
        "  kept\n"
        "'''\n"
        "        def f(self):\n"
        '            """F."""\n'
        "            def g():\n"
        '                """G."""\n'
        "                return 1\n"
        "        class E(Exception):\n"
        '            """E."""\n'
    )
    found = parse(tmp_path, source)
    assert list(found) == ["m.A", "m.A.f", "m.A.f.g", "m.A.E"]
    assert found["m.A"] == (
        "class A:\n    text = '''\n  kept\n'''\n"
        "    def f(self):\n        def g():\n            return 1\n    class E(Exception):\n        pass"
    )
    assert found["m.A.f.g"] == "def g():\n    return 1"


@pytest.mark.parametrize(
    ("docstring", "sentence"),
    [
        ("Return  the\n   sum. And more.", "Return the sum."),
        ("No full stop\n\nNext paragraph.", "No full stop"),
        ("Version 3.11 is it! Yes.", "Version 3.11 is it!"),
        ("", ""),
    ],
)
def test_first_sentence(docstring: str, sentence: str) -> None:
    assert first_sentence(docstring) == sentence


def test_what_is_kept_of_a_library(tmp_path: Path) -> None:
    library = tmp_path / "library"
    (library / "p").mkdir(parents=True)
    (library / "test").mkdir()
    (library / "p" / "__init__.py").write_text(
        f'def short():\n    """A body of few words."""\n    return 1\n'
        f'def f():\n    """This is said twice."""\n    return [{WORDS}]\n'
        f'def f():\n    """This is said twice."""\n    return ({WORDS})\n'
        f'def brief():\n    """Three words only."""\n    return [{WORDS}]\n'
        f'def told():\n    """The comment tells it."""\n    x = "The comment  tells it."\n    return [{WORDS}]\n',
        encoding="utf-8",
    )
    (library / "test" / "m.py").write_text(f'def f():\n    """A test of something."""\n    return [{WORDS}]\n', encoding="utf-8")
    build(library, tmp_path / "out")
    dataset = load_dataset(tmp_path / "out")
    assert [document["docno"] for document in dataset.documents()] == ["p.f", "p.f~2", "p.brief", "p.told"]
    queries = [query for split in dataset.splits for query in dataset.queries(split)["query"]]
    assert queries == ["This is said twice."]
    qrels = [docno for split in dataset.splits for docno in dataset.qrels(split)["docno"]]
    assert qrels == ["p.f", "p.f~2"]


@pytest.fixture(scope="module")
def stdlib() -> Dataset:
    return load_dataset("python-stdlib")


@pytest.mark.slow
def test_the_collection_has_the_size_that_is_promised(stdlib: Dataset) -> None:
    assert stdlib.name == "python-stdlib"
    assert stdlib.splits == ("test", "dev", "train")
    assert 3_500 < sum(1 for _ in stdlib.documents()) < 5_500
    sizes = {split: len(stdlib.queries(split)) for split in stdlib.splits}
    of_16 = {split: 16 * size / sum(sizes.values()) for split, size in sizes.items()}
    assert of_16 == pytest.approx({"test": 3, "dev": 2, "train": 11}, abs=0.5)
    assert sizes["test"] > 500


def test_documents_are_python_without_docstrings_or_their_queries(stdlib: Dataset) -> None:
    texts = {document["docno"]: document["text"] for document in stdlib.documents()}
    documented = 0
    for text in texts.values():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
        nodes = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef))
        documented += any(ast.get_docstring(node) for node in nodes)
    assert documented == 0
    for split in stdlib.splits:
        judged = stdlib.qrels(split).merge(stdlib.queries(split), on="qid", validate="many_to_one")
        assert len(judged) == len(stdlib.qrels(split))
        leaked = [row.docno for row in judged.itertuples() if row.query in " ".join(texts[row.docno].split())]
        assert leaked == []


def test_splits_share_no_query(stdlib: Dataset) -> None:
    queries = pd.concat([stdlib.queries(split) for split in stdlib.splits])
    assert queries["qid"].is_unique and queries["query"].is_unique


def test_equal_sources_give_equal_bytes(tmp_path: Path) -> None:
    library = Path(sysconfig.get_paths()["stdlib"])
    for part in ("json", "email"):
        shutil.copytree(library / part, tmp_path / "library" / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("one", "two"):
        build(tmp_path / "library", tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert len(files) == 8
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert load_dataset(tmp_path / "one").fingerprint == load_dataset(tmp_path / "two").fingerprint


def test_the_second_use_builds_nothing(stdlib: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANCE_IR_CACHE", str(stdlib.folder.parent.parent))  # type: ignore[attr-defined]
    monkeypatch.setattr("ance_ir.datasets.sources.python_stdlib.build", None)
    assert load_dataset("python-stdlib").fingerprint == stdlib.fingerprint
