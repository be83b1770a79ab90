"""Who may import whom, no circles, one tree under two roofs (the mapping in setup.py and the links in ance_ir/), what it needs."""

from __future__ import annotations

import ast
import importlib
import os
import runpy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import ance_ir
from ance_ir import registries
from ance_ir.registry import Registry

ROOT = Path(__file__).resolve().parent.parent
OUTER = ("eval", "indexes", "pipelines")
LAYERS = ("base", "datasets", "models", "training", "indexes", "pipelines", "eval", "workflows", "serve", "paper", "cli")
"""From the bottom up; a layer may import itself and those before it. "base" is the modules that lie directly in ance_ir/;
"serve" and "paper" lie side by side."""
ROOT_IMPORTS = {"base", "datasets", "models"}
"""What ance_ir itself shows at its top."""


MINING = "ance_ir.indexes.mining."
"""The only part of the indexes that needs training."""


def may_import(layer: str, other: str) -> bool:
    """Whether a module of ``layer`` may import one of ``other``."""
    if layer == "root":
        return other in ROOT_IMPORTS
    if (layer, other) == ("paper", "serve"):
        return False
    return (other == "root" and layer in LAYERS[3:]) or other in LAYERS[: LAYERS.index(layer) + 1]


@dataclass(frozen=True, kw_only=True)
class Import:
    """``name`` of ``module`` (``None`` for a plain import), wherever in the file: at the top, in a function or for type checkers."""

    module: str
    name: str | None
    line: int


def find_modules(root: Path = ROOT) -> dict[str, Path]:
    """Dotted name of every module of the package, and its file; each file once, whatever the links."""
    modules = {}
    for folder, package in {"ance_ir": "ance_ir", **{name: f"ance_ir.{name}" for name in OUTER}}.items():
        for parent, inner, files in os.walk(root / folder, followlinks=False):
            inner[:] = [name for name in inner if name != "__pycache__"]
            for file in files:
                if file.endswith(".py"):
                    path = Path(parent, file)
                    parts = path.relative_to(root / folder).with_suffix("").parts
                    modules[".".join([package, *(part for part in parts if part != "__init__")])] = path
    return modules


@cache
def find_imports(source: str) -> list[Import]:
    """Every import of a file."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [Import(module=alias.name, name=None, line=node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found += [Import(module=module, name=alias.name, line=node.lineno) for alias in node.names]
    return found


def target_of(found: Import, modules: dict[str, Path] | set[str]) -> str:
    """The module that an import reads: a submodule where the name is one, else the package itself."""
    if found.name is None:
        return found.module
    if found.module == "ance_ir" and found.name in ance_ir._LAZY:
        return ance_ir._LAZY[found.name][0]
    inner = f"{found.module}.{found.name}"
    return inner if inner in modules else found.module


def layer_of(module: str, modules: dict[str, Path]) -> str:
    """The layer that a module of ours belongs to."""
    parts = module.split(".")
    if len(parts) == 1:
        return "root"
    if parts[1] in LAYERS or parts[1] == "__main__":
        return "cli" if parts[1] == "__main__" else parts[1]
    path = modules.get(module)
    return "base" if len(parts) == 2 and path is not None and path.name != "__init__.py" else f"unknown layer {parts[1]}"


def find_circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The strongly connected components of more than one node, or of one that points at itself (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    circles = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(graph.get(node, ())):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            at = stack.index(node)
            component = stack[at:]
            del stack[at:]
            if len(component) > 1 or node in graph.get(node, ()):
                circles.append(sorted(component))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return circles


def violations(module: str, source: str, modules: dict[str, Path]) -> list[str]:
    """What the imports of a file do that the rules forbid."""
    layer = layer_of(module, modules)
    if layer not in {*LAYERS, "root"}:
        return [f"{module}: {layer}"]
    wrong = []
    for found in find_imports(source):
        where = f"{module}, line {found.line}:"
        top = found.module.partition(".")[0]
        if found.module.startswith("."):
            wrong.append(f"{where} relative import {found.module}")
        elif top in OUTER or top == "tests":
            wrong.append(f"{where} imports {found.module}, which is not installed under that name")
        elif top == "ance_ir":
            target = target_of(found, modules)
            other = layer_of(target, modules)
            if target == "ance_ir" and found.name == "__version__":
                continue
            if not may_import(layer, other) or (layer == "indexes" and other == "training" and not module.startswith(MINING)):
                wrong.append(f"{where} {layer} may not import {target} ({other})")
    return wrong


MODULES = find_modules()
PACKAGES = sorted(name for name, path in MODULES.items() if path.name == "__init__.py")


def test_the_four_folders_are_seen() -> None:
    assert {"ance_ir.errors", "ance_ir.cli.main"} <= MODULES.keys()
    assert len(set(MODULES.values())) == len(MODULES)
    assert {path.relative_to(ROOT).parts[0] for path in MODULES.values()} == {"ance_ir", *OUTER}


def test_imports_point_inward() -> None:
    wrong = [line for module, path in MODULES.items() for line in violations(module, path.read_text(encoding="utf-8"), MODULES)]
    assert wrong == []


def test_no_circles() -> None:
    graph = {
        module: {target_of(found, MODULES) for found in find_imports(path.read_text(encoding="utf-8"))} & MODULES.keys()
        for module, path in MODULES.items()
    }
    assert find_circles(graph) == []


def packages_graph(package: str, modules: dict[str, Path]) -> dict[str, set[str]]:
    """Which parts of a package, packages or modules directly in it, import which others."""

    def part(module: str) -> str:
        return module.removeprefix(f"{package}.").partition(".")[0]

    graph: dict[str, set[str]] = {}
    for module, path in modules.items():
        if module.startswith(f"{package}."):
            targets = {target_of(found, modules) for found in find_imports(path.read_text(encoding="utf-8"))} & modules.keys()
            used = {part(target) for target in targets if target.startswith(f"{package}.")}
            graph.setdefault(part(module), set()).update(used - {part(module)})
    return graph


def test_the_packages_of_the_models_make_no_circle() -> None:
    assert find_circles(packages_graph("ance_ir.models", MODULES)) == []


def too_long(source: str, lines: int = 300, function_lines: int = 60) -> list[str]:
    """What of a file is longer than it may be."""
    long = [f"{source.count(chr(10))} lines"] if source.count("\n") > lines else []
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    spans = [(node.name, (node.end_lineno or node.lineno) - node.lineno + 1) for node in functions]
    return long + [f"{name}: {span} lines" for name, span in spans if span > function_lines]


def test_files_and_functions_are_short() -> None:
    long = {module: found for module, path in MODULES.items() if (found := too_long(path.read_text(encoding="utf-8")))}
    assert long == {}


def test_what_is_too_long_is_noticed() -> None:
    body = "\n".join("    x = 1" for _ in range(60))
    assert too_long(f"def f():\n{body}\n") == ["f: 61 lines"]
    assert too_long("\n" * 301) == ["301 lines"]
    assert too_long("\n" * 300) == []


REGISTRIES = [registry for registry in vars(registries).values() if isinstance(registry, Registry)]


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.kind)
def test_the_package_of_a_registry_holds_entries_alone(registry: Registry[Any]) -> None:
    files = {path.name for path in registry.folder.iterdir() if path.name != "__pycache__" and not path.name.startswith("_")}
    assert files == {f"{name.replace('-', '_')}.py" for name in registry}
    assert [name for name in registry if registry[name] is None] == []
    assert [name for name in registry if not registry.summary(name)] == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("ance_ir.ranking", "from ance_ir.models import DenseEncoder"),
        ("ance_ir.datasets.x", "from ance_ir import DenseEncoder"),
        ("ance_ir.datasets.x", "def f():\n    from ance_ir.training import losses"),
        ("ance_ir.models.x", "from ance_ir.training import Trainer"),
        ("ance_ir.training.x", "if TYPE_CHECKING:\n    from ance_ir.indexes import AnceIndex"),
        ("ance_ir.indexes.x", "import ance_ir.pipelines"),
        ("ance_ir.indexes.store.x", "from ance_ir.training import TrainingQueries"),
        ("ance_ir.pipelines.x", "from ance_ir import eval"),
        ("ance_ir.eval.x", "from ance_ir.workflows import train_on_dataset"),
        ("ance_ir.workflows.x", "def f():\n    from ance_ir.paper import run_study"),
        ("ance_ir.eval.x", "from ance_ir.cli.main import main"),
        ("ance_ir.workflows.x", "from ance_ir.serve.server import Server"),
        ("ance_ir.paper.x", "from ance_ir.serve.server import Server"),
        ("ance_ir.serve.x", "from ance_ir.paper import run_study"),
        ("ance_ir.eval.x", "from pipelines import BM25Index"),
        ("ance_ir.eval.x", "from .y import z"),
        ("ance_ir.eval.x", "from ance_ir.novelty.x import z"),
    ],
)
def test_a_forbidden_import_is_noticed(module: str, source: str) -> None:
    assert len(violations(module, source, {**MODULES, "ance_ir.eval": ROOT / "eval" / "__init__.py"})) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("ance_ir.ranking", "from ance_ir.errors import AnceError\nimport ance_ir.files"),
        ("ance_ir.models.x", "from ance_ir import __version__"),
        ("ance_ir.training.x", "from ance_ir import DenseEncoder, load_dataset"),
        ("ance_ir.cli.x", "import ance_ir.eval, ance_ir.indexes, torch"),
    ],
)
def test_an_allowed_import_passes(module: str, source: str) -> None:
    assert violations(module, source, MODULES) == []


def test_circles_are_noticed() -> None:
    assert find_circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}, "e": {"e"}}) == [["a", "b", "c"], ["e"]]
    assert find_circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_every_import_counts() -> None:
    source = "import a\nif TYPE_CHECKING:\n    import b\nelse:\n    import c\ndef f():\n    import d\nclass C:\n    import e\n"
    assert {found.module for found in find_imports(source)} == set("abcde")


def test_a_name_of_a_package_is_an_import_of_the_package_unless_it_is_a_module() -> None:
    known = {"ance_ir.eval", "ance_ir.eval.runs"}
    assert target_of(Import(module="ance_ir.eval", name="runs", line=1), known) == "ance_ir.eval.runs"
    assert target_of(Import(module="ance_ir.eval", name="Run", line=1), known) == "ance_ir.eval"


def test_all_is_sorted_and_every_name_is_importable() -> None:
    for package in PACKAGES:
        module = importlib.import_module(package)
        names = getattr(module, "__all__", None)
        if names is None:
            assert find_imports(MODULES[package].read_text(encoding="utf-8")) == [], f"{package} imports names and has no __all__"
            continue
        assert list(names) == sorted(set(names)), package
        assert [name for name in names if not hasattr(module, name)] == [], f"names that {package} does not have"


def test_every_folder_with_modules_is_a_package() -> None:
    bare = {str(path.parent.relative_to(ROOT)) for path in MODULES.values() if not (path.parent / "__init__.py").exists()}
    assert bare == set()


def setup_arguments(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What setup.py hands to setuptools."""
    setuptools = pytest.importorskip("setuptools")
    seen: dict[str, Any] = {}
    monkeypatch.setattr(setuptools, "setup", seen.update)
    monkeypatch.chdir(ROOT)
    runpy.run_path("setup.py")
    return seen


def test_the_mapping_and_the_links_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = setup_arguments(monkeypatch)
    mapping = arguments["package_dir"]
    assert mapping == {"ance_ir": "ance_ir", **{f"ance_ir.{name}": name for name in OUTER}}
    for name in OUTER:
        link = ROOT / "ance_ir" / name
        assert link.is_symlink()
        assert os.readlink(link) == f"../{name}"
    assert arguments["packages"] == PACKAGES


def test_every_requirement_has_a_lower_bound_that_the_pinned_version_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = setup_arguments(monkeypatch)
    named = [Requirement(text) for group in (arguments["install_requires"], *arguments["extras_require"].values()) for text in group]
    assert [str(one) for one in named if [part.operator for part in one.specifier] != [">="]] == []
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if "==" in line)
    versions = {canonicalize_name(name): version.partition(";")[0].strip() for name, version in pinned.items()}
    assert [str(one) for one in named if not one.specifier.contains(versions.get(canonicalize_name(one.name), "9999"))] == []


def test_the_readme_names_every_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    extras = {*setup_arguments(monkeypatch)["extras_require"]} - {"dev", "test"}
    assert {name for name in extras if f"`{name}`" not in readme} == set()


def test_the_version_has_one_source(monkeypatch: pytest.MonkeyPatch) -> None:
    assert setup_arguments(monkeypatch)["version"] == ance_ir.__version__


def test_every_entry_point_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    for lines in setup_arguments(monkeypatch)["entry_points"].values():
        for line in lines:
            module, _, name = line.partition(" = ")[2].partition(":")
            assert hasattr(importlib.import_module(module), name), line
