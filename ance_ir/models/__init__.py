"""Dense encoders, cross-encoders and readers: their text settings, their checkpoints."""

from ance_ir.models.cross.model import CrossEncoder
from ance_ir.models.cross.pairs import PairSettings
from ance_ir.models.dense.model import DenseEncoder
from ance_ir.models.dense.tower import Head, Tower
from ance_ir.models.dense.transformers import Encoding, PassageEncoder, QueryEncoder
from ance_ir.models.reader.model import Reader, Readings
from ance_ir.models.reader.rag import RagToken
from ance_ir.models.reader.text import ReaderSettings
from ance_ir.models.text.settings import PassageScheme, TextSettings

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
