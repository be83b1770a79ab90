"""Collections of ir_datasets as its own code reads them, from files in the layout of its cache."""

from __future__ import annotations

import gzip
import sys
import threading
import tracemalloc
from pathlib import Path

import ir_datasets
import pytest

from ance_ir.cli.main import main
from ance_ir.datasets import IrDataset, TrainingInstance, describe, load_dataset
from ance_ir.datasets.sources import _catalogue
from ance_ir.errors import DatasetError, DatasetNotFoundError
from ance_ir.eval import dataset_runs, evaluate_on_dataset, published_on, suite_of
from tests.catalogue import HAS_PARQUET, PASSAGES, open_catalogue, write_home


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``$IR_DATASETS_HOME`` with a few collections."""
    folder = tmp_path / "home"
    write_home(folder)
    open_catalogue(folder, monkeypatch)
    monkeypatch.setenv("ANCE_IR_CACHE", str(tmp_path / "cache"))  # where the real collections' documents would be
    return folder


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``$IR_DATASETS_HOME`` without any file."""
    folder = tmp_path / "empty"
    open_catalogue(folder, monkeypatch)
    return folder


@pytest.mark.parametrize(
    ("name", "splits"),
    [
        ("msmarco-passage/dev", ("test", "2", "judged", "small")),
        ("msmarco-passage/dev/small", ("test",)),
        ("beir/scifact", ("test", "train")),  # "test" is the one below, not all queries
        ("beir/nq", ("test",)),
        ("dpr-w100", ("natural-questions/dev", "natural-questions/train", "trivia-qa/dev", "trivia-qa/train")),
        ("nq/train", ("test",)),
        ("beir", ()),  # what lies below has other documents
    ],
)
def test_the_ids_below_are_splits(empty: Path, name: str, splits: tuple[str, ...]) -> None:
    assert load_dataset(name).splits == splits


def test_every_split_of_the_real_catalogue_has_the_datasets_own_documents() -> None:
    marco = load_dataset("msmarco-passage")
    assert {"train", "train/triples-small", "dev/small", "eval", "trec-dl-2019/judged"} < set(marco.splits)
    assert "test" not in marco.splits
    for split in marco.splits:
        assert IrDataset(marco.queries_name(split)).corpus_fingerprint == marco.corpus_fingerprint
    assert load_dataset("clueweb12").splits == tuple(split for split in load_dataset("clueweb12").splits if not split.startswith("b13"))


@pytest.mark.parametrize(
    ("name", "split", "identifier"),
    [
        ("msmarco-passage", "train", "msmarco-passage/train"),
        ("msmarco-passage", "dev/small", "msmarco-passage/dev/small"),
        ("msmarco-passage/dev", "small", "msmarco-passage/dev/small"),
        ("msmarco-passage/train", "train", "msmarco-passage/train"),
        ("msmarco-passage/train", "test", "msmarco-passage/train"),
        ("msmarco-passage/dev/small", "small", "msmarco-passage/dev/small"),
        ("msmarco-passage/dev/small", "dev/small", "msmarco-passage/dev/small"),
        ("nq/train", "train", "dpr-w100/natural-questions/train"),
        ("trec-dl-2019", "test", "msmarco-passage/trec-dl-2019/judged"),
        ("beir/scifact", "test", "beir/scifact/test"),
        ("beir/scifact", "scifact", "beir/scifact"),
        ("beir/scifact/test", "test", "beir/scifact/test"),
    ],
)
def test_a_split_by_its_name(empty: Path, name: str, split: str, identifier: str) -> None:
    dataset = load_dataset(name)
    assert dataset.queries_name(split) == identifier
    assert dataset.has_split(split)


@pytest.mark.parametrize(
    ("name", "split", "found"),
    [
        ("msmarco-passage", "test", r"'test'.*train/triples-v2"),
        ("msmarco-passage", "dev/smal", r"'dev/smal'; did you mean 'dev/small'"),
        ("nq/train", "dev", r"'dev'.*test.*dpr-w100/natural-questions/dev, dpr-w100/trivia-qa/dev"),
        ("beir", "scifact/test", r"beir/scifact/test has other documents"),
        ("beir/scifact", "dev", r"'dev'\. Its splits: test, train\.$"),
        ("beir/scifact", "", r"''\. Its splits"),
    ],
)
def test_an_unknown_split_is_an_error_with_those_that_there_are(empty: Path, name: str, split: str, found: str) -> None:
    dataset = load_dataset(name)
    assert not dataset.has_split(split)
    for read in (dataset.queries, dataset.qrels, dataset.answers, dataset.instances, suite_of.__get__(dataset)):
        with pytest.raises(DatasetNotFoundError, match=rf"^{name}.*{found}"):
            read(split)


def test_msmarco_is_read_by_split(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    dataset = load_dataset("msmarco-passage")
    assert [document["text"] for document in dataset.documents()] == list(PASSAGES)
    assert dataset.queries("dev/small").to_dict("list") == {"qid": ["100"], "query": ["which animal did humans keep first"]}
    assert dataset.qrels("dev/judged").values.tolist() == [["100", "1", 1], ["101", "2", 1]]
    assert dataset.queries("dev/judged")["qid"].tolist() == ["100", "101"]
    assert dataset.qrels("trec-dl-2019/judged")["label"].tolist() == [3, 1, 0]
    assert dataset.queries("train").equals(load_dataset("msmarco-passage/train").queries("train"))
    assert dataset.store().get(["3"]) == [{"docno": "3", "text": PASSAGES[3]}]
    assert capfd.readouterr() == ("", "")


def test_beir_dpr_nano_beir_and_bright_are_read(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    scifact = load_dataset("beir/scifact")
    assert next(iter(scifact.documents())) == {"docno": "0", "title": "Title 0", "text": PASSAGES[0]}
    assert (scifact.queries("train")["qid"].tolist(), scifact.queries("test")["qid"].tolist()) == (["0", "1"], ["2"])
    questions = load_dataset("dpr-w100")
    assert questions.answers("natural-questions/dev")["answers"].tolist() == [["Dogs", "dog"], ["plants"]]
    assert next(iter(questions.documents())) == {"docno": "0", "title": "Title 0", "text": PASSAGES[0]}
    if HAS_PARQUET:
        nano, pony = load_dataset("nano-beir/scifact"), load_dataset("bright/pony")
        assert [document["text"] for document in nano.documents()] == [document["text"] for document in pony.documents()] == list(PASSAGES)
        assert nano.qrels().values.tolist() == [["q1", "2", 1]]
        assert pony.queries().values.tolist() == [["7", "why"]]
        assert pony.qrels()["label"].tolist() == [1, -100]
    assert capfd.readouterr() == ("", ""), "the catalogue's progress bars are not shown"


def test_pairs_are_training_instances(home: Path) -> None:
    instances = list(load_dataset("msmarco-passage").instances("train"))
    assert instances[:4] == [
        TrainingInstance(qid="0", positives=("0",), negatives=("2", "3")),  # "1" is relevant as well
        TrainingInstance(qid="0", positives=("1",), negatives=("4",)),
        TrainingInstance(qid="2", positives=("2",), negatives=("3",)),
        TrainingInstance(qid="0", positives=("0",), negatives=("5",)),
    ]
    rest = [TrainingInstance(qid=str(number), positives=(str(number),)) for number in range(11) if number not in (0, 2)]
    assert instances[4:] == rest, "queries without pairs keep their positives"


def test_a_long_sequence_of_pairs_is_a_stream(home: Path) -> None:
    count = 50_000
    rows = "".join(f"3\t3\t{5 + number % 5}\n" for number in range(count))
    (home / "msmarco-passage/train/docpairs.tsv.gz").write_bytes(gzip.compress(rows.encode()))
    instances = load_dataset("msmarco-passage").instances("train")
    first = next(instances)
    assert (first.qid, len(first.negatives)) == ("3", 1000)
    tracemalloc.start()
    assert sum(len(instance.negatives) for instance in instances) == count - 1000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 << 20


def test_candidates_that_are_not_relevant_are_negatives(home: Path) -> None:
    dataset = load_dataset("msmarco-passage")
    assert list(dataset.instances("dev/small")) == [TrainingInstance(qid="100", positives=("1",), negatives=("0", "2"))]
    (home / "msmarco-passage/trec-dl-2019/ms.run").write_text("200 Q0 8 2 1.5 x\n200 Q0 4 1 9 x\n200 Q0 6 1 3 x\n201 Q0 7 1 1 x\n")
    assert list(dataset.instances("trec-dl-2019")) == [TrainingInstance(qid="200", positives=("4", "5"), negatives=("6", "8"))]


def test_labels_of_negative_samples_are_negatives(home: Path) -> None:
    assert list(load_dataset("nq/train").instances("train")) == [
        TrainingInstance(qid="0", positives=("1",), negatives=("3", "2", "7")),  # the hard ones of DPR first
        TrainingInstance(qid="1", positives=("8",)),
    ]


def test_other_judgements_are_no_negatives(home: Path) -> None:
    (home / "msmarco-passage/dev/qrels").write_text("100\t0\t1\t1\n100\t0\t3\t0\n")
    assert list(load_dataset("msmarco-passage").instances("dev")) == [TrainingInstance(qid="100", positives=("1",))]
    if HAS_PARQUET:
        assert list(load_dataset("bright/pony").instances("test")) == [TrainingInstance(qid="7", positives=("p/1",))]


@pytest.mark.parametrize("rows", ["0\t0\t \n", "0\t0\n"])
def test_pairs_that_are_none_are_named(home: Path, rows: str) -> None:
    (home / "msmarco-passage/train/docpairs.tsv.gz").write_bytes(gzip.compress(rows.encode()))
    with pytest.raises(DatasetError, match="msmarco-passage/train"):
        list(load_dataset("msmarco-passage").instances("train"))


def test_cut_pairs_say_what_to_do(home: Path) -> None:
    path = home / "msmarco-passage/train/docpairs.tsv.gz"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DatasetNotFoundError, match=r"msmarco-passage/train.*IR_DATASETS_HOME"):
        list(load_dataset("msmarco-passage").instances("train"))


def test_what_has_to_be_installed_is_said_alone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise ImportError("run 'pip install ir_datasets[ijson]'")

    monkeypatch.setattr(ir_datasets.lazy_libs, "ijson", missing)
    with pytest.raises(DatasetNotFoundError, match=r"natural-questions/dev': run 'pip install ir_datasets\[ijson\]'$"):
        load_dataset("nq/dev").queries()


def test_candidates_of_every_split_are_a_stage(home: Path) -> None:
    dataset = load_dataset("msmarco-passage")
    assert dataset_runs(dataset, "dev") == {}
    for split, found in (("dev/small", {"0", "1", "2"}), ("trec-dl-2019/judged", {"8", "4", "6"})):
        run = dataset_runs(dataset, split)["candidates"]
        assert set(run(dataset.queries(split))["docno"]) == found
    evaluation = evaluate_on_dataset(dataset, ["candidates % 2"], split="dev/small")
    assert evaluation.measures == ["RR@10", "nDCG@10", "R@1000"], "those of MS MARCO's development set"
    assert evaluation.table().loc["candidates % 2", "RR@10"] == 0.5


@pytest.mark.parametrize(
    ("name", "split", "suite", "compared"),
    [
        ("msmarco-passage", "dev/small", "msmarco-passage/dev", True),
        ("msmarco-passage", "dev", "msmarco-passage/dev", False),
        ("msmarco-passage/dev", "test", "msmarco-passage/dev", False),
        ("msmarco-passage/dev", "small", "msmarco-passage/dev", True),
        ("msmarco-passage", "train", "judged", False),
        ("msmarco-passage", "trec-dl-2019/judged", "trec-dl-2019/passage", True),
        ("dpr-w100", "natural-questions/dev", "nq", False),
        ("nq/dev", "dev", "nq", False),
        ("beir/scifact", "test", "beir", True),
        ("beir/scifact", "train", "beir", False),
    ],
)
def test_a_splits_suite_is_that_of_its_queries(home: Path, name: str, split: str, suite: str, compared: bool) -> None:
    assert suite_of(load_dataset(name), split).name == suite
    assert bool(published_on(load_dataset(name), split)) == compared


def test_what_the_catalogue_has_is_shown_without_a_download(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    splits = describe(load_dataset("msmarco-passage")).splits.set_index("split")
    assert splits.loc["train"].to_dict() == {
        "queries": 808731,
        "judgements": 532761,
        "relevant": 532761,
        "negatives": 269919004,
        "candidates": 478002393,
    }
    assert describe(load_dataset("nq/train")).splits["negatives"].tolist() == [8392053]
    assert main(["info", "beir/scifact"]) == 0
    shown = capsys.readouterr().out
    assert "5,183" in shown
    assert [line.split()[:2] for line in shown.splitlines()[-2:]] == [["test", "300"], ["train", "809"]]


def test_what_other_threads_write_is_not_lost(capsys: pytest.CaptureFixture[str]) -> None:
    before, here, there = sys.stderr, threading.Event(), threading.Event()

    def work() -> None:
        print("a warning", file=sys.stderr)
        with _catalogue._quiet.within():
            here.set()
            there.wait(10)
            print("another bar", file=sys.stderr)

    thread = threading.Thread(target=work)
    with _catalogue._quiet.within():
        print("a bar", file=sys.stderr)
        thread.start()
        assert here.wait(10)
    print("an error", file=sys.stderr)
    there.set()
    thread.join()
    assert sys.stderr is before
    assert capsys.readouterr().err == "a warning\nan error\n"
