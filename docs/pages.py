"""The pages of the site, each where it lies in the repository, so that links lead to the same pages as on GitHub.

MkDocs calls ``on_files``. It looks for pages in one folder alone; here they come from the top, from ``docs/`` and from ``notebooks/``, and
those of the API are made from docstrings.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
TOP = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE")
PACKAGES = ("datasets", "models", "training", "indexes", "pipelines", "eval")
"""Those whose ``__all__`` says what is public."""

SERVING = ("app.create_app", "server.Server", "systems.open_systems")


class Notebook(File):
    """A notebook as a page."""

    def is_documentation_page(self) -> bool:
        """Whether it is a page, though its name does not end as those of others."""
        return True


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The files of the site instead of those that MkDocs found below ``docs/``."""
    sources = [*TOP, *(f"docs/{file.src_uri}" for file in files if not file.src_uri.endswith(".py") and file.src_dir == config.docs_dir)]
    pages = [File(source, str(ROOT), config.site_dir, config.use_directory_urls) for source in sources]
    pages += [file for file in files if file.src_dir != config.docs_dir]
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        pages.append(Notebook.generated(config, f"notebooks/{path.name}", content=notebook_page(path)))
    pages += [File.generated(config, f"api/{name}.md", content=content) for name, content in api_pages()]
    return Files(pages)


def api_pages() -> Iterator[tuple[str, str]]:
    """A page for each public package: its name and its Markdown, for mkdocstrings to fill."""
    for name in ("ance_ir", *(f"ance_ir.{package}" for package in PACKAGES)):
        yield name, f"# {name}\n\n::: {name}\n"
    parts = "".join(
        f"\n::: ance_ir.serve.{part}\n    options: {{show_root_heading: true, show_root_toc_entry: true}}\n" for part in SERVING
    )
    yield "ance_ir.serve", f"# ance_ir.serve\n\n::: ance_ir.serve\n{parts}"


def notebook_page(path: Path) -> str:
    """A notebook as Markdown: its cells, and what they printed and drew."""
    parts = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else _fenced(source, "python"))
        for output in cell.get("outputs", ()):
            data = output.get("data", {"text/plain": output.get("text", "")})
            if "image/png" in data:
                parts.append(f"![What the cell above draws](data:image/png;base64,{''.join(data['image/png']).strip()})")
            else:
                parts.append(_fenced("".join(data["text/plain"]), "text"))
    return "\n\n".join(parts) + "\n"


def _fenced(text: str, language: str) -> str:
    return f"````{language}\n{text.rstrip()}\n````"
