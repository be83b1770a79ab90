"""Dense encoders, rerankers and readers: their settings and checkpoints; ``open`` opens any of them. Sparse and multi-vector encoders."""

from ance_ir.models.compute.precision import Precision
from ance_ir.models.cross.model import CrossEncoder
from ance_ir.models.cross.pairs import PairSettings
from ance_ir.models.dense.model import DenseEncoder
from ance_ir.models.dense.tower import Head, Tower
from ance_ir.models.dense.transformers import Encoding, PassageEncoder, QueryEncoder
from ance_ir.models.library.multi_vector import MultiVectorEncoder
from ance_ir.models.library.sparse import SparseEncoder
from ance_ir.models.opening import find_family, open
from ance_ir.models.pretrained import Pretrained
from ance_ir.models.reader.model import Reader, Readings
from ance_ir.models.reader.rag import RagSettings, RagToken
from ance_ir.models.reader.text import ReaderSettings
from ance_ir.models.text.settings import PassageScheme, TextSettings

__all__ = [
    "CrossEncoder",
    "DenseEncoder",
    "Encoding",
    "Head",
    "MultiVectorEncoder",
    "PairSettings",
    "PassageEncoder",
    "PassageScheme",
    "Precision",
    "Pretrained",
    "QueryEncoder",
    "RagSettings",
    "RagToken",
    "Reader",
    "ReaderSettings",
    "Readings",
    "SparseEncoder",
    "TextSettings",
    "Tower",
    "find_family",
    "open",
]
