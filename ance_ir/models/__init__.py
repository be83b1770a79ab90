"""Dense encoders, cross-encoders and readers: their text settings, their checkpoints."""

from ance_ir.models.cross import CrossEncoder
from ance_ir.models.dense import DenseEncoder
from ance_ir.models.pairs import PairSettings
from ance_ir.models.rag import RagToken
from ance_ir.models.reader import Reader, Readings
from ance_ir.models.reader_text import ReaderSettings
from ance_ir.models.text import PassageScheme, TextSettings
from ance_ir.models.tower import Head, Tower
from ance_ir.models.transformers import Encoding, PassageEncoder, QueryEncoder

__all__ = [
    "CrossEncoder",
    "DenseEncoder",
    "Encoding",
    "Head",
    "PairSettings",
    "PassageEncoder",
    "PassageScheme",
    "QueryEncoder",
    "RagToken",
    "Reader",
    "ReaderSettings",
    "Readings",
    "TextSettings",
    "Tower",
]
