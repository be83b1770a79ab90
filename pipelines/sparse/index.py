"""An index of learned sparse vectors, with quantised weights: a folder, complete or absent.

::

    x.splade/manifest.json    the model and its fingerprint, documents, terms, bits, largest weight
    x.splade/pt_meta.json     type and format, for PyTerrier
    x.splade/pisa/            PISA's files; a ``PisaIndex`` of its own, whose terms are numbers of the vocabulary
    x.splade/docnos/          number to docno: PISA knows documents by number only
    x.splade/tie_order.npy    int64 [documents]; of two documents with equal scores the one with the smaller number comes first
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import pyterrier as pt

from ance_ir.arrays import map_array, save_array
from ance_ir.datasets import DocnoMap
from ance_ir.digests import digest_of
from ance_ir.errors import DamagedIndexError, FingerprintError, IndexingError, ModelError, UsageError
from ance_ir.files import as_path, atomic_folder, restore, write_json
from ance_ir.indexes.info import IndexInfo, size_on_disk
from ance_ir.indexes.store.tie_order import tie_order
from ance_ir.locks import alone
from ance_ir.models import SparseEncoder
from ance_ir.pipelines.bm25.documents import clean, feed
from ance_ir.pipelines.sparse.impacts import Quantisation
from ance_ir.pipelines.sparse.parts import EncodedParts
from ance_ir.pipelines.sparse.pisa import Searcher, require_pisa, write_files
from ance_ir.pipelines.sparse.retriever import SparseRetriever
from ance_ir.progress import Progress, Told
from ance_ir.settings import as_integer
from ance_ir.transformers import labelled
from ance_ir.typed_json import read_typed

FORMAT = 1
BITS = 8

_REMEDY = "build the index again"


class _Manifest(TypedDict):
    format: int
    model: str
    fingerprint: str
    content: str
    documents: int
    dimension: int
    postings: int
    bits: int
    largest: float


def checked_bits(bits: Any) -> int:
    """A number of bits that weights can have.

    Raises:
        UsageError: it is none; the end of a sentence that begins with its name.
    """
    return as_integer(bits, 1, BITS)


class SparseIndex(pt.Artifact, pt.Indexer):
    """An index of sparse vectors on disk: an indexer, then a factory of retrievers.

    Args:
        path: its folder.
        model: the encoder, of documents when it is built, of queries afterwards; by default the one that the index was built with is opened
            by its name when it is first needed.
        bits: of a document's weights, 1 to 8, when it is built.
        threads: for searching.
        overwrite: whether ``index`` may replace an existing index.
        device: where a model computes that the index opens.

    Raises:
        UsageError: another number of bits, or of threads.
        MissingDependencyError: PISA is not installed; it exists for Linux on x86-64.
    """

    ARTIFACT_TYPE = "sparse_index"
    ARTIFACT_FORMAT = "ance_ir"
    ARTIFACT_PACKAGE_HINT = "ance_ir"
    schematic = labelled("Sparse index")

    def __init__(
        self,
        path: Path | str,
        model: SparseEncoder | None = None,
        *,
        bits: int = BITS,
        threads: int = 1,
        overwrite: bool = False,
        device: str | None = None,
    ) -> None:
        require_pisa()
        try:
            self.bits = checked_bits(bits)
        except UsageError as error:
            raise UsageError(f"bits {error}") from None
        super().__init__(as_path(path))
        self.folder = as_path(path)
        self.model = model
        self.threads = as_integer(threads, 1)
        self.overwrite = overwrite
        self.device = device

    def index_inputs(self) -> list[list[str]]:
        """The columns that ``index`` needs; a ``title`` is read too where there is one."""
        return [["docno", "text"]]

    def index(self, iter: Iterable[dict[str, Any]]) -> SparseIndex:  # type: ignore[override]  # no keyword is swallowed
        """Build the index from a stream of ``docno``, ``text`` and perhaps ``title``; see ``build``."""
        return self.build(iter)

    def build(self, documents: Iterable[dict[str, Any]], *, count: int = 0, verbose: bool = False, told: Told | None = None) -> SparseIndex:
        """Build the index; whole or not at all. After an interruption, the same model and documents go on where it was.

        Args:
            documents: a stream of ``docno``, ``text`` and perhaps ``title``, which stands before the text.
            count: number of documents, only for the progress.
            verbose: show progress.
            told: is told the progress.

        Raises:
            UsageError: there is no model to encode with, or something else at the path.
            IndexingError: there is an index at the path, a document is not as expected, or none has a term.
            DatasetError: a docno comes twice.
        """
        if self.model is None:
            raise UsageError("a sparse index is built with a model: SparseIndex(path, SparseEncoder.from_pretrained(…))")
        workspace = self.folder.with_name(f"{self.folder.name}.building")
        with alone(workspace, "building a sparse index"):
            if self.built() and not self.overwrite:
                raise IndexingError(f"{self.folder} holds an index already; choose another path, or overwrite=True")
            with Progress(count, "encoding", "documents", shown=verbose, told=told) as progress:
                parts = EncodedParts(workspace, self.model, progress)
                with atomic_folder(self.folder, "manifest.json") as folder:
                    self._write(folder, documents, parts, self.model)
            parts.remove()
        self.__dict__ = self.__getstate__()
        return self

    def _write(self, folder: Path, documents: Iterable[dict[str, Any]], parts: EncodedParts, model: SparseEncoder) -> None:
        content = hashlib.blake2b(digest_size=16)

        def add(docno: str, text: str) -> None:
            content.update(f"{docno}\n{text}\n".encode(errors="replace"))
            parts.add(clean(text).strip())

        for name in ("docnos", "pisa"):
            (folder / name).mkdir()
        docnos = DocnoMap.write(feed(documents, add), folder / "docnos")
        parts.finish_part()
        if not parts.largest:
            raise IndexingError("there is no document with a weight above 0, so there is nothing to index")
        quantisation = Quantisation(bits=self.bits, largest=parts.largest)
        postings = write_files(folder / "pisa", lambda: map(quantisation.of_documents, parts), len(docnos), model.dimension)
        save_array(folder / "tie_order.npy", tie_order(docnos))
        write_json(folder / "pt_meta.json", self._build_metadata())
        manifest: _Manifest = {
            "format": FORMAT,
            "model": model.name,
            "fingerprint": model.fingerprint(),
            "content": content.hexdigest(),
            "documents": len(docnos),
            "dimension": model.dimension,
            "postings": postings,
            "bits": self.bits,
            "largest": parts.largest,
        }
        write_json(folder / "manifest.json", manifest)

    def built(self) -> bool:
        """Whether a complete index is there."""
        restore(self.folder)
        return (self.folder / "manifest.json").exists()

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The index's manifest.

        Raises:
            IndexingError: there is no index.
            DamagedIndexError: it is incomplete or altered.
        """
        if not self.built():
            raise IndexingError(f"{self.folder}: there is no complete sparse index; SparseIndex(path, model).index(documents) builds one")
        manifest: dict[str, Any] = read_typed(self.folder / "manifest.json", _Manifest, error=DamagedIndexError, remedy=_REMEDY)
        if manifest["format"] != FORMAT:
            raise DamagedIndexError(f"{self.folder}: format {manifest['format']!r} is not {FORMAT}; {_REMEDY}")
        return manifest

    @property
    def fingerprint(self) -> str:
        """Hash (128 bits, hexadecimal) of documents, model and bits."""
        return digest_of([self.manifest[name] for name in ("content", "fingerprint", "bits")])

    @cached_property
    def encoder(self) -> SparseEncoder:
        """The model that encodes queries.

        Raises:
            FingerprintError: it is not the one that encoded the documents.
            ModelError: it is not where it was.
        """
        made, model = self.manifest, self.model
        if model is None:
            try:
                model = SparseEncoder.from_pretrained(made["model"], device=self.device)
            except ModelError as error:
                raise ModelError(f"{self.folder} was built with {made['model']}; give it as the index's model: {error}") from error
        if model.fingerprint() != made["fingerprint"]:
            raise FingerprintError(
                f"{self.folder} was built with another model, {made['model']} ({made['fingerprint']}), than {model.name} "
                f"({model.fingerprint()}): search it with that one, or build it again"
            )
        return model

    @cached_property
    def docnos(self) -> DocnoMap:
        """Document numbers to docnos."""
        return DocnoMap(self.folder / "docnos")

    @cached_property
    def tie_order(self) -> np.ndarray:
        """Each document's place among those with its score, int64 ``[documents]``."""
        return map_array(self.folder / "tie_order.npy", "int64", (len(self),), error=DamagedIndexError, remedy=_REMEDY)

    @property
    def quantisation(self) -> Quantisation:
        """How the documents' weights became whole numbers."""
        return Quantisation(bits=self.manifest["bits"], largest=self.manifest["largest"])

    @cached_property
    def searcher(self) -> Searcher:
        """The index as PISA opened it."""
        return Searcher(self.folder / "pisa", self.threads)

    def __len__(self) -> int:
        return int(self.manifest["documents"])

    def retriever(self, num_results: int = 1000, *, verbose: bool = False) -> SparseRetriever:
        """A PyTerrier retriever: queries to the index's best documents; see ``SparseRetriever``."""
        return SparseRetriever(self, num_results, verbose=verbose)

    def info(self) -> IndexInfo:
        """What the index holds and by which model it was made; by name, shown as a table."""
        made = self.manifest
        return IndexInfo(
            self.folder,
            {
                "documents": f"{made['documents']:,}",
                "terms": f"{made['dimension']:,} in the vocabulary, {made['postings']:,} weights",
                "weights": f"{made['bits']} bits, the largest is {made['largest']:.4g}",
                "size on disk": size_on_disk(self.folder),
                "model": made["model"],
                "fingerprint": made["fingerprint"],
            },
        )

    def __repr__(self) -> str:
        return f"SparseIndex({str(self.folder)!r})"

    def __getstate__(self) -> dict[str, Any]:
        opened = ("manifest", "docnos", "tie_order", "searcher", "encoder")
        return {name: value for name, value in self.__dict__.items() if name not in opened}
