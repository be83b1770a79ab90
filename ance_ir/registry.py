"""Registries: things of one kind by name, a module or a data file each, so one is added as one file. ``ance_ir.registries`` lists them."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

from ance_ir.choices import check_choice

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """The entries of a package, one in each module, by the names of the modules, in their order.

    A module is imported when its entry is asked for, not before: names and summaries, which help texts and messages need, come from
    the files alone. A name with a hyphen is a module with an underscore (``pairwise-nll`` is ``pairwise_nll.py``); modules whose
    names begin with an underscore are not entries.

    Args:
        kind: what an entry is, for messages: ``"loss"``.
        package: the package's dotted name.
        attribute: the name under which each module has its entry: ``"loss"``.
    """

    def __init__(self, kind: str, package: str, attribute: str) -> None:
        self.kind = kind
        self.package = package
        self.attribute = attribute

    @cached_property
    def folder(self) -> Path:
        """The folder of the package; to find it imports only the outermost package."""
        return _folder(self.package)

    @cached_property
    def _modules(self) -> dict[str, str]:
        names = sorted(module.name for module in pkgutil.iter_modules([str(self.folder)]) if not module.name.startswith("_"))
        return {name.replace("_", "-"): name for name in names}

    def check(self, name: Any) -> str:
        """The name of an entry.

        Raises:
            UsageError: there is none of this name.
        """
        return check_choice(self.kind, name, self._modules)

    def __getitem__(self, name: str) -> T:
        """An entry.

        Raises:
            KeyError: there is none of this name; ``find`` says so in a user's terms.
        """
        entry: T = getattr(importlib.import_module(f"{self.package}.{self._modules[name]}"), self.attribute)
        return entry

    def find(self, name: Any) -> T:
        """An entry that a user asked for.

        Raises:
            UsageError: there is none of this name.
        """
        return self[self.check(name)]

    def summary(self, name: str) -> str:
        """The first line of the module's docstring, without its period; the module is not imported."""
        docstring = ast.get_docstring(self._source(name)) or ""
        return docstring.partition("\n")[0].removesuffix(".")

    def gives(self, name: str, part: str) -> bool:
        """Whether an entry that is made in its module, ``LAYOUT = Layout(…)``, is given a part by name there; it is not imported."""
        assigned = (one for one in self._source(name).body if isinstance(one, ast.Assign) and isinstance(one.value, ast.Call))
        made = (one.value for one in assigned if any(isinstance(to, ast.Name) and to.id == self.attribute for to in one.targets))
        return any(keyword.arg == part for call in made if isinstance(call, ast.Call) for keyword in call.keywords)

    def _source(self, name: str) -> ast.Module:
        return ast.parse((self.folder / f"{self._modules[name]}.py").read_text(encoding="utf-8"))

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)

    def __contains__(self, name: object) -> bool:
        return name in self._modules

    def __repr__(self) -> str:
        return f"Registry({self.kind}: {', '.join(self)})"


_READERS: Mapping[str, Callable[[str], Any]] = {".json": json.loads, ".toml": tomllib.loads}


class DataFiles(Mapping[str, Path]):
    """The TOML and JSON files of a package, by their names without the ending; each says under ``describes``, in a line, what it holds.

    Args:
        kind: what a file is, for messages: ``"benchmark"``.
        package: the package's dotted name.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self.package = package

    @cached_property
    def _files(self) -> dict[str, Path]:
        return {path.stem: path for path in sorted(_folder(self.package).iterdir(), key=lambda path: path.stem) if path.suffix in _READERS}

    def __getitem__(self, name: str) -> Path:
        return self._files[name]

    def find(self, name: Any) -> Path:
        """The file that a user asked for.

        Raises:
            UsageError: there is none of this name.
        """
        return self[check_choice(self.kind, name, self._files)]

    def summary(self, name: str) -> str:
        """What a file holds, in a line."""
        path = self[name]
        return str(_READERS[path.suffix](path.read_text(encoding="utf-8"))["describes"])

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def __repr__(self) -> str:
        return f"DataFiles({self.kind}: {', '.join(self)})"


def _folder(package: str) -> Path:
    """The folder of a package; to find it imports only the outermost one."""
    outermost, *inner = package.split(".")
    return Path(*importlib.import_module(outermost).__path__, *inner)
