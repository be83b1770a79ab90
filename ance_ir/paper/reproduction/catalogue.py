"""What can be reproduced: a TOML file for each checkpoint, in ``ance_ir/paper/reproductions`` or of one's own.

::

    describes = "…"                              # a line, for the list
    source = "…"                                 # where the addresses and the way to evaluate are stated
    model = "castorini/ance-msmarco-passage"     # a hub name, or a file's address; left out for BM25
    model_bytes = 500_000_000                    # to download, roughly

    [vectors]                                    # of the documents, in an archive; left out where they are encoded
    url = "https://…tar.gz"
    md5 = "…"
    bytes = 25_102_344_926
    rows = 8_841_823
    dimension = 768
    passages = "maxp"                            # where the ids are of passages, docno#0, …: a scheme under which they are found

    [corpus]                                     # left out where no text of a document is read; fetched for figures that read some
    documents = 8_841_823
    tokens = 75                                  # of a document, the mean
    download = 1_100_000_000                     # bytes
    disk = 2_900_000_000                         # bytes, unpacked

    [[figures]]
    name = "dev"
    dataset = "msmarco-passage/dev/small"
    queries = 6980
    system = "{index}[prf=average:3]"            # as ance-ir eval takes it; {index} is that of the vectors, {model} the checkpoint
    bm25 = "candidates"                          # a system that is run as well, for the overlap with it; left out elsewhere
    published = [{ publication = "pyserini", system = "ANCE FirstP", tolerance = 0.0005 }]
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ance_ir.choices import check_choice
from ance_ir.errors import UsageError
from ance_ir.eval.measures import parse_measures, required_evidence
from ance_ir.eval.published import PublishedFigure, published_figures
from ance_ir.files import as_path
from ance_ir.registries import REPRODUCTIONS
from ance_ir.typed_json import read_typed_toml

BESIDE = "run='bm25'"
"""In the name of a measure that compares with the run of BM25."""

_ENDING = ".toml"

_WITHOUT_TEXTS = re.compile(r"(candidates( % \d+)? >> )?\{index\}(\[[^]]*\])?")
"""A system of vectors alone."""


@dataclass(frozen=True, kw_only=True)
class Vectors:
    """Vectors of the documents in an archive, a Faiss folder of Pyserini's in it.

    Attributes:
        url: its address.
        md5: its checksum.
        bytes: its size.
        rows: vectors in it.
        dimension: of each.
        passages: the scheme under which the index groups the passages of a document; ``None`` where the ids are documents.
    """

    url: str
    md5: str
    bytes: int
    rows: int
    dimension: int
    passages: str | None = None

    @property
    def unpacked(self) -> int:
        """Bytes of the vectors with their ids, unpacked or as an index."""
        return self.rows * (4 * self.dimension + 20)


@dataclass(frozen=True, kw_only=True)
class Texts:
    """The documents' texts.

    Attributes:
        documents: how many.
        tokens: of a document, the mean.
        download: bytes to fetch.
        disk: bytes unpacked.
    """

    documents: int
    tokens: int
    download: int
    disk: int


@dataclass(frozen=True, kw_only=True)
class Expected:
    """A figure to compare with.

    Attributes:
        publication: the name of a file of ``ance_ir/eval/published``.
        system: there.
        tolerance: how much ours may differ. Four decimals that were computed from the same vectors agree to .0005; of three decimals, half
            a unit is rounding alone.
    """

    publication: str
    system: str
    tolerance: float = 0.0005


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One evaluation.

    Attributes:
        name: within its reproduction.
        dataset: the queries, of the split ``test``.
        queries: how many there are.
        system: as ``ance-ir eval`` takes it; ``{index}`` is the index of the vectors, ``{model}`` the checkpoint.
        published: what is compared with.
        bm25: likewise, another system, called ``bm25``; then the overlap with it is compared, otherwise all else that is published.
    """

    name: str
    dataset: str
    queries: int
    system: str
    published: tuple[Expected, ...]
    bm25: str = ""

    def expected(self) -> list[tuple[Expected, PublishedFigure]]:
        """What is compared with, and those of its values that are.

        Raises:
            UsageError: there is no such figure, or none of these values.
        """
        found = []
        for one in self.published:
            known = [figure for figure in published_figures() if figure.publication == one.publication and figure.is_on(self.dataset)]
            named = {figure.system: figure for figure in known}
            figure = named[check_choice(f"system of {one.publication} on {self.dataset}", one.system, named)]
            values = {measure: value for measure, value in figure.values.items() if (BESIDE in measure) == bool(self.bm25)}
            if not values:
                what = "overlap with BM25" if self.bm25 else "figure but the overlap with BM25"
                raise UsageError(f"{one.publication} gives no {what} of {one.system} on {self.dataset}")
            found.append((one, replace(figure, values=values)))
        return found

    @property
    def reads_texts(self) -> bool:
        """Whether it takes the documents' texts: for BM25, to encode or rerank them, or to look for answers in them."""
        answers = "answers" in required_evidence(parse_measures(self.measures))
        return answers or not (_WITHOUT_TEXTS.fullmatch(self.system) and self.bm25 in ("", "candidates"))

    @property
    def measures(self) -> list[str]:
        """All that are published."""
        return list(dict.fromkeys(measure for _, figure in self.expected() for measure in figure.values))


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """A checkpoint, or BM25, and the figures that are published for it.

    Attributes:
        describes: a line.
        source: where the addresses are from.
        figures: what is evaluated.
        name: of its file.
        model: the checkpoint's name on the hub, or the address of a file; empty for BM25.
        model_bytes: of the checkpoint.
        vectors: of the documents; ``None`` where they are encoded.
        corpus: the documents' texts; ``None`` where none is read.
    """

    describes: str
    source: str
    figures: tuple[Figure, ...]
    name: str = ""
    model: str = ""
    model_bytes: int = 0
    vectors: Vectors | None = None
    corpus: Texts | None = None

    @property
    def by_hand(self) -> bool:
        """Whether the checkpoint is a file on the web of which no checksum is published."""
        return self.model.startswith("https://")

    @property
    def download(self) -> int:
        """Bytes to fetch, queries left out."""
        return self.model_bytes + (self.vectors.bytes if self.vectors else 0) + (self.corpus.download if self.corpus else 0)


def find_reproductions(names: Sequence[str]) -> list[Reproduction]:
    """Reproductions, each with the figures that are asked for.

    Args:
        names: ``NAME`` for all figures of a reproduction, ``NAME/FIGURE`` for one; or the path of a file in ``.toml``. None: all.

    Raises:
        UsageError: there is none of a name, or a file holds something else.
    """
    chosen: dict[str, Reproduction] = {}
    for name in names or list(REPRODUCTIONS):
        whole, one = _find(name)
        before = chosen.get(whole.name)
        kept = [figure for figure in whole.figures if one in ("", figure.name) or (before is not None and figure in before.figures)]
        corpus = whole.corpus if any(figure.reads_texts for figure in kept) else None
        chosen[whole.name] = replace(whole, figures=tuple(kept), corpus=corpus)
    return list(chosen.values())


def _find(name: str) -> tuple[Reproduction, str]:
    """The reproduction of a name, and the name of one of its figures, or an empty one."""
    if name.endswith(_ENDING):
        return read_reproduction(as_path(name)), ""
    first, _, figure = name.partition("/")
    found = read_reproduction(REPRODUCTIONS.find(first))
    if figure:
        check_choice(f"figure of {first}", figure, [one.name for one in found.figures])
    return found, figure


def read_reproduction(path: Path) -> Reproduction:
    """The reproduction in a file.

    Raises:
        UsageError: there is no such file, or it holds something else.
    """
    try:
        content: Any = read_typed_toml(path, Reproduction, error=UsageError)
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file") from None
    try:
        figures = [
            Figure(**{**figure, "published": tuple(Expected(**one) for one in figure["published"])}) for figure in content["figures"]
        ]
        vectors = Vectors(**content["vectors"]) if "vectors" in content else None
        corpus = Texts(**content["corpus"]) if "corpus" in content else None
        return Reproduction(**{**content, "name": path.stem, "figures": tuple(figures), "vectors": vectors, "corpus": corpus})
    except TypeError as error:  # a key that there is none of
        raise UsageError(f"{path}: {error}") from error
