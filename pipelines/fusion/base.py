"""Base of all fusions: runs each system, joins the results and ranks them.

Shapes: S systems, P pairs of a query and a document that one of them found, Q queries.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pyterrier as pt

from ance_ir.errors import UsageError
from ance_ir.ranking import rank_results
from ance_ir.settings import Setting, as_weights
from ance_ir.transformers import Retrieving


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidates:
    """The results of several systems, joined.

    Attributes:
        pairs: each query and document once, with all other columns but ``score`` and ``rank``.
        values_SP: the value that each system gives to each pair, float64.
    """

    pairs: pd.DataFrame
    values_SP: np.ndarray


def _read_systems(value: Any) -> tuple[pt.Transformer, ...]:
    if isinstance(value, pt.Transformer) or not isinstance(value, Sequence):
        raise UsageError(f"must be several transformers, not {value!r}")
    if not value:
        raise UsageError("must be one transformer or more, and there is none")
    for system in value:
        if not isinstance(system, pt.Transformer):
            raise UsageError(f"must be transformers, not {system!r}")
    return tuple(value)


class Fusion(Retrieving):
    """Base of fusions; a document's score is the weighted sum of the values that the systems give it."""

    stages = ("systems",)
    systems = Setting(_read_systems)
    weights = Setting(as_weights)

    def __init__(self, systems: Sequence[pt.Transformer], weights: Sequence[float], num_results: int) -> None:
        self.systems = systems
        self.weights = weights
        self.num_results = num_results

    def settle(self, changed: str | None) -> None:
        """See ``Configured``: each system must have its weight."""
        if len(self.weights) != len(self.systems):
            raise UsageError(
                f"{type(self).__name__}: weights must be one number for each of {len(self.systems)} systems, not {self.weights}"
            )

    @abstractmethod
    def _values(self, ranked: pd.DataFrame) -> np.ndarray:
        """The values that a system gives to the documents of its own ranking, float64."""

    @abstractmethod
    def _lacking(self, values: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """The value that a system gives to documents it did not find, for each query for which it found something.

        The values of one query begin at each of ``starts``. For a query for which the system found nothing the value is 0.
        """

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """Run each system and fuse the results.

        A column comes from the first system that found the document and has the column; a query's columns, from the first that found
        anything for the query. Of a document that a system returns twice the first place counts.

        Raises:
            UsageError: a system gives no scores, or scores that are no numbers.
        """
        return self.rank(self.candidates(inp))

    def candidates(self, inp: pd.DataFrame) -> Candidates:
        """The joined results of the systems, with their values; input of ``rank``."""
        lists = [_ranked(system, system.transform(inp)) for system in self.systems]
        queries = pd.factorize(pd.concat([inp["qid"], *(ranked["qid"] for ranked in lists)]))[0]
        documents, docnos = pd.factorize(pd.concat([ranked["docno"] for ranked in lists]))
        ends = np.cumsum([len(ranked) for ranked in lists])[:-1]
        keys, place = np.unique(queries[len(inp) :] * max(1, len(docnos)) + documents, return_inverse=True)
        query_P = keys // max(1, len(docnos))
        places, queries_of = np.split(place, ends), np.split(queries[len(inp) :], ends)
        values_SP = np.zeros((len(lists), len(keys)))
        for values_P, ranked, places_s, queries_s in zip(values_SP, lists, places, queries_of, strict=True):
            values, starts = self._values(ranked), np.flatnonzero(ranked["rank"] == 0)
            lacking_Q = np.zeros(queries.max(initial=-1) + 1)
            lacking_Q[queries_s[starts]] = self._lacking(values, starts)
            values_P[:] = lacking_Q[query_P]
            values_P[places_s] = values
        of_query = set() if "docno" in inp.columns else set(inp.columns)
        pairs = {}
        for column in dict.fromkeys(column for ranked in lists for column in ranked.columns if column not in ("score", "rank")):
            if column in of_query or column.startswith("q"):
                pairs[column] = _first(column, lists, queries_of, query_P)
            else:
                pairs[column] = _first(column, lists, places, np.arange(len(keys)))
        return Candidates(pairs=pd.DataFrame(pairs), values_SP=values_SP)

    def rank(self, found: Candidates) -> pd.DataFrame:
        """The fused ranking of joined results."""
        score_P = np.zeros(len(found.pairs))
        for weight, values_P in zip(self.weights, found.values_SP, strict=True):
            score_P += weight * values_P
        return rank_results(found.pairs.assign(score=score_P), self.num_results)

    def transform_inputs(self) -> list[list[str]]:
        """The sets of columns that serve all systems."""
        ways = product(*(pt.inspect.transformer_inputs(system) or [] for system in self.systems))
        joined = [list(dict.fromkeys(column for columns in way for column in columns)) for way in ways]
        distinct = {frozenset(columns): columns for columns in reversed(joined)}
        return [columns for columns in reversed(distinct.values()) if not any(other < set(columns) for other in distinct)]

    def compile(self) -> pt.Transformer:
        """The same fusion of compiled systems."""
        return self.variant(systems=[system.compile() for system in self.systems])


def _ranked(system: pt.Transformer, found: pd.DataFrame) -> pd.DataFrame:
    """The results of a system in the one order of results, each document once for each query."""
    lacking = {"qid", "docno", "score"} - set(found.columns)
    if lacking:
        raise UsageError(f"fusion needs the columns qid, docno and score; {system} gives only {', '.join(found.columns)}")
    try:
        ranked = rank_results(found)
    except UsageError as error:
        raise UsageError(f"{system}: {error}") from error
    repeated = ranked.duplicated(["qid", "docno"])
    return rank_results(ranked[~repeated]) if repeated.any() else ranked


def _first(column: str, lists: Sequence[pd.DataFrame], places: Sequence[np.ndarray], wanted_P: np.ndarray) -> pd.Series:
    """A column's values at the places wanted; ``places`` are those of the lists' rows, and the first row of the first list counts."""
    holders = [(ranked[column], place) for ranked, place in zip(lists, places, strict=True) if column in ranked.columns]
    holders = [holder for holder in holders if len(holder[1])] or holders[:1]  # an empty column may be of another type
    place, row = np.unique(np.concatenate([place for _, place in holders]), return_index=True)
    rows = np.full(wanted_P.max(initial=-1) + 1, -1)
    rows[place] = row
    return pd.concat([values for values, _ in holders], ignore_index=True).reindex(rows[wanted_P]).reset_index(drop=True)
