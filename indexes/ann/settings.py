"""What the name of a backend means: which Faiss index is built, and how it is searched.

A backend is a family and options, with commas between them::

    BACKEND = exact | tuned | ray[://HOST:PORT] | FAMILY[,NAME=VALUE]…
    FAMILY  = PART[+PART]… | faiss:FACTORY

Each part is a module of ``parts``; they are written in any order, at most one of each kind. Numbers that are left out are chosen for the
corpus. FACTORY is a string of Faiss's ``index_factory``, commas and all. Similarity is always the inner product. ``exact`` is our own
exact search, ``tuned`` what ``ance-ir index tune`` chose, ``ray`` exact search on the nodes of a cluster (``cluster.searcher``).

=================== =========================== =========================================== ==========================================
option              for                         is                                          default
=================== =========================== =========================================== ==========================================
``nprobe``          ``ivf``                     lists that are searched                     4·√lists, at least 32
``efSearch``        ``hnsw``                    candidates held while searching             9·∛vectors, at least 128
``efConstruction``  ``hnsw``                    candidates held while building              100
``rescore``         all                         how many of the first rows are scored       max(100, 2k) where the storage or the
                                                again with the vectors; 0: none             dimensions lose something (codes: 5k),
                                                                                            otherwise none
=================== =========================== =========================================== ==========================================

Examples: ``ivf``; ``hnsw,efSearch=64``; ``opq48+ivf1024,nprobe=64,rescore=500``; ``matryoshka64+flat``; ``faiss:IVF256,SQ6,nprobe=16``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypedDict

from ance_ir import registries
from ance_ir.errors import DamagedIndexError, IndexingError, UsageError
from ance_ir.indexes.ann.parts._part import KINDS, Part, Structure
from ance_ir.indexes.cluster.connection import check_cluster, is_cluster
from ance_ir.registry import Registry
from ance_ir.typed_json import read_typed

PARTS: Registry[Part] = registries.FAISS_PARTS

TUNED = "search.json"
"""Where the tuner leaves the backend that it chose, in the index's folder."""


class _Tuned(TypedDict):
    backend: str


_FAISS = "faiss:"
_OPTIONS = {"nprobe": "nprobe", "efSearch": "ef_search", "efConstruction": "ef_construction", "rescore": "rescore"}


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
        UsageError: there is no such family, an option is not for it, or a number is out of bounds.
    """

    family: str
    nprobe: int | None = None
    ef_search: int | None = None
    ef_construction: int | None = None
    rescore: int | None = None

    def __post_init__(self) -> None:
        if self.factory is None:
            object.__setattr__(self, "family", _written(self.parts))
        own = {option for structure in structures() if self._has(structure) for option in structure.options}
        for option, value in self.options.items():
            least = 0 if option == "rescore" else 1
            if value < least:
                raise UsageError(f"{self.family}: {option} is at least {least}, not {value}")
            if option != "rescore" and option not in own:
                names = [name for name in PARTS if isinstance(part := PARTS[name], Structure) and option in part.options]
                raise UsageError(f"{self.family}: {option} goes with {', '.join(names)}")
        for structure in structures() if self.factory is not None else ():
            for number in re.findall(rf"{structure.word}(\d+)", self.factory or ""):
                _check_number(self.family, structure.word, structure, int(number))

    @property
    def options(self) -> dict[str, int]:
        """The options that were given, by the names that ``parse_backend`` reads."""
        return {option: value for option, name in _OPTIONS.items() if (value := getattr(self, name)) is not None}

    @property
    def factory(self) -> str | None:
        """Faiss's factory string, where the family was given so."""
        return self.family.removeprefix(_FAISS) if self.family.startswith(_FAISS) else None

    @cached_property
    def parts(self) -> dict[str, int | None]:
        """The parts of a family of short names, in order, and their numbers; its storage too where it is not written."""
        return _read_parts(self.family)

    @property
    def inverted(self) -> bool:
        """Whether the family is an inverted file."""
        return self._has_option("nprobe")

    @property
    def graph(self) -> bool:
        """Whether the family is a graph."""
        return self._has_option("efSearch")

    def _has_option(self, option: str) -> bool:
        return any(self._has(structure) for structure in structures() if option in structure.options)

    def _has(self, structure: Structure) -> bool:
        if self.factory is None:
            return any(PARTS[name] is structure for name in self.parts)
        return re.search(rf"(^|,){structure.word}", self.factory) is not None

    @property
    def lossless(self) -> bool:
        """Whether Faiss's scores are inner products of the vectors as they are, but for rounding."""
        if self.factory is None:
            return not any(PARTS[name].rescored for name in self.parts)
        return all(re.fullmatch(r"(IVF\d+(_HNSW\d*)?|HNSW\d*(_Flat)?|R?Flat)", part) for part in self.factory.split(","))

    def rescored(self, k: int) -> int:
        """How many of the first rows are scored again with the vectors when k are asked for; 0 where none is."""
        if self.rescore is None:
            times = max(PARTS[name].rescored for name in self.parts) if self.factory is None else Part.rescored
            return 0 if self.lossless else max(100, times * k)
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
        return ",".join([self.family, *(f"{option}={value}" for option, value in self.options.items())])


def structures() -> Iterator[Structure]:
    """All parts that are structures."""
    return (part for part in PARTS.values() if isinstance(part, Structure))


def known_backends() -> str:
    """All that a backend may be, for messages and help texts."""
    parts = ", ".join(f"{name}{part.takes if part.needed else f'[{part.takes}]' if part.takes else ''}" for name, part in PARTS.items())
    options = " ".join(f",{option}=N" for option in _OPTIONS)
    return f"a backend is exact, tuned, ray[://HOST:PORT], a family: {parts}, joined by + (ivf+sq8), or faiss:FACTORY; after it {options}"


def _read_parts(family: str) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    kinds: dict[str, str] = {}
    for word in family.split("+"):
        match = re.fullmatch(rf"({'|'.join(sorted(PARTS, key=len, reverse=True))})(\d{{0,7}})", "flat" if word == "faiss" else word)
        if not match:
            raise UsageError(f"{family!r}: {word!r} is no part of a family; {known_backends()}")
        name, number = match[1], int(match[2]) if match[2] else None
        part = PARTS[name]
        if part.kind in kinds:
            raise UsageError(f"{family!r} has two parts of one kind ({part.kind}); {known_backends()}")
        _check_number(family, name, part, number)
        found[name], kinds[part.kind] = number, name
    if rotation := kinds.get("rotation"):
        storage = kinds.setdefault("storage", PARTS[rotation].storage)
        if storage != PARTS[rotation].storage:
            raise UsageError(f"{family!r}: {rotation} goes with {PARTS[rotation].storage}, not with {storage}")
        numbers = {found[rotation], found.get(storage)} - {None}
        if len(numbers) > 1:
            raise UsageError(f"{family!r}: {found[rotation]} and {found[storage]} bytes a vector; give one number")
        found[rotation] = found[storage] = next(iter(numbers), None)
    if "storage" not in kinds:
        found["flat"] = None
    for name in found:
        for other, reason in PARTS[name].refuses.items():
            if other in found:
                raise UsageError(f"{family!r}: {name} does not go with {other}: {reason}")
    return dict(sorted(found.items(), key=lambda item: KINDS.index(PARTS[item[0]].kind)))


def _check_number(family: str, name: str, part: Part, number: int | None) -> None:
    least, most = part.bounds
    if number is None and part.needed:
        raise UsageError(f"{family!r}: {name} needs a number ({part.takes}); {known_backends()}")
    if number is not None and not part.takes:
        raise UsageError(f"{family!r}: {name} takes no number, found {number}; {known_backends()}")
    if number is not None and not least <= number <= most:
        raise UsageError(f"{family!r}: {name} takes a number ({part.takes}) from {least} to {most}, not {number}")


def _written(parts: dict[str, int | None]) -> str:
    """The name of a family: its parts without the storage that the others imply."""
    kinds = {PARTS[name].kind for name in parts}
    implied = {PARTS[name].storage for name in parts} | ({"flat"} if "structure" in kinds else set())
    return "+".join(f"{name}{number or ''}" for name, number in parts.items() if name not in implied)


def parse_backend(text: str) -> FaissSettings:
    """The settings that a name means; see above. ``exact`` and ``tuned`` are for ``resolve``.

    Raises:
        UsageError: there is no such backend; the message lists all.
    """
    family, options = text.strip(), {}
    while match := re.fullmatch(r"(.*),\s*(\w+)\s*=\s*(\d{1,9})", family):
        family, name, value = match[1].rstrip(), match[2], match[3]
        if name not in _OPTIONS or _OPTIONS[name] in options:
            raise UsageError(f"{text!r}: {name} is {'given twice' if name in _OPTIONS else 'no option'}; {known_backends()}")
        options[_OPTIONS[name]] = int(value)
    if "=" in family or family == _FAISS or any(map(str.isspace, family)):
        raise UsageError(f"{text!r} is no backend; {known_backends()}")
    return FaissSettings(family=family, **options)


def checked_backend(text: str) -> str:
    """The name of a backend, as it is.

    Raises:
        UsageError: there is none of that name.
    """
    if is_cluster(text):
        check_cluster(text)
    elif text not in ("exact", "tuned"):
        parse_backend(text)
    return text


def is_exact(backend: str) -> bool:
    """Whether a backend finds what exact search finds, by its name."""
    return backend == "exact" or is_cluster(backend)


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
