"""The pages for PyTerrier's documentation, put together as ``docs/extras/generate_extensions.py`` and ``docs/conf.py`` of PyTerrier do."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import importlib.resources
import re
import shutil
import textwrap
from io import StringIO
from pathlib import Path

import pytest

PAGES = Path(str(importlib.resources.files("ance_ir"))) / "pt_docs"
CONF = """
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon"]
autodoc_typehints, autoclass_content, autodoc_inherit_docstrings = "description", "both", False
"""


@pytest.mark.slow
def test_sphinx_makes_pages_of_them_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("sphinx", reason="needs the extra docs")
    from sphinx.application import Sphinx

    assert importlib.metadata.metadata("ance_ir")["name"] == "ance_ir", "the folder of the pages there"
    source, out = tmp_path / "source", tmp_path / "out"
    shutil.copytree(PAGES, source / "ext" / "ance_ir")
    (source / "conf.py").write_text(CONF, encoding="utf-8")
    (source / "index.rst").write_text("All\n===\n\n.. toctree::\n\n   ANCE <ext/ance_ir/index>\n", encoding="utf-8")
    warnings = StringIO()
    Sphinx(source, source, out, tmp_path / "trees", "html", status=None, warning=warnings).build()
    assert warnings.getvalue() == ""
    pages = {page.stem: page.read_text(encoding="utf-8") for page in (out / "ext" / "ance_ir").glob("*.html")}
    assert 'href="api.html#ance_ir.indexes.MaxP"' in pages["how-to"]
    for name in re.findall(r"^\.\. autoclass:: (.+)$", (PAGES / "api.rst").read_text(encoding="utf-8"), re.MULTILINE):
        assert f'id="{name}"' in pages["api"]


def test_what_their_python_imports_is_there() -> None:
    imported = 0
    for page in PAGES.glob("*.rst"):
        text = re.sub(r"^    :caption:.*\n", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for block in re.findall(r"^\.\. code-block:: python\n+((?:    .*\n|\n)+)", text, re.MULTILINE):
            for node in ast.walk(ast.parse(textwrap.dedent(block))):
                if isinstance(node, ast.ImportFrom) and node.module:
                    module = importlib.import_module(node.module)
                    assert all(hasattr(module, alias.name) for alias in node.names), page
                    imported += len(node.names)
    assert imported > 5
