"""Finds which documents of a corpus contain an answer to which questions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm.auto import tqdm

from ance_ir.answers import Answers, answer_tokens
from ance_ir.datasets.store.documents import DocumentStore
from ance_ir.errors import DatasetError, UsageError
from ance_ir.processes import process_pool

PIECE = 512
"""Documents that are read at a time."""

WORTH = 20_000
"""Pairs of a question and a document from which several processes are worth their start."""

Pairs = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""Numbers of questions and of documents, sorted by document."""

Material = tuple[DocumentStore, list[Answers], bool]
"""The documents, the answers, and whether these are patterns."""

_material: Material
"""The material of a worker process."""


class AnswerFinder:
    """Looks for the answers to Q questions in the texts (not the titles) of a store's documents, and remembers the results.

    A call reads and tokenises each distinct text once; it holds 50 bytes for each pair, however large the corpus.

    Args:
        store: the documents.
        answers: those of each question.
        patterns: whether they are regular expressions, see ``Answers``.
        processes: how many search; 1 is this one. More are started for many pairs only.
        verbose: show progress.

    Raises:
        UsageError: fewer than one process.
    """

    def __init__(
        self, store: DocumentStore, answers: Iterable[Sequence[str]], *, patterns: bool = False, processes: int = 1, verbose: bool = False
    ) -> None:
        if processes < 1:
            raise UsageError(f"processes must be at least 1, not {processes}")
        self._store = store
        self._answers = [Answers(of, patterns=patterns) for of in answers]
        self._patterns = patterns
        self._processes = processes
        self._verbose = verbose
        self._keys_K = np.empty(0, dtype=np.int64)
        self._found_K = np.empty(0, dtype=bool)

    def find(self, questions_P: npt.ArrayLike, numbers_P: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Whether the document of that number holds an answer to the question of that number, for each of P pairs.

        Args:
            questions_P: ``[P]`` integers from 0 to Q - 1.
            numbers_P: ``[P]`` the documents' numbers in the store.

        Returns:
            ``[P]`` bool.

        Raises:
            DatasetError: a process was killed.
        """
        asked_P = np.asarray(numbers_P, dtype=np.int64) * len(self._answers) + np.asarray(questions_P, dtype=np.int64)
        new_N = np.setdiff1d(asked_P, self._keys_K)  # sorted, hence by document
        if len(new_N):
            numbers_N, questions_N = np.divmod(new_N, len(self._answers))
            keys_K = np.concatenate([self._keys_K, new_N])
            order_K = np.argsort(keys_K, kind="stable")
            self._found_K = np.concatenate([self._found_K, self._look((questions_N, numbers_N))])[order_K]
            self._keys_K = keys_K[order_K]
        return self._found_K[np.searchsorted(self._keys_K, asked_P)]

    def _look(self, pairs: Pairs) -> npt.NDArray[np.bool_]:
        material: Material = (self._store, self._answers, self._patterns)
        total = len(pairs[0])
        with tqdm(total=total, desc="looking for answers", unit=" passages", disable=not self._verbose) as progress:
            if self._processes == 1 or total < WORTH:
                return np.concatenate([*_counted((_find(material, piece) for piece in _pieces(pairs)), progress.update)])
            try:
                with process_pool(self._processes, _begin, material, [__name__]) as pool:
                    return np.concatenate([*_counted(pool.map(_find_here, _pieces(pairs)), progress.update)])
            except BrokenProcessPool as error:
                raise DatasetError(
                    "a process that looked for answers was killed, perhaps for lack of memory; try again with fewer processes"
                ) from error


def _pieces(pairs: Pairs) -> Iterator[Pairs]:
    """The pairs of ``PIECE`` documents at a time; those of one document stay together."""
    questions, numbers = pairs
    cuts = np.flatnonzero(np.r_[True, numbers[1:] != numbers[:-1]])[::PIECE]
    for start, end in zip(cuts, [*cuts[1:], len(numbers)], strict=True):
        yield questions[start:end], numbers[start:end]


def _counted(pieces: Iterable[npt.NDArray[np.bool_]], tell: Callable[[int], object]) -> Iterator[npt.NDArray[np.bool_]]:
    for found in pieces:
        tell(len(found))
        yield found


def _begin(*material: Any) -> None:
    global _material
    _material = material


def _find_here(pairs: Pairs) -> npt.NDArray[np.bool_]:
    return _find(_material, pairs)


def _find(material: Material, pairs: Pairs) -> npt.NDArray[np.bool_]:
    store, answers, patterns = material
    found, read, text = np.empty(len(pairs[0]), dtype=bool), -1, ""
    for row, (question, number) in enumerate(zip(*(side.tolist() for side in pairs), strict=True)):
        if number != read:
            read, text = number, store[number]["text"]
            text = text if patterns else answer_tokens(text)
        found[row] = answers[question].are_in(text) if patterns else answers[question].are_in_tokens(text)
    return found
