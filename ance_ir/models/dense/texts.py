"""Texts to vectors by two towers: queries, passages, documents that are cut into passages."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence

import numpy as np

from ance_ir.errors import UsageError
from ance_ir.models.compute.inference import Progress
from ance_ir.models.dense.encoding import Blocks, encode, encode_windows, gather, pieces, tokenized
from ance_ir.models.dense.tower import Tower
from ance_ir.models.pretrained import Pretrained
from ance_ir.models.text.settings import PassageScheme, Text, TextSettings
from ance_ir.models.text.tokenizing import TextTokenizer
from ance_ir.models.text.tokens import Tokens


class TextEncoding(Pretrained[TextSettings]):
    """What encodes: a tower for queries, one for passages, which may be the same, and their tokeniser."""

    query_tower: Tower
    passage_tower: Tower
    tokenizer: TextTokenizer

    @property
    def dimension(self) -> int:
        """Dimensions of a vector."""
        return self.query_tower.dimension

    def encode_queries(self, texts: Sequence[str], progress: Progress | None = None) -> np.ndarray:
        """Vectors of queries, float32 ``[len(texts), D]``.

        Args:
            texts: the queries.
            progress: called with the number of texts of each batch that is done.

        Raises:
            UsageError: one string instead of a list of them.
        """
        _check_texts(texts)
        return encode(self.query_tower, texts, self.tokenizer.queries, self.tokenizer.pad_id, progress)

    def encode_passages(self, texts: Sequence[Text], progress: Progress | None = None) -> np.ndarray:
        """Vectors of passages, cut to ``passage_length`` tokens, float32 ``[len(texts), D]``.

        Args:
            texts: of the passages.
            progress: called with the number of texts of each batch that is done.

        Raises:
            UsageError: one string instead of a list of them.
        """
        _check_texts(texts)
        return encode(self.passage_tower, texts, self.tokenizer.passages, self.tokenizer.pad_id, progress)

    def encode_documents(
        self, texts: Sequence[Text], scheme: PassageScheme, progress: Progress | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Vectors of the passages of documents.

        Args:
            texts: of the documents.
            scheme: how they are cut.
            progress: called with the number of passages of each batch that is done.

        Returns:
            float32 vectors ``[passages, D]`` in the order of the documents, and int64 counts ``[len(texts)]`` of passages.
        """
        return gather(self.encode_stream(texts, scheme, progress), self.dimension)

    def encode_stream(self, texts: Iterable[Text], scheme: PassageScheme, progress: Progress | None = None) -> Blocks:
        """Vectors of the passages of documents, block by block; few documents are held at a time, however many there are.

        Args:
            texts: of the documents; read as they are needed.
            scheme: how they are cut.
            progress: called with the number of passages of each batch that is done.

        Returns:
            a generator of float32 vectors ``[passages, D]`` and int64 counts ``[documents]``, of documents that follow one another.
        """
        tokens = tokenized(pieces(texts), lambda piece: self.tokenizer.cut(piece, scheme), self.device)
        return self.encode_tokens(tokens, progress)

    def encode_tokens(self, texts: Generator[Tokens], progress: Progress | None = None) -> Blocks:
        """What ``encode_stream`` gives, of texts that this encoder's tokeniser has cut.

        Args:
            texts: in pieces, see ``tokenized``; closed in the end.
            progress: called with the number of passages of each batch that is done.
        """
        return encode_windows(self.passage_tower, texts, self.tokenizer.pad_id, progress)


def _check_texts(texts: Sequence[Text]) -> None:
    if isinstance(texts, str):
        raise UsageError(f"a list of texts was expected, not one text: [{texts[:40]!r}]")
