"""What the cards of dense encoders have in common."""

from __future__ import annotations

from ance_ir.models.card import Card

_EXAMPLE = """
from ance_ir import DenseEncoder

model = DenseEncoder.from_pretrained("this/folder")
query_vectors = model.encode_queries(["what is dense retrieval"])
passage_vectors = model.encode_passages(["Dense retrieval matches queries and passages by their vectors."])
"""
_ELSEWHERE = """
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("this/folder")
query_vectors = model.encode_query(["what is dense retrieval"])
passage_vectors = model.encode_document(["Dense retrieval matches queries and passages by their vectors."])
"""

CARD = Card(
    library="sentence-transformers",
    task="sentence-similarity",
    tags=("ance_ir", "dense-retrieval"),
    title="A dense retriever",
    example=_EXAMPLE,
    elsewhere=_ELSEWHERE,
)
