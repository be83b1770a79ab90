"""Several training sets in one run, over one corpus or several."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ance_ir.indexes.mining.joined as joined
from ance_ir.datasets import Dataset, load_dataset
from ance_ir.datasets.store.joined import JoinedDocuments
from ance_ir.errors import TrainingError, UsageError
from ance_ir.indexes import FirstP
from ance_ir.models import DenseEncoder
from ance_ir.training import RandomNegatives, Trainer, TrainingQueries, TrainingRun, TrainingSettings, read_metrics
from ance_ir.training.batches import Batches
from ance_ir.workflows import DenseTraining, Mining, run_inferencer, train_on_dataset, train_reranker_on_dataset
from ance_ir.workflows.negatives import NamedNegatives
from ance_ir.workflows.sets import TrainingSets
from tests.tiny import cross_encoder, encoder


def part(queries: int, documents: int) -> TrainingQueries:
    """Queries whose positives are the documents of their number."""
    names = [f"q{i}" for i in range(queries)]
    own = [np.array([i]) for i in range(queries)]
    return TrainingQueries(qids=names, texts=names, positives=own, excluded=own, documents=documents)


def batches(queries: TrainingQueries, **settings: int) -> Batches:
    return Batches(queries, RandomNegatives(queries), TrainingSettings(**{"steps": 600, "batch_size": 4, **settings}))  # type: ignore[arg-type]


def test_a_single_set_stays_as_it_is() -> None:
    one = part(9, 20)
    assert TrainingQueries.joined([one], [0]) is one
    assert one.parts[0].queries == range(9)


def test_each_batch_is_of_one_set_and_sets_come_by_weight() -> None:
    joined = TrainingQueries.joined([part(9, 20), part(30, 50)], [0, 20], [3, 1])
    assert (len(joined), joined.documents, joined.qids[9]) == (39, 70, "q0")
    drawn = batches(joined, negatives=5)
    firsts = 0
    for step in range(600):
        (batch,) = drawn.of_step(step)
        sets = batch.queries >= 9
        assert sets.all() or not sets.any()
        firsts += not sets.any()
        own = (batch.negatives >= 20) == sets[:, None]
        assert own.all(), "a negative comes from the query's own corpus"
        assert (batch.positives == batch.queries + (11 if sets.all() else 0)).all()
        assert not (batch.negatives == batch.positives[:, None]).any()
    assert 0.7 < firsts / 600 < 0.8


def test_weights_are_by_default_in_proportion_to_the_queries() -> None:
    joined = TrainingQueries.joined([part(9, 20), part(27, 50)], [0, 20])
    assert [one.weight for one in joined.sets] == [9, 27]
    for weights in ([1.0], [1.0, 0.0], [1.0, -1.0], [1.0, float("nan")], [1.0, float("inf")]):
        with pytest.raises(UsageError, match="2 training sets"):
            TrainingQueries.joined([part(9, 20), part(27, 50)], [0, 20], weights)


def test_a_pass_over_a_set_has_each_of_its_queries_once() -> None:
    joined = TrainingQueries.joined([part(8, 20), part(12, 20)], [0, 0], [1, 2])
    order = [batch.queries for step in range(600) for batch in batches(joined, accumulation=2, steps=600).of_step(step)]
    for queries, first in ((8, 0), (12, 8)):
        own = np.concatenate([row for row in order if first <= row[0] < first + queries])
        passes = [own[start : start + queries] for start in range(0, len(own) - queries, queries)]
        assert all(sorted(one) == list(range(first, first + queries)) for one in passes)
        assert any((one != other).any() for one, other in pairwise(passes))


def test_a_step_depends_on_seed_and_step_alone() -> None:
    joined = TrainingQueries.joined([part(9, 20), part(30, 50)], [0, 20])
    one, other = batches(joined, seed=3), batches(joined, seed=3)
    before = [one.of_step(step)[0].queries.tolist() for step in range(20)]
    assert [other.of_step(step)[0].queries.tolist() for step in reversed(range(20))] == before[::-1]
    assert [batches(joined, seed=4).of_step(step)[0].queries.tolist() for step in range(20)] != before


def test_the_queries_of_a_corpus_are_numbered_within_it() -> None:
    joined = TrainingQueries.joined([part(3, 20), part(4, 50), part(2, 20)], [0, 20, 0])
    rows, own = joined.of_corpus(range(20))
    assert (rows.tolist(), own.documents, len(own)) == ([0, 1, 2, 7, 8], 20, 5)
    rows, own = joined.of_corpus(range(20, 70))
    assert rows.tolist() == [3, 4, 5, 6]
    assert [found.tolist() for found in own.positives] == [[0], [1], [2], [3]]


def test_documents_of_several_stores_have_one_numbering(dataset: Dataset) -> None:
    store = dataset.store()
    joined = JoinedDocuments([store, store])
    assert len(joined) == 2 * len(store)
    assert joined[0] == joined[len(store)] == store[0]
    assert joined[len(store) - 1] == joined[2 * len(store) - 1] == store[len(store) - 1]
    assert joined.docnos([[1, len(store) + 2], [len(store) + 3, 0]]).tolist() == [["d1", "d2"], ["d3", "d0"]]
    assert (joined.docnos(4).item(), joined.docnos([]).shape) == ("d4", (0,))
    for number in (-1, 2 * len(store)):
        for asked in (lambda number: joined[number], lambda number: joined.docnos([0, number])):
            with pytest.raises(IndexError, match=str(number)):
                asked(number)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset) -> Dataset:
    """12 documents of which q0 … q7 ask for the first 8; q24 of ``dataset``'s test queries is one of them."""
    folder = tmp_path_factory.mktemp("other")
    texts = [f"an old {word} in the {place}" for word in ("sun", "moon", "star", "tree") for place in ("city", "river", "sky")]
    (folder / "corpus.jsonl").write_text("".join(json.dumps({"docno": f"e{i}", "text": text}) + "\n" for i, text in enumerate(texts)))
    asked = [f"which {text.split()[2]} {text.split()[-1]}" for text in texts[:7]] + [dataset.queries("test")["query"].iloc[0]]
    (folder / "queries.train.tsv").write_text("".join(f"q{i}\t{text}\n" for i, text in enumerate(asked)))
    (folder / "qrels.train.txt").write_text("".join(f"q{i} 0 e{i} 1\n" for i in range(8)))
    instances = [{"qid": f"q{i}", "positives": [f"e{i}"], "negatives": [f"e{(i + 1) % 12}", f"e{i}"]} for i in range(8)]
    (folder / "instances.train.jsonl").write_text("".join(json.dumps(one) + "\n" for one in instances))
    return load_dataset(folder)


def test_documents_of_corpora_keep_their_numbers_where_a_later_set_is_of_the_first_corpus(dataset: Dataset, other: Dataset) -> None:
    sets = TrainingSets.open([dataset, other, dataset], ["train", "train", "test"])
    assert [(one.first, one.split) for one in sets.corpora] == [(0, "train"), (38, "train")]
    for one, start in zip(sets, sets.starts, strict=True):
        for query, own in enumerate(one.queries.positives):
            assert sets.store.docnos(sets.queries.positives[start + query]).tolist() == one.store.docnos(own).tolist()


def test_a_positive_of_one_set_is_no_negative_of_the_same_question_in_another_set_of_the_corpus() -> None:
    def asks(document: int, text: str, documents: int = 4) -> TrainingQueries:
        own = [np.array([document])]
        return TrainingQueries(qids=["q"], texts=[text], positives=own, excluded=own, documents=documents)

    joined = TrainingQueries.joined([asks(0, "who sleeps"), asks(2, "who sleeps"), asks(1, "what"), asks(3, "who sleeps")], [0, 0, 0, 4])
    assert [found.tolist() for found in joined.excluded] == [[0, 2], [0, 2], [1], [7]]
    assert [found.tolist() for found in joined.positives] == [[0], [2], [1], [7]]


@pytest.mark.parametrize("text", ["random", "bm25", "mix(bm25, random)", "bm25 % 3"])
def test_negatives_come_from_the_own_corpus(dataset: Dataset, other: Dataset, text: str) -> None:
    sets = TrainingSets.open([dataset, other, dataset], ["train", "train", "test"])
    assert [one.first for one in sets] == [0, 38, 0]
    assert sets.starts == [0, 24, 32]
    assert [one.weight for one in TrainingSets.open([dataset, other], ["train"], [2.0]).queries.sets] == [2.0, 2.0]
    source = NamedNegatives(sets, depth=5, device="cpu").make(text)
    drawn = source.draw(np.arange(len(sets.queries)), 6, np.random.default_rng(1))
    own = np.array([query in range(24, 32) for query in range(len(sets.queries))])
    assert ((drawn >= 38) == own[:, None]).all()
    assert not any(np.isin(row, excluded).any() for row, excluded in zip(drawn, sets.queries.excluded, strict=True))


def test_own_negatives_and_runs_of_several_sets(dataset: Dataset, other: Dataset, tmp_path: Path) -> None:
    sets = TrainingSets.open([other, other], ["train", "train"])
    source = NamedNegatives(sets, depth=5, device="cpu").make("dataset")
    assert [found.tolist() for found in source.candidates] == [[(i + 1) % 12] for i in range(8)] * 2  # type: ignore[attr-defined]
    run = tmp_path / "run.txt"
    run.write_text("q3 Q0 e9 1 1.0 x\n")
    with pytest.raises(TrainingError, match="'q3'"):
        NamedNegatives(TrainingSets.open([other, dataset], ["train"]), depth=5, device="cpu").make(str(run))
    named = NamedNegatives(TrainingSets.open([other, dataset], ["train", "test"]), depth=5, device="cpu")
    run.write_text("q3 Q0 e9 1 1.0 x\nq25 Q0 d3 1 1.0 x\n")
    found = named.make(str(run)).candidates  # type: ignore[attr-defined]
    assert (found[3].tolist(), found[9].tolist()) == ([9], [15])


def _train(datasets: Any, folder: Path, steps: int = 6, **options: Any) -> dict[str, Any]:
    settings = TrainingSettings(steps=steps, batch_size=3, negatives=2, refresh_every=2, learning_rate=1e-3)
    how = DenseTraining(**{"passages": FirstP(), "depth": 5, **options})
    train_on_dataset(datasets, encoder(), folder, settings, how)
    return TrainingRun(folder).manifest


def test_figures_of_several_corpora_are_means_over_queries_and_sums() -> None:
    reports = [
        {"recall_of_exact": 1.0, "build_seconds": 1.5, "candidates": None},
        {"recall_of_exact": 0.5, "build_seconds": 2, "candidates": 4},
    ]
    assert joined._report(reports, [10, 30]) == {"recall_of_exact": 0.625, "build_seconds": 3.5, "candidates": 4}


def test_several_corpora_are_mined_each_with_its_own_queries(dataset: Dataset, other: Dataset, tmp_path: Path) -> None:
    how: dict[str, Any] = {"dev_split": "test", "warm_up": "random", "warm_up_until": 2, "mining": Mining(backend="ivf1")}
    manifest = _train([dataset, other], tmp_path / "run", weights=(1, 2), **how)
    assert [(one["split"], one["weight"]) for one in manifest["dataset"]["sets"]] == [("train", 1), ("train", 2)]
    refreshes = [line["refresh"] for line in read_metrics(tmp_path / "run" / "metrics.jsonl") if "refresh" in line]
    assert [one["documents_encoded"] for one in refreshes] == [50, 50, 50]
    assert [one["recall_of_exact"] for one in refreshes] == [1, 1, 1]
    mined = np.load(tmp_path / "run" / "negatives" / "step-000004" / "candidates.npy")
    assert ((mined[:24] >= 0) & (mined[:24] < 38)).all()
    assert (mined[24:] >= 38).all()
    assert all("dev" in line for line in read_metrics(tmp_path / "run" / "metrics.jsonl") if "refresh" in line)
    indexes = sorted(path.relative_to(tmp_path / "run" / "negatives") for path in tmp_path.glob("run/negatives/*/*/index.ance"))
    assert [str(path.parent) for path in indexes] == ["step-000004/corpus-0", "step-000004/corpus-1"]


def test_one_corpus_is_encoded_once_in_a_refresh(dataset: Dataset, tmp_path: Path) -> None:
    manifest = _train([dataset, dataset], tmp_path / "run", split=("train", "test"))
    assert [one["weight"] for one in manifest["dataset"]["sets"]] == [24, 6]
    refreshes = [line["refresh"] for line in read_metrics(tmp_path / "run" / "metrics.jsonl") if "refresh" in line]
    assert [one["documents_encoded"] for one in refreshes] == [38, 38, 38]
    assert (tmp_path / "run" / "negatives" / "step-000004" / "index.ance").exists()


class _Stop(Exception):
    pass


@pytest.mark.parametrize("corpora", [1, 2])
def test_an_interrupted_run_ends_the_same(dataset: Dataset, other: Dataset, tmp_path: Path, corpora: int) -> None:
    datasets, split = ([dataset, other], "train") if corpora == 2 else ([dataset, dataset], ("train", "test"))
    _train(datasets, tmp_path / "whole", split=split)
    settings = TrainingSettings(steps=6, batch_size=3, negatives=2, refresh_every=2, learning_rate=1e-3)
    how = DenseTraining(passages=FirstP(), depth=5, split=split)

    def stop(line: str) -> None:
        if "step 4" in line:
            raise _Stop

    with pytest.raises(_Stop):
        train_on_dataset(datasets, encoder(), tmp_path / "parts", settings, how, say=stop)
    with pytest.raises(TrainingError, match="weight"):
        train_on_dataset(datasets, encoder(), tmp_path / "parts", settings, how, weights=(1.0, 9.0))
    with pytest.raises(TrainingError, match="dataset"):
        train_on_dataset(datasets[:1], encoder(), tmp_path / "parts", settings, how, split="train")
    train_on_dataset(datasets, encoder(), tmp_path / "parts", settings, how)
    models = [(tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("whole", "parts")]
    assert models[0] == models[1]


def test_a_single_dataset_in_a_list_is_the_run_that_it_was(dataset: Dataset, tmp_path: Path) -> None:
    alone = _train(dataset, tmp_path / "run", negatives="random")
    assert {"name", "fingerprint", "split"} <= alone["dataset"].keys()
    assert "sets" not in alone["dataset"]
    assert alone["environment"]["place"]["dataset"] == dataset.source
    assert _train([dataset], tmp_path / "run", negatives="random")["dataset"] == alone["dataset"]


@pytest.mark.slow
@pytest.mark.parametrize("corpora", [1, 2])
def test_an_inferencer_needs_the_folder_alone(dataset: Dataset, other: Dataset, tmp_path: Path, corpora: int) -> None:
    """The trainer ends at its first step, for want of negatives; then an inferencer that knows nothing but the folder mines them."""
    datasets, split = ([dataset, other], "train") if corpora == 2 else ([dataset, dataset], ("train", "test"))
    said: list[str] = []

    def first(self: Trainer[DenseEncoder], *rest: Any) -> None:
        self.run.save(0, self.model, torch.optim.AdamW(self.model.parameters()))
        raise _Stop

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_train", first)
        with pytest.raises(_Stop):
            _train(datasets, tmp_path / "run", split=split, inferencers=())
    with pytest.raises(TrainingError, match="nothing was heard"):
        run_inferencer(tmp_path / "run", patience=2.0, say=said.append)
    mined = np.load(tmp_path / "run" / "negatives" / "step-000000" / "candidates.npy")
    assert len(mined) == (32 if corpora == 2 else 30)
    moved = tmp_path / "moved"
    shutil.copytree(dataset.source, moved)
    (moved / "queries.train.tsv").write_text("q0\twho\n")
    with pytest.raises(TrainingError, match="moved"):
        run_inferencer(tmp_path / "run", dataset=[str(moved), datasets[1].source], patience=1.0, say=said.append)
    with pytest.raises(TrainingError, match="--dataset"):
        run_inferencer(tmp_path / "run", dataset=dataset.source, patience=1.0, say=said.append)


def test_queries_of_one_set_in_the_test_queries_of_another_are_reported(
    dataset: Dataset, other: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _train([dataset, other], tmp_path / "run", negatives="random", steps=1)
    assert f"1 of 8 training queries are among those of split '{dataset.name}, test' ('q7')" in caplog.text


def test_settings_that_do_not_fit_the_sets_are_refused(dataset: Dataset, other: Dataset, tmp_path: Path) -> None:
    for options in ({"split": ("train", "train", "test")}, {"weights": (1.0, 1.0, 1.0)}, {"weights": (1.0, 0.0)}):
        with pytest.raises(UsageError):
            _train([dataset, other], tmp_path / "run", negatives="random", **options)
    _train(dataset, tmp_path / "first", steps=2)
    index = tmp_path / "first" / "negatives" / "step-000000" / "index.ance"
    with pytest.raises(UsageError, match="2 corpora"):
        _train([dataset, other], tmp_path / "run", mining=Mining(reuse=str(index)))
    assert not (tmp_path / "run").exists()


def test_rerankers_train_on_several_sets(dataset: Dataset, other: Dataset, tmp_path: Path) -> None:
    settings = TrainingSettings(steps=4, batch_size=3, refresh_every=4)
    train_reranker_on_dataset([dataset, other], cross_encoder(), tmp_path / "run", settings, weights=(1, 1), dev_split="test")
    assert len(TrainingRun(tmp_path / "run").manifest["dataset"]["sets"]) == 2
