"""Mixtures of negatives, those of the batch, and warm-ups."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ance_ir.datasets import Dataset
from ance_ir.errors import TrainingError, UsageError
from ance_ir.pipelines.systems.parser import parse_mixture
from ance_ir.pipelines.systems.tree import Stage
from ance_ir.training import InBatchNegatives, MixedNegatives, NegativeSource, RandomNegatives, TrainingQueries, TwoStageNegatives
from ance_ir.workflows.negatives import NamedNegatives
from ance_ir.workflows.sets import TrainingSets


class Constant(NegativeSource):
    """Always the same document."""

    def __init__(self, document: int) -> None:
        self.in_batch: Any = "none"
        self.document = document
        self.name = f"constant {document}"
        self.used: list[Any] = []

    def use(self, mined: Any) -> None:
        self.used.append(mined)

    def draw(self, queries: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
        return np.full((len(queries), count), self.document)


def test_a_mixture_draws_by_weight() -> None:
    mixed = MixedNegatives([Constant(7), Constant(8)], [3, 1])
    drawn = mixed.draw(np.arange(400), 10, np.random.default_rng(1))
    assert drawn.shape == (400, 10)
    assert (drawn == 7).mean() == pytest.approx(0.75, abs=0.03)
    assert set(drawn.ravel()) == {7, 8}
    assert (drawn == mixed.draw(np.arange(400), 10, np.random.default_rng(1))).all()
    assert (drawn != mixed.draw(np.arange(400), 10, np.random.default_rng(2))).any()
    assert mixed.name == "constant 7+constant 8"
    assert mixed.settings == {"sources": [{"name": "constant 7", "weight": 3}, {"name": "constant 8", "weight": 1}]}


def test_a_mixture_takes_the_first_that_a_source_draws() -> None:
    class Ranked(Constant):
        def draw(self, queries: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
            return self.document + np.tile(np.arange(count), (len(queries), 1))

    drawn = MixedNegatives([Ranked(100), Ranked(200)], [1, 1]).draw(np.arange(300), 4, np.random.default_rng(3))
    for row in drawn.tolist():
        for first in (100, 200):
            of_one = [document for document in row if document // 100 * 100 == first]
            assert of_one == [first + place for place in range(len(of_one))]


def test_a_mixture_hands_what_was_mined_to_each_of_its_sources() -> None:
    sources = [Constant(7), Constant(8)]
    mixed, mined = MixedNegatives(sources, [1, 1]), object()
    assert not mixed.mines
    sources[1].mines = True
    assert MixedNegatives(sources, [1, 1]).mines
    mixed.use(mined)  # type: ignore[arg-type]
    assert [source.used for source in sources] == [[mined]] * 2


def test_documents_of_the_batch_join_a_mixture_without_weight() -> None:
    mixed = MixedNegatives([InBatchNegatives("all"), Constant(7)], [9, 1])
    assert mixed.in_batch == "all"
    assert (mixed.draw(np.arange(5), 3, np.random.default_rng(1)) == 7).all()
    assert InBatchNegatives("hardest").draw(np.arange(5), 3, np.random.default_rng(1)).shape == (5, 0)
    with pytest.raises(UsageError, match="in-batch or nce, not both"):
        MixedNegatives([InBatchNegatives("all"), InBatchNegatives("hardest")], [1, 1])
    with pytest.raises(UsageError, match=r"weights of negatives are above 0, not 0, 1"):
        MixedNegatives([Constant(1), Constant(2)], [0, 1])
    with pytest.raises(UsageError, match="in-batch"):
        MixedNegatives([InBatchNegatives("all"), InBatchNegatives("all")], [1, 1])


def test_a_warm_up_ends_at_its_step() -> None:
    first, then = Constant(7), Constant(8)
    then.in_batch = "all"
    source, mined = TwoStageNegatives(first, then, 20), object()
    for step, document, in_batch in ((0, 7, "none"), (10, 7, "none"), (19, 7, "none"), (20, 8, "all"), (30, 8, "all"), (10, 7, "none")):
        assert (source.at(step).draw(np.arange(2), 1, np.random.default_rng(1)) == document).all()
        assert source.at(step).in_batch == in_batch
    source.use(mined)  # type: ignore[arg-type]
    assert first.used == then.used == [mined]
    assert source.name == "constant 7 -> constant 8"
    assert source.settings == {"until": 20, "first": {}, "then": {}}


@pytest.fixture
def named(dataset: Dataset) -> NamedNegatives:
    return NamedNegatives(TrainingSets.open([dataset], ["train"]), depth=5, device="cpu", dense=True)


@pytest.mark.parametrize(
    ("text", "name", "in_batch"),
    [
        ("random", "random", "none"),
        ("bm25", "bm25", "none"),
        ("bm25 % 3", "bm25 % 3", "none"),
        ("in-batch", "in-batch", "all"),
        ("nce", "nce", "hardest"),
        ("ance", "ance", "none"),
        ("2*bm25+random", "bm25+random", "none"),
        (" 0.5 * random + ance ", "random+ance", "none"),
        ("in-batch+bm25", "in-batch+bm25", "all"),
        ("mix(2*bm25, random)", "bm25+random", "none"),
        ("mix(0.5 * bm25 % 3, in-batch)", "bm25 % 3+in-batch", "all"),
        ("mix(minmax(bm25, 2*bm25 % 3), random)", "minmax(bm25, 2*bm25 % 3)+random", "none"),
        ("minmax(bm25 + bm25 % 3, bm25)", "minmax(bm25 + bm25 % 3, bm25)", "none"),
        ("(bm25 + bm25 % 3)", "(bm25 + bm25 % 3)", "none"),
    ],
)
def test_sources_by_name(named: NamedNegatives, queries: TrainingQueries, text: str, name: str, in_batch: str) -> None:
    source = named.make(text)
    assert (source.name, source.in_batch) == (name, in_batch)
    assert source.mines == ("ance" in text)
    if not source.mines:
        drawn = source.draw(np.arange(len(queries)), 2, np.random.default_rng(1))
        assert not any(np.isin(row, excluded).any() for row, excluded in zip(drawn, queries.excluded, strict=True))


def test_a_bare_sum_is_a_mixture_and_says_how_to_write_one(named: NamedNegatives, caplog: pytest.LogCaptureFixture) -> None:
    bare = named.make("2*bm25+random")
    assert "mix(2*bm25, random)" in caplog.text
    caplog.clear()
    assert named.make("mix(2*bm25, random)").settings == bare.settings
    fused = named.make("mix((bm25 + bm25 % 3), random)")
    assert fused.name == "(bm25 + bm25 % 3)+random"
    assert not caplog.records


def test_a_name_with_a_sign_is_split_only_outside_brackets() -> None:
    names = {"bm25+dpr"}
    assert [source.text for source in parse_mixture("bm25+dpr", names).sources] == ["bm25", "dpr"]
    assert [source.text for source in parse_mixture("mix(bm25+dpr, 3*random)", names).sources] == ["bm25+dpr", "random"]
    assert parse_mixture("(bm25+dpr)+random", names).sources[0].tree == Stage("bm25+dpr")


def test_a_system_that_finds_nothing_is_no_source(dataset: Dataset, queries: TrainingQueries) -> None:
    sets = TrainingSets.open([dataset], ["train"]).with_queries([replace(queries, texts=["xyzzy"] * len(queries))])
    with pytest.raises(TrainingError, match=r"bm25 .* 24 training queries"):
        NamedNegatives(sets, depth=5, device="cpu").make("bm25")


def test_a_run_file_is_a_source(named: NamedNegatives, queries: TrainingQueries, tmp_path: Path) -> None:
    path = tmp_path / "run+1.txt"
    path.write_text("".join(f"{qid} Q0 other 1 2.0 x\n" for qid in queries.qids))
    for text in (str(path), f"{tmp_path / 'plain.txt'}+random"):
        (tmp_path / "plain.txt").write_bytes(path.read_bytes())
        source = named.make(text)
        drawn = source.draw(np.arange(len(queries)), 9, np.random.default_rng(1))
        assert (drawn == queries.documents - 1).mean() >= 0.3
        assert source.name.startswith("run ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a stage"),
        ("bm25+", "expected a stage"),
        ("mix(bm25, random) >> bert", "expected the end"),
        ("bm25 % 100 >> mix(bm25, random)", "mix"),
        ("mix(mix(bm25, random), random)", "mix"),
        ("(2*bm25)+random", "before the brackets"),
        ("mix(2*(3*bm25), random)", "before the brackets"),
        ("0*bm25+random", "weights of negatives are above 0"),
        ("bm26", "'bm26'.*'bm25'"),
        ("in-batch+nce", "not both"),
    ],
)
def test_what_is_no_source_is_refused(named: NamedNegatives, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        named.make(text)


def test_a_reranker_is_refused_what_needs_vectors(dataset: Dataset) -> None:
    plain = NamedNegatives(TrainingSets.open([dataset], ["train"]), depth=5, device="cpu")
    for name in ("in-batch", "nce", "ance"):
        with pytest.raises(UsageError, match=f"{name} negatives"):
            plain.make(name)
    assert isinstance(plain.make("random"), RandomNegatives)
