"""The functions and classes in a Python file: their sources without docstrings, and their docstrings."""

from __future__ import annotations

import ast
import logging
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

logger = logging.getLogger(__name__)

DefinitionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A function or class with a docstring.

    Attributes:
        name: module and qualified name, ``json.decoder.JSONDecoder.decode``.
        source: its source from the first decorator on, dedented, without the docstrings of it and of all inside it; valid Python.
        docstring: its docstring, dedented.
        body_words: white-space separated words of ``source`` below the signature.
    """

    name: str
    source: str
    docstring: str
    body_words: int


def definitions(path: Path, module: str) -> Iterator[Definition]:
    """The definitions with docstrings in a Python file, outer before inner, top to bottom; none if the file does not parse."""
    try:
        with tokenize.open(path) as stream:
            source = stream.read()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        logger.debug("%s left out: %s", path, error)
        return
    # str.splitlines would also split at form feeds, which ast does not count as line ends.
    lines = _without_docstrings(source.split("\n"), tree)
    for name, node in _walk(tree, module):
        docstring = ast.get_docstring(node)
        if docstring:
            start = min((decorator.lineno for decorator in node.decorator_list), default=node.lineno)
            text = _dedented(lines[start - 1 : node.end_lineno], node.col_offset)
            body = [line for line in lines[node.body[0].lineno - 1 : node.end_lineno] if line is not None]
            yield Definition(name=name, source=text, docstring=docstring, body_words=sum(len(line.split()) for line in body))


def _walk(node: ast.AST, prefix: str) -> Iterator[tuple[str, DefinitionNode]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, DefinitionNode):
            name = f"{prefix}.{child.name}"
            yield name, child
            yield from _walk(child, name)
        else:
            yield from _walk(child, prefix)


def _without_docstrings(lines: list[str], tree: ast.Module) -> list[str | None]:
    """The lines with every docstring of a definition removed; ``None`` for lines that vanish, so line numbers stay."""
    kept: list[str | None] = list(lines)
    for _, node in _walk(tree, ""):
        if ast.get_docstring(node, clean=False) is None:
            continue
        statement = node.body[0]
        assert statement.end_lineno is not None and statement.end_col_offset is not None
        # Columns of ast count UTF-8 bytes.
        before = lines[statement.lineno - 1].encode()[: statement.col_offset].decode()
        after = lines[statement.end_lineno - 1].encode()[statement.end_col_offset :].decode()
        only_statement = "pass" if len(node.body) == 1 else ""
        line = before + only_statement + after.lstrip("; \t")
        kept[statement.lineno - 1 : statement.end_lineno] = [None] * (statement.end_lineno - statement.lineno + 1)
        kept[statement.lineno - 1] = line.rstrip() if line.strip() else None
    return kept


def _dedented(lines: list[str | None], indent: int) -> str:
    """Lines joined without the first ``indent`` columns of white space; lines with less of it (inside strings) stay as they are."""
    return "\n".join(line[indent:] if not line[:indent].strip() else line for line in lines if line is not None)
