"""Formats of other tools: importing their vectors into an index, and exporting an index's vectors."""

from ance_ir.indexes.formats.embedding_pkl import read_query_vectors, write_query_vectors
from ance_ir.indexes.formats.files import FORMATS, find_format, read_vectors, write_vectors
from ance_ir.indexes.formats.format import Format
from ance_ir.indexes.formats.transfer import export_index, import_index

__all__ = [
    "FORMATS",
    "Format",
    "export_index",
    "find_format",
    "import_index",
    "read_query_vectors",
    "read_vectors",
    "write_query_vectors",
    "write_vectors",
]
