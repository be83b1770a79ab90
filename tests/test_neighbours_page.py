"""docs/neighbours.md: the versions of its table are those that CI runs, its tests exist, and nothing of ours changes other packages."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tests.test_architecture import find_modules

ROOT = Path(__file__).parent.parent
ROW = re.compile(r"^\| (.+?) \| (.+?) \| .+ \| `(tests/[\w/]+\.py)` \|$", re.MULTILINE)
PACKAGE = re.compile(r"[\w-]+")
"""The other rows are of tools in jars."""

PINS = ("constraints.txt", "tests/neighbours/requirements.txt")
OURS = {"ance_ir", "__future__", *sys.stdlib_module_names}


def test_each_row_names_the_pinned_version_and_a_test_that_exists() -> None:
    page = (ROOT / "docs" / "neighbours.md").read_text(encoding="utf-8")
    rows = ROW.findall(page)
    assert len(rows) == len(re.findall(r"^\| .* `tests/.*\|$", page, re.MULTILINE)) > 3
    made = "".join((ROOT / name).read_text(encoding="utf-8") for name in (*PINS, "Makefile"))
    pinned = {(canonicalize_name(name), version) for name, version in re.findall(r"([\w.-]+)==([\w.]+)$", made, re.MULTILINE)}
    for tool, version, test in rows:
        name, code = canonicalize_name(tool), (ROOT / test).read_text(encoding="utf-8")
        if PACKAGE.fullmatch(tool):
            assert (name, version) in pinned or name not in dict(pinned), tool
            assert name.replace("-", "_") in code.lower().replace("-", "_"), test


def changed(source: str) -> list[str]:
    """The statements that set or delete an attribute of something imported from another package."""
    tree = ast.parse(source)
    theirs: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            theirs |= {(one.asname or one.name).partition(".")[0] for one in node.names if one.name.partition(".")[0] not in OURS}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] not in OURS:
            theirs |= {one.asname or one.name for one in node.names}
    found = []
    for node in ast.walk(tree):
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign | ast.Delete):
            targets = [part for target in node.targets for part in (target.elts if isinstance(target, ast.Tuple) else [target])]
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            targets = [node.target]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("setattr", "delattr"):
            targets = [ast.Attribute(node.args[0], "any")]
        found += [ast.unparse(node) for target in targets if isinstance(target, ast.Attribute) and _root(target) in theirs]
    return found


def _root(node: ast.expr) -> str | None:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


@pytest.mark.parametrize(
    "line", ["pt.Transformer.search = f", "pt.io.x, y = f, 1", "setattr(Run, 'x', f)", "del pt.x", "Run.depth += 1", "Run.depth: int = 1"]
)
def test_a_change_of_another_package_is_found(line: str) -> None:
    assert len(changed(f"import pyterrier as pt\nfrom ranx import Run\nimport os\n{line}\nos.x = 1\n")) == 1


@pytest.mark.slow
def test_nothing_of_ours_changes_another_package() -> None:
    found = {name: changed(path.read_text(encoding="utf-8")) for name, path in find_modules().items()}
    assert {name: lines for name, lines in found.items() if lines} == {}
