"""pyterrier-caching's caches around our transformers, each in the place that ``cache_path`` gives its pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyterrier as pt
import pytest

from ance_ir.indexes import AnceIndex, FirstP
from ance_ir.models import DenseEncoder
from ance_ir.pipelines import cache_path
from tests.neighbours.conftest import needs
from tests.tiny import encoder

pytestmark = pytest.mark.integration
pyterrier_caching = needs("pyterrier_caching")


class Counted(pt.Transformer):  # type: ignore[misc]
    """Another transformer, and the rows that it was given."""

    def __init__(self, inner: pt.Transformer) -> None:
        self.inner, self.rows = inner, 0

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        self.rows += len(inp)
        return self.inner(inp)

    def transform_inputs(self) -> Any:
        return pt.inspect.transformer_inputs(self.inner)

    def transform_outputs(self, columns: list[str]) -> Any:
        return pt.inspect.transformer_outputs(self.inner, columns)


def same(found: pd.DataFrame, wanted: pd.DataFrame) -> None:
    order = ["qid", "rank", "docno"]
    columns = [*order, "query", "score"]
    pd.testing.assert_frame_equal(
        found[columns].sort_values(order, ignore_index=True), wanted[columns].sort_values(order, ignore_index=True), check_dtype=False
    )


def test_a_retriever_and_another_model(tmp_path: Path, index: AnceIndex, model: DenseEncoder, queries: pd.DataFrame) -> None:
    ours, other = index.retriever(model, 5), index.retriever(encoder(seed=9), 5, check=False)
    for retriever in (ours, other):
        for asked in (len(queries), 0):
            counted = Counted(retriever)
            with pyterrier_caching.RetrieverCache(cache_path(tmp_path, retriever), counted) as cache:
                same(cache(queries), retriever(queries))
            assert counted.rows == asked


def test_a_scorer(tmp_path: Path, index: AnceIndex, model: DenseEncoder, queries: pd.DataFrame) -> None:
    candidates, scorer = index.retriever(model, 8)(queries).drop(columns=["score", "rank"]), index.scorer(model)
    counted = Counted(scorer)
    cache = pyterrier_caching.ScorerCache(cache_path(tmp_path, scorer), counted)
    for frame, asked in ((candidates[::2], 16), (candidates, 32), (candidates, 32)):
        same(cache(frame), scorer(frame))
        assert counted.rows == asked


def test_a_dense_scorer_cache_retrieves(
    tmp_path: Path, index: AnceIndex, model: DenseEncoder, texts: pd.DataFrame, queries: pd.DataFrame
) -> None:
    scorer = index.scorer(model)
    with pyterrier_caching.DenseScorerCache(cache_path(tmp_path, scorer), scorer) as cache:
        cache.build(texts.to_dict("records"))
        cache.cached_scorer()(queries.merge(texts, how="cross"))
        found = cache.cached_retriever(7)(queries)
    same(found, index.retriever(model, 7)(queries))


def test_keys_and_values(tmp_path: Path, model: DenseEncoder, queries: pd.DataFrame) -> None:
    encode = model.queries()
    counted = Counted(encode)
    place = cache_path(tmp_path, encode)
    with pyterrier_caching.KeyValueCache(place, counted, key="query", value="query_vec") as cache:
        for frame in (queries[:3], queries):
            np.testing.assert_array_equal(np.stack(cache(frame)["query_vec"]), model.encode_queries(frame["query"].to_list()))
    assert counted.rows == len(queries)


def test_an_indexer(tmp_path: Path, index: AnceIndex, model: DenseEncoder, documents: list[dict[str, str]], queries: pd.DataFrame) -> None:
    """What goes into an index is kept, its model with it, and the index made from that is the same."""
    stages = FirstP() >> model.passages()
    with pyterrier_caching.IndexerCache(cache_path(tmp_path, stages)) as cache:
        (stages >> cache).index(iter(documents))
        made = AnceIndex(tmp_path / "y.ance").index(cache.get_corpus_iter())
    assert made.fingerprint == index.fingerprint
    same(made.retriever(model, 5)(queries), index.retriever(model, 5)(queries))
