"""Texts that people type: systems, measures, passages, settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ance_ir.errors import AnceError
from ance_ir.eval.measures import parse_measures
from ance_ir.indexes.ann.layers import empty_index
from ance_ir.indexes.ann.recipe import recipe_of
from ance_ir.indexes.ann.settings import parse_backend
from ance_ir.indexes.passages import parse_passages
from ance_ir.indexes.search.aggregation import parse_aggregation
from ance_ir.models.text.settings import TextSettings, parse_settings
from ance_ir.pipelines.systems.parser import parse, parse_mixture
from tests.fuzz.bounds import bounded

pytestmark = pytest.mark.hypothesis  # which the plugin sees on decorated tests only

EXPRESSIONS: dict[str, tuple[Callable[[str], Any], list[str]]] = {
    "system": (parse, ["bm25 % 100 >> x.ance[backend=ivf; k=3] + 2*dpr", "rrf(bm25, 'a b', minmax(x, .5*y))", "name=bm25 / 3"]),
    "mixture": (parse_mixture, ["mix(2*bm25, random)", "bm25+0.5*ance", "(2*bm25)+random", "bm25 % 10"]),
    "measure": (
        lambda text: parse_measures([text]),
        ["nDCG@10", "AP(rel=2)@100", "RBP(p=0.8, rel=1)", "Overlap(run='x')@5", "MRR@10", "Coverage@20"],
    ),
    "passages": (parse_passages, ["firstp", "firstp:128", "maxp:512,4", "sliding:256,128"]),
    "aggregation": (parse_aggregation, ["max", "mean", "sum:3", "first"]),
    "backend": (
        parse_backend,
        ["ivf", "hnsw,efSearch=64", "opq48+ivf1024,nprobe=64,rescore=500", "matryoshka64+flat", "faiss:IVF256,SQ6,nprobe=16"],
    ),
    "text settings": (
        lambda text: TextSettings().changed(**parse_settings([text])),
        ["fields=url,title,text", "lower_case=yes", "max_characters=none", "query_length=32", "query_prefix=query: "],
    ),
}

_SIGNS = [
    *"()[]{}<>=;,:+*%/\\'\"@.-# \t\n\0",
    "²",
    "٣",
    "1e999",
    "inf",
    "nan",
    "-1",
    "0",
    "9" * 30,
    "9" * 5000,
    "None",
    "\ud800",
    "__import__",
    ">>",
]


@st.composite
def texts(draw: st.DrawFn, examples: list[str]) -> str:
    """Something like the examples."""
    text = draw(st.sampled_from([*examples, ""]))
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(text)))
        piece = draw(st.one_of(st.sampled_from(_SIGNS), st.sampled_from(examples), st.text(max_size=3)))
        text = (
            text[:place]
            + piece * draw(st.sampled_from([1, 1, 1, 2, 3000 if len(piece) < 9 else 1]))
            + text[place + draw(st.integers(0, 3)) :]
        )
    return text


@pytest.mark.filterwarnings("ignore:.* is read as a path:FutureWarning")  # a word that happens to be on disk
@pytest.mark.parametrize("kind", EXPRESSIONS)
def test_a_value_or_an_error_of_ours(kind: str) -> None:
    parsed, examples = EXPRESSIONS[kind]

    @settings(suppress_health_check=list(HealthCheck), database=None)
    @given(texts(examples))
    def read(text: str) -> None:
        try:
            with bounded():
                parsed(text)
        except AnceError as error:
            _ = str(error)

    read()


@settings(suppress_health_check=list(HealthCheck), database=None)
@given(texts(EXPRESSIONS["backend"][1]))
def test_a_family_that_faiss_makes_or_an_error_of_ours(text: str) -> None:
    try:
        with bounded():
            family = parse_backend(text)
            empty_index(recipe_of(family, 1000, 8), 8, family)
    except AnceError as error:
        _ = str(error)
