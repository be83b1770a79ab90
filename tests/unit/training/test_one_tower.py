"""One of two towers is trained alone: where it is that of the queries, an index stays valid and nothing is encoded again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ance_ir.datasets import Dataset
from ance_ir.errors import FingerprintError, UsageError
from ance_ir.files import read_json
from ance_ir.indexes import AnceIndex, FirstP, index_documents
from ance_ir.indexes.mining import AnnMiner
from ance_ir.indexes.store.cutting import Cutting
from ance_ir.models import DenseEncoder
from ance_ir.training import DenseObjective, MinedNegatives, TrainingQueries, TrainingSettings, read_metrics
from ance_ir.training.batches import Batch
from ance_ir.workflows import Mining, train_on_dataset
from tests.breaking import timeless_lines
from tests.tiny import encoder

DOCUMENTS = 38
BATCH = Batch(queries=np.array([1, 4]), positives=np.array([1, 4]), negatives=np.array([[7, 8], [9, 7]]), in_batch="all")


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many documents each encoding of a part of a corpus has read."""
    counts: list[int] = []
    real = Cutting.pieces

    def counting(self: Cutting, numbers: np.ndarray) -> Iterator[np.ndarray]:
        counts.append(len(numbers))
        return real(self, numbers)

    monkeypatch.setattr(Cutting, "pieces", counting)
    return counts


def train(dataset: Dataset | list[Dataset], folder: Path, model: DenseEncoder | None = None, **options: Any) -> DenseEncoder:
    settings = TrainingSettings(steps=6, batch_size=3, negatives=2, refresh_every=2, learning_rate=1e-2)
    usual = {"passages": FirstP(), "depth": 5, "train_tower": "query"}
    return train_on_dataset(dataset, model or encoder().with_separate_towers(), folder, settings, **{**usual, **options})


def refreshes(folder: Path) -> list[dict[str, Any]]:
    return [line["refresh"] for line in read_metrics(folder / "metrics.jsonl") if "refresh" in line]


def changed(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return not all(torch.equal(before, after) for before, after in pairs)


def test_a_refresh_searches_again_and_encodes_nothing(
    dataset: Dataset, queries: TrainingQueries, tmp_path: Path, encoded: list[int]
) -> None:
    trained = train(dataset, tmp_path / "run")
    assert changed(trained.query_tower, encoder().query_tower)
    assert not changed(trained.passage_tower, encoder().passage_tower)
    assert sum(encoded) == DOCUMENTS
    assert [report["documents_encoded"] for report in refreshes(tmp_path / "run")] == [DOCUMENTS, 0, 0]
    assert [path.parent.name for path in (tmp_path / "run" / "negatives").glob("*/index.ance")] == ["step-000004"]
    manifest = read_json(tmp_path / "run" / "run.json")
    assert (manifest["train_tower"], manifest["towers"]) == ("query", "separated")

    checkpoint = DenseEncoder.from_pretrained(tmp_path / "run" / "checkpoints" / "step-000004" / "model", device="cpu")
    AnnMiner(queries, dataset.store(), FirstP(), depth=5).mine(checkpoint, tmp_path / "elsewhere", 4, None)
    assert sum(encoded) == 2 * DOCUMENTS
    mined, again = (MinedNegatives.read(folder) for folder in (tmp_path / "run" / "negatives" / "step-000004", tmp_path / "elsewhere"))
    np.testing.assert_array_equal(mined.candidates_QK, again.candidates_QK)
    np.testing.assert_allclose(mined.scores_QK, again.scores_QK, rtol=1e-5)


def test_an_index_that_another_process_removes_meanwhile_is_made_again(
    dataset: Dataset, tmp_path: Path, encoded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def vanished(source: str, target: str) -> None:
        raise FileNotFoundError(2, "No such file or directory", source)

    monkeypatch.setattr("ance_ir.indexes.store.corpus.linked_copy", vanished)
    train(dataset, tmp_path / "run")
    assert sum(encoded) == 3 * DOCUMENTS


def test_kept_indexes_are_of_the_checkpoints_that_searched_them(dataset: Dataset, tmp_path: Path) -> None:
    model = encoder().with_separate_towers()
    train(dataset, tmp_path / "run", model, keep_indexes=True)
    assert model.name == str((tmp_path / "run" / "model").resolve())
    checkpoints = tmp_path / "run" / "checkpoints"
    kept = sorted((tmp_path / "run" / "negatives").glob("*/index.ance"))
    assert [path.parent.name for path in kept] == ["step-000000", "step-000002", "step-000004"]
    for path in kept:
        index = AnceIndex(path)
        index.verify()
        made = index.manifest["encoding"]
        assert made["model"] == ("tiny" if path == kept[0] else str((checkpoints / path.parent.name / "model").resolve()))
        if path != kept[0]:
            assert index.model(device="cpu").fingerprint() == made["fingerprint"]


@pytest.mark.parametrize("corpora", [1, 2])
def test_an_interrupted_run_ends_the_same(dataset: Dataset, collection: Path, tmp_path: Path, encoded: list[int], corpora: int) -> None:
    datasets = [dataset]
    if corpora == 2:
        shutil.copytree(collection, tmp_path / "other")
        (tmp_path / "other" / "corpus.jsonl").open("a").write('{"docno": "more", "text": "a star and a moon"}\n')
        datasets.append(type(dataset)(tmp_path / "other"))

    def stop(line: str) -> None:
        if "step 4" in line:
            raise KeyboardInterrupt

    whole = train(datasets, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(datasets, tmp_path / "parts", say=stop)
    parts = train(datasets, tmp_path / "parts")
    assert not changed(whole, parts)
    assert timeless_lines(tmp_path / "whole") == timeless_lines(tmp_path / "parts")
    documents = DOCUMENTS * corpora + (corpora - 1)
    assert [report["documents_encoded"] for report in refreshes(tmp_path / "parts")] == [documents, 0, 0]
    assert sum(encoded) == 2 * documents


def test_an_index_of_the_model_that_training_began_with_stays_valid(dataset: Dataset, tmp_path: Path, encoded: list[int]) -> None:
    index = index_documents(tmp_path / "x.ance", encoder(), dataset.documents(), FirstP())
    encoded.clear()
    trained = train(dataset, tmp_path / "run", mining=Mining(reuse=str(tmp_path / "x.ance")))
    assert not sum(encoded)
    assert [report["documents_encoded"] for report in refreshes(tmp_path / "run")] == [0, 0, 0]
    opened = DenseEncoder.from_pretrained(tmp_path / "run", device="cpu")
    assert opened.fingerprints()[1] == trained.fingerprints()[1] == encoder().fingerprints()[1]
    assert opened.fingerprint() != encoder().fingerprint()
    asked = dataset.queries("test")
    found = AnceIndex(tmp_path / "x.ance").retriever(opened, 5).transform(asked)
    fresh = index_documents(tmp_path / "y.ance", opened, dataset.documents(), FirstP()).retriever(opened, 5).transform(asked)
    assert found[["qid", "docno", "rank"]].equals(fresh[["qid", "docno", "rank"]])
    assert not found["score"].equals(index.retriever(encoder(), 5).transform(asked)["score"])


def test_a_model_whose_passages_differ_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    index = index_documents(tmp_path / "x.ance", encoder(), dataset.documents(), FirstP())
    for other in (
        train(dataset, tmp_path / "passage", train_tower="passage"),
        train(dataset, tmp_path / "both", train_tower=None),
        encoder().with_settings(query_length=9),
        encoder(shared=False),
    ):
        with pytest.raises(FingerprintError):
            index.retriever(other)


def test_training_the_passage_tower_encodes_the_corpus_at_each_refresh(dataset: Dataset, tmp_path: Path, encoded: list[int]) -> None:
    trained = train(dataset, tmp_path / "run", train_tower="passage")
    assert changed(trained.passage_tower, encoder().passage_tower)
    assert not changed(trained.query_tower, encoder().query_tower)
    assert encoded == [DOCUMENTS] * 3


def test_a_converted_model_has_the_fingerprint_of_its_passages(dataset: Dataset) -> None:
    assert encoder().at_precision("bfloat16").fingerprints()[1] == encoder().fingerprints()[1]


@pytest.mark.parametrize("tower", ["query", "passage"])
def test_grad_cache_gives_the_same_gradients(dataset: Dataset, queries: TrainingQueries, tower: str) -> None:
    model = encoder(shared=False)
    found = []
    for grad_cache in (False, True):
        model.zero_grad()
        objective = DenseObjective(model, queries, dataset.store(), FirstP(), loss="nll", train_tower=tower, grad_cache=grad_cache)
        objective.backward(BATCH, 1.0, 1.0)
        found.append({name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None})
    assert found[0].keys() == found[1].keys()
    assert all(name.startswith(f"{tower}_tower.") for name in found[0])
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient, rtol=1e-4, atol=1e-5)


def test_the_other_tower_computes_as_in_an_index(dataset: Dataset, queries: TrainingQueries) -> None:
    model = encoder(shared=False)
    seen: list[torch.Tensor] = []
    model.passage_tower.register_forward_hook(lambda module, inputs, output: seen.append(output))
    objective = DenseObjective(model, queries, dataset.store(), FirstP(), train_tower="query")
    model.train()
    objective.backward(BATCH, 1.0, 1.0)
    assert not seen[0].requires_grad
    texts = [dataset.store()[number]["text"] for number in (1, 4, 7, 8, 9)]
    vectors = model.eval().encode_passages(texts)
    np.testing.assert_allclose(np.sort(np.concatenate([one.numpy() for one in seen[:-1]]), 0), np.sort(vectors, 0), rtol=1e-4, atol=1e-5)


def test_what_cannot_be_trained_alone_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"query.*tiny.*separate"):
        train(dataset, tmp_path / "run", encoder())
    with pytest.raises(UsageError, match=r"'both'.*query, passage"):
        train(dataset, tmp_path / "run", train_tower="both")
    assert not (tmp_path / "run").exists()
    with pytest.raises(UsageError, match="bfloat16"):
        encoder().at_precision("bfloat16").with_separate_towers()


def test_separate_towers_are_copies(dataset: Dataset, caplog: pytest.LogCaptureFixture) -> None:
    shared = encoder(normalize=True, head=12)
    model = shared.with_separate_towers()
    expected = shared.encode_passages(["a cat"])
    assert shared.shared
    assert not model.shared
    np.testing.assert_allclose(model.encode_passages(["a cat"]), expected, atol=1e-5)
    model.query_tower.backbone.embeddings.word_embeddings.weight.data += 1
    np.testing.assert_allclose(model.encode_passages(["a cat"]), expected, atol=1e-5)
    assert not caplog.messages
    assert model.with_separate_towers() is model
    assert f"separate_towers: {model.name}" in caplog.text


def test_indexes_that_are_kept_are_the_same_files(dataset: Dataset, queries: TrainingQueries, tmp_path: Path) -> None:
    train(dataset, tmp_path / "run", keep_indexes=True)
    first, *others = sorted((tmp_path / "run" / "negatives").glob("*/index.ance/vectors-*.npy"))
    assert len(others) == 2
    assert all(other.samefile(first) for other in others)


def test_an_index_stays_until_what_it_serves_is_published(dataset: Dataset, queries: TrainingQueries, tmp_path: Path) -> None:
    """An inferencer's refresh that is not done when training ends is removed, with its index."""
    miner = AnnMiner(queries, dataset.store(), FirstP(), depth=5, evaluate=lambda index, model: 1 / 0)
    model = encoder()
    with pytest.raises(ZeroDivisionError):
        miner.mine(model, tmp_path / "step-000000", 0, None)
    with pytest.raises(ZeroDivisionError):
        miner.mine(model, tmp_path / "step-000002", 2, None)
    shutil.rmtree(tmp_path / "step-000002")
    assert AnceIndex(tmp_path / "step-000000" / "index.ance").built()
