"""Dense encoders: their text settings, their towers, their checkpoints."""

from ance_ir.models.dense import DenseEncoder
from ance_ir.models.text import PassageScheme, TextSettings
from ance_ir.models.tower import Head, Tower
from ance_ir.models.transformers import Encoding, PassageEncoder, QueryEncoder

__all__ = ["DenseEncoder", "Encoding", "Head", "PassageEncoder", "PassageScheme", "QueryEncoder", "TextSettings", "Tower"]
