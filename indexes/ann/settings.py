"""What the name of a backend means: which Faiss index is built, and how it is searched.

A backend is a family and options, with commas between them::

    BACKEND = exact | tuned | FAMILY[,NAME=VALUE]…
    FAMILY  = PART[+PART]… | faiss:FACTORY

The parts, in any order, at most one of each kind:

=========== =========================== ===================================================================================
kind        part                        is
=========== =========================== ===================================================================================
dimensions  ``pcaD``                    the D main directions of the vectors (principal components)
            ``matryoshkaD``             the first D dimensions, for models that were trained so,
                                        normalised anew where the vectors have length 1
structure   ``ivf[LISTS]``              an inverted file: the lists nearest to the query are searched
            ``hnsw[LINKS]``             a graph of neighbours
storage     ``flat``                    float32 (where nothing else is said; ``faiss`` means the same)
            ``fp16``, ``sq8``           2 bytes or 1 byte a dimension
            ``pq[BYTES]``               product quantisation: so many bytes a vector
            ``opq[BYTES]``              the same after a rotation that is learned; also written ``opq+pq``
=========== =========================== ===================================================================================

Numbers that are left out are chosen for the corpus (``families.py``). FACTORY is a string of Faiss's ``index_factory``, commas and all;
similarity is the inner product always. ``exact`` is this package's exact search, ``tuned`` what ``ance-ir index tune`` chose.

=================== =========================== =========================================== ==========================================
option              for                         is                                          default
=================== =========================== =========================================== ==========================================
``nprobe``          ``ivf``                     lists that are searched                     a 16th of them, at least 32
``efSearch``        ``hnsw``                    candidates that are held while searching    128
``efConstruction``  ``hnsw``                    the same while building                     100
``rescore``         all                         so many of the first are scored anew with   max(100, 2k) where the storage or the
                                                the vectors themselves; 0: none             dimensions lose something, otherwise none
=================== =========================== =========================================== ==========================================

Examples: ``ivf``; ``hnsw,efSearch=64``; ``opq48+ivf1024,nprobe=64,rescore=500``; ``matryoshka64+flat``; ``faiss:IVF256,SQ6,nprobe=16``.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypedDict

from ance_ir.errors import DamagedIndexError, IndexingError, UsageError
from ance_ir.typed_json import read_typed

TUNED = "search.json"
"""Where the tuner leaves the backend that it chose, in the index's folder."""


class _Tuned(TypedDict):
    backend: str


_LEAST_LINKS, _MOST_LINKS = 2, 1024
EF_SEARCH = 128
EF_CONSTRUCTION = 100

_FAISS = "faiss:"
_KINDS = {
    "pca": "dimensions",
    "matryoshka": "dimensions",
    "opq": "rotation",
    "ivf": "structure",
    "hnsw": "structure",
    "flat": "storage",
    "fp16": "storage",
    "sq8": "storage",
    "pq": "storage",
}
_ORDER = {name: place for place, name in enumerate(_KINDS)}
_OPTIONS = {"nprobe": "nprobe", "efSearch": "ef_search", "efConstruction": "ef_construction", "rescore": "rescore"}
_UNDERSTOOD = (
    "a backend is exact, tuned, or a family: flat, fp16, sq8, pq[BYTES], opq[BYTES], ivf[LISTS], hnsw[LINKS], pcaD, matryoshkaD, "
    "joined by + (ivf+sq8), or faiss:FACTORY; after it ,nprobe=N ,efSearch=N ,efConstruction=N ,rescore=N"
)


@dataclass(frozen=True, kw_only=True)
class FaissSettings:
    """A family of Faiss indexes and how it is searched; ``str`` gives what ``parse_backend`` reads.

    Attributes:
        family: its parts in order, or ``faiss:`` and a factory string.
        nprobe: see above; ``None`` stands for the default.
        ef_search: see above.
        ef_construction: see above.
        rescore: see above.

    Raises:
        UsageError: the family is none, an option is not for it, or a number is too small.
    """

    family: str
    nprobe: int | None = None
    ef_search: int | None = None
    ef_construction: int | None = None
    rescore: int | None = None

    def __post_init__(self) -> None:
        if self.factory is None:
            object.__setattr__(self, "family", "+".join(f"{name}{number or ''}" for name, number in self.parts.items()))
        for option, name in _OPTIONS.items():
            value = getattr(self, name)
            if value is not None and value < (0 if name == "rescore" else 1):
                raise UsageError(f"{self.family}: {option} is at least {0 if name == 'rescore' else 1}, not {value}")
        if self.nprobe is not None and not self.inverted:
            raise UsageError(f"{self.family} has no lists to probe: nprobe goes with ivf")
        links = re.findall(r"HNSW(\d+)", self.factory) if self.factory is not None else [self.parts.get("hnsw") or _LEAST_LINKS]
        if not all(_LEAST_LINKS <= int(number) <= _MOST_LINKS for number in links):
            raise UsageError(f"{self.family}: a graph has {_LEAST_LINKS} to {_MOST_LINKS} links a vector, with which Faiss works")
        if not self.graph and (self.ef_search is not None or self.ef_construction is not None):
            raise UsageError(f"{self.family} is no graph: efSearch and efConstruction go with hnsw")

    @property
    def factory(self) -> str | None:
        """Faiss's own words for the family, where it was given so."""
        return self.family.removeprefix(_FAISS) if self.family.startswith(_FAISS) else None

    @cached_property
    def parts(self) -> dict[str, int | None]:
        """The parts of a family of short names, in order, and their numbers."""
        return _read_parts(self.family)

    @property
    def inverted(self) -> bool:
        """Whether the family is an inverted file."""
        return "ivf" in self.parts if self.factory is None else re.search(r"(^|,)IVF\d", self.factory) is not None

    @property
    def graph(self) -> bool:
        """Whether the family is a graph."""
        return "hnsw" in self.parts if self.factory is None else re.search(r"(^|,)HNSW", self.factory) is not None

    @property
    def lossless(self) -> bool:
        """Whether Faiss's scores are inner products of the vectors as they are, but for rounding."""
        if self.factory is None:
            return self.parts.keys() <= {"ivf", "hnsw", "flat"}
        return all(re.fullmatch(r"(IVF\d+(_HNSW\d*)?|HNSW\d*(_Flat)?|R?Flat)", part) for part in self.factory.split(","))

    def rescored(self, k: int) -> int:
        """How many of the first rows are scored anew when k are asked for; 0 where none is."""
        if self.rescore is None:
            return 0 if self.lossless else max(100, 2 * k)
        return max(self.rescore, k) if self.rescore else 0

    @property
    def slug(self) -> str:
        """The name of the family's file: what it is built from, without how it is searched."""
        if self.factory is None:
            name = self.family.replace("+", "-")
        else:  # two strings that differ in signs alone have two files
            signs = hashlib.blake2b(self.factory.encode(), digest_size=4).hexdigest()
            name = f"faiss-{re.sub(r'[^A-Za-z0-9]+', '-', self.factory)[:60]}-{signs}"
        return name if self.ef_construction is None else f"{name}-efc{self.ef_construction}"

    def __str__(self) -> str:
        given = [f"{option}={getattr(self, name)}" for option, name in _OPTIONS.items() if getattr(self, name) is not None]
        return ",".join([self.family, *given])


def _read_parts(family: str) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for part in family.split("+"):
        match = re.fullmatch(rf"({'|'.join(_KINDS)})(\d{{0,7}})", "flat" if part == "faiss" else part)
        if not match:
            raise UsageError(f"{family!r}: {part!r} is no part of a family; {_UNDERSTOOD}")
        name, number = match[1], int(match[2]) if match[2] else None
        if _KINDS[name] in {_KINDS[other] for other in found}:
            raise UsageError(f"{family!r} has two parts of one kind ({_KINDS[name]}); {_UNDERSTOOD}")
        if (number is None and _KINDS[name] == "dimensions") or number == 0 or (number is not None and name in ("flat", "fp16", "sq8")):
            expected = "needs a number of dimensions" if _KINDS[name] == "dimensions" else "takes no such number"
            raise UsageError(f"{family!r}: {name} {expected}; {_UNDERSTOOD}")
        found[name] = number
    if "opq" in found:
        if not any(_KINDS[name] == "storage" for name in found):
            found["pq"] = None
        if "pq" not in found:
            raise UsageError(f"{family!r}: opq turns vectors for pq, not for another storage")
        size, other = found.pop("opq"), found.pop("pq")
        if None not in (size, other) and size != other:
            raise UsageError(f"{family!r}: {size} and {other} bytes a vector; give one number")
        found["opq"] = size or other
    elif not any(_KINDS[name] == "storage" for name in found) and not any(_KINDS[name] == "structure" for name in found):
        found["flat"] = None
    if any(_KINDS[name] == "structure" for name in found):
        found.pop("flat", None)
    if "hnsw" in found and found.keys() & {"opq", "pq"}:
        raise UsageError(f"{family!r}: Faiss compares pq codes in a graph by distance, not by inner product; use hnsw+sq8 or ivf+pq")
    return dict(sorted(found.items(), key=lambda part: _ORDER[part[0]]))


def parse_backend(text: str) -> FaissSettings:
    """The settings that a name means; see above. ``exact`` and ``tuned`` are for ``resolve``.

    Raises:
        UsageError: the text says nothing that is understood; tells what is.
    """
    family, options = text.strip(), {}
    while match := re.fullmatch(r"(.*),\s*(\w+)\s*=\s*(\d{1,9})", family):
        family, name, value = match[1].rstrip(), match[2], match[3]
        if name not in _OPTIONS or _OPTIONS[name] in options:
            raise UsageError(f"{text!r}: {name} is {'given twice' if name in _OPTIONS else 'no option'}; {_UNDERSTOOD}")
        options[_OPTIONS[name]] = int(value)
    if "=" in family or family == _FAISS or any(map(str.isspace, family)):
        raise UsageError(f"{text!r} is no backend; {_UNDERSTOOD}")
    return FaissSettings(family=family, **options)


def checked_backend(text: str) -> str:
    """The name of a backend, as it is.

    Raises:
        UsageError: there is none of that name.
    """
    if text not in ("exact", "tuned"):
        parse_backend(text)
    return text


def resolve(folder: Path, backend: str) -> FaissSettings | None:
    """How the index in a folder is to be searched; ``None`` stands for exact search.

    Args:
        folder: of the index, for ``"tuned"``.
        backend: see above.

    Raises:
        UsageError: the backend is none.
        IndexingError: the index has not been tuned.
        DamagedIndexError: what the tuner chose cannot be read.
    """
    if backend == "tuned":
        path = folder / TUNED
        if not path.exists():
            raise IndexingError(f"{folder} has not been tuned; `ance-ir index tune {folder} --dataset D` chooses how to search it")
        backend = read_typed(path, _Tuned, error=DamagedIndexError, remedy="tune the index again")["backend"]
        try:
            return None if backend == "exact" else parse_backend(backend)
        except UsageError as error:
            raise DamagedIndexError(f"{path}: expected a backend, {error}; tune the index again") from error
    return None if backend == "exact" else parse_backend(backend)
