"""What makes two pipelines one and the same."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pandas as pd
import pyterrier as pt
import pytest

from ance_ir.errors import UsageError
from ance_ir.indexes import AnceIndex, FirstP
from ance_ir.models import DenseEncoder
from ance_ir.pipelines import AncePRF, AveragePRF, BertReranker, BM25Index, ReciprocalRankFusion, RocchioPRF, WeightedSum, cache_path
from ance_ir.pipelines.fingerprint import _identity, fingerprint
from tests.tiny import cross_encoder, encoder

DOCUMENTS = [{"docno": f"d{number}", "text": text} for number, text in enumerate(["king queen", "the cat", "red moon"])]


@pytest.fixture
def model() -> DenseEncoder:
    return encoder()


def build(folder: Path, model: DenseEncoder, documents: list[dict[str, str]] = DOCUMENTS) -> AnceIndex:
    index: AnceIndex = (FirstP() >> model.passages() >> AnceIndex(folder)).index(iter(documents))
    return index


def test_equal_pipelines_made_apart_have_one_fingerprint(tmp_path: Path, model: DenseEncoder) -> None:
    index = build(tmp_path / "a", model)
    made = [
        place.retriever(encoder(), 10) % 5 >> place.scorer(encoder()) >> BertReranker(cross_encoder(), verbose=verbose)
        for place, verbose in ((index, False), (AnceIndex(tmp_path / "a"), True))
    ]
    assert fingerprint(made[0]) == fingerprint(made[1]) is not None


def test_where_query_vectors_are_kept_does_not_matter(tmp_path: Path, model: DenseEncoder) -> None:
    assert fingerprint(model.queries()) == fingerprint(model.queries(cache=tmp_path / "queries.db")) is not None


def test_whatever_changes_the_results_changes_it(tmp_path: Path, model: DenseEncoder) -> None:
    index = build(tmp_path / "a", model)
    other = build(tmp_path / "b", model, DOCUMENTS[:2])
    pipelines = [
        index.retriever(model, 10),
        index.retriever(model, 9),
        index.retriever(model, 10, backend="flat"),
        index.retriever(encoder(seed=9), 10, check=False),
        index.retriever(model.with_settings(query_length=9), 10, check=False),
        other.retriever(model, 10),
        index.scorer(model),
        index.retriever(model, 10) >> index.scorer(model),
        BertReranker(cross_encoder()),
        BertReranker(cross_encoder(seed=5)),
        BertReranker(cross_encoder(), FirstP(16)),
        BertReranker(cross_encoder(), aggregation="mean"),
        ReciprocalRankFusion(index.retriever(model), index.retriever(model, 9)),
        ReciprocalRankFusion(index.retriever(model), index.retriever(model, 8)),
        WeightedSum(index.retriever(model), index.retriever(model, 9)),
        WeightedSum(index.retriever(model), index.retriever(model, 9), weights=(1, 2)),
        AveragePRF(index, 3),
        AveragePRF(index, 2),
        RocchioPRF(index, 3),
        AncePRF(model, 3, length=64),
    ]
    found = [fingerprint(pipeline) for pipeline in pipelines]
    assert None not in found
    assert len(set(found)) == len(pipelines)
    before = fingerprint(index.retriever(model))
    index.delete(["d0"])
    assert fingerprint(index.retriever(model)) != before


class Mine(pt.Transformer):  # type: ignore[misc]
    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        return inp


@dataclasses.dataclass
class MineToo(pt.Transformer):  # type: ignore[misc]
    number: int = 3

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        return inp


class OfPlugin(pt.Transformer):  # type: ignore[misc]
    """An imagined plugin's."""

    __module__ = "pyterrier_plugin.stage"

    def __init__(self, index: str, lost: int | None = None) -> None:
        self.index = index
        if lost is not None:
            self._lost = lost

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        return inp


def test_bm25_is_its_documents_and_settings(tmp_path: Path) -> None:
    pytest.importorskip("pyterrier_pisa")
    one, same, other = (
        BM25Index(tmp_path / name).index(iter(part)) for name, part in (("1", DOCUMENTS), ("2", DOCUMENTS), ("3", DOCUMENTS[:2]))
    )
    pipelines = [one.retriever(), one.retriever(9), one.retriever(k1=2), one.retriever(b=0.1), other.retriever()]
    pipelines.append(BM25Index(tmp_path / "1", stopwords="none").retriever())
    found = [fingerprint(pipeline) for pipeline in pipelines]
    assert None not in found
    assert len(set(found)) == len(pipelines)
    assert fingerprint(same.retriever()) == found[0]
    manifest = json.loads((tmp_path / "1" / "manifest.json").read_text(encoding="utf-8"))
    del manifest["content"]
    (tmp_path / "1" / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert fingerprint(BM25Index(tmp_path / "1").retriever()) is None, "made by an earlier version"


def test_nobody_can_tell_what_a_function_does() -> None:
    assert fingerprint(Mine()) is None
    assert fingerprint(MineToo()) is None
    assert fingerprint(pt.apply.query(lambda row: row["query"])) is None
    assert fingerprint(pt.Transformer.from_df(pd.DataFrame({"qid": ["1"], "docno": ["d"], "score": [1.0]}))) is None


def test_a_plugins_stage_is_its_arguments_unless_these_name_files(tmp_path: Path) -> None:
    assert fingerprint(OfPlugin("a", 1)) == fingerprint(OfPlugin("a", 1)) != fingerprint(OfPlugin("b", 1))
    assert fingerprint(OfPlugin("a", 1)) is not None
    assert fingerprint(OfPlugin("a")) is None, "it does not keep all its arguments"
    (tmp_path / "x").mkdir()
    assert fingerprint(OfPlugin(str(tmp_path / "x"), 1)) is None, "what stands there may change"


def test_a_plugins_index_may_change(tmp_path: Path) -> None:
    pisa = pytest.importorskip("pyterrier_pisa")
    BM25Index(tmp_path / "x").index(iter(DOCUMENTS))
    assert fingerprint(pisa.PisaIndex(str(tmp_path / "x" / "pisa")).bm25()) is None


def test_an_index_that_is_tuned_anew_is_another(tmp_path: Path, model: DenseEncoder) -> None:
    index = build(tmp_path / "a", model)
    tuned = tmp_path / "a" / "search.json"
    tuned.write_text('{"backend": "flat"}', encoding="utf-8")
    before = fingerprint(index.retriever(model, backend="tuned"))
    tuned.write_text('{"backend": "exact"}', encoding="utf-8")
    assert fingerprint(index.retriever(model, backend="tuned")) != before


def test_the_module_of_a_class_within_its_package_does_not_count() -> None:
    fusion = ReciprocalRankFusion(pt.RankCutoff(3))
    assert type(fusion).__module__ != "ance_ir.pipelines.fusion"
    assert _identity(fusion)[0] == "ance_ir.pipelines.fusion.ReciprocalRankFusion"
    assert _identity(FirstP())[0] == "ance_ir.indexes.passages.FirstP"
    assert _identity(encoder().queries())[0] == "ance_ir.models.transformers.QueryEncoder"


def test_a_cache_has_another_place_for_each_pipeline(tmp_path: Path, model: DenseEncoder) -> None:
    index = build(tmp_path / "a", model)
    made = [index.retriever(model), index.retriever(encoder()), index.retriever(encoder(seed=9), check=False), index.scorer(model)]
    places = [cache_path(tmp_path, pipeline) for pipeline in made]
    assert places[0] == places[1]
    assert [len(set(places)), {place.parent for place in places}] == [3, {tmp_path}]
    with pytest.raises(UsageError, match="Mine"):
        cache_path(tmp_path, index.retriever(model) >> Mine())
