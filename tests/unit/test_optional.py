from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from ance_ir.errors import BrokenDependencyError, MissingDependencyError
from ance_ir.optional import optional


def wanted(module: str) -> object:
    return optional(module, package="the-package", needed_for="a use", remedy="the remedy")


def test_only_a_package_that_is_not_there_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "whole.py").write_text("value = 1\n", encoding="utf-8")
    broken = {
        "no_library": "raise ImportError('libtbb.so.12: cannot open shared object file')",
        "no_friend": "import a_friend_that_is_not_there",
        "no_part": "from no_part_at_all import x",
        "too_old": "raise RuntimeError('needs numpy 9')",
        "no_system": "raise OSError('libcuda.so.1: not found')",
    }
    for name, code in broken.items():
        (tmp_path / f"{name}.py").write_text(code + "\n", encoding="utf-8")
    importlib.invalidate_caches()
    assert wanted("whole") is importlib.import_module("whole")
    for missing in ("not_there_at_all", "not_there_at_all.part"):
        with pytest.raises(MissingDependencyError, match=r"a use needs the package the-package: the remedy"):
            wanted(missing)
    for name, reason in {
        "no_library": "libtbb.so.12",
        "no_friend": "a_friend_that_is_not_there",
        "no_part": "no_part_at_all",
        "too_old": "numpy 9",
        "no_system": "libcuda",
        "whole.part": "part",
    }.items():
        with pytest.raises(BrokenDependencyError, match=reason) as caught:
            wanted(name)
        assert "the-package" in str(caught.value) and "the remedy" not in str(caught.value)
