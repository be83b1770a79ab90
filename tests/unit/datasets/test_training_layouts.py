"""Layouts of training data: round trips, the forms that others' files have, and what is refused."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ance_ir.datasets import FileDataset, convert, load_dataset
from ance_ir.datasets.contents import FIELDS, LossError
from ance_ir.datasets.ids import text_id
from ance_ir.datasets.instances import TrainingRecord, with_texts
from ance_ir.datasets.layouts import LAYOUTS
from ance_ir.errors import DatasetError, DatasetNotFoundError, MalformedFileError, UsageError

TEXTS = ["Cats sleep all day.", 'Dogs "bark", größe 日本.', "Birds, fish", "trees"]
TRAINING = ("colbert", "dpr", "flagembedding", "sentence-transformers", "tevatron", "tevatron-v2")
FILES = {"dpr": "x.json", **dict.fromkeys(("flagembedding", "sentence-transformers", "tevatron"), "x.jsonl")}
"""The layouts of one file of records, and a name for it."""


def lines(*values: Any) -> str:
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A collection with all that training data may have; its ids are numbers, as ColBERT wants them."""
    documents = [{"docno": str(number), **({"title": "Pets"} if number < 2 else {}), "text": text} for number, text in enumerate(TEXTS)]
    first = {"qid": "5", "positives": ["0", "2"], "negatives": ["3", "1"], "positive_scores": [2.5, 1], "negative_scores": [-0.5, 0]}
    second = {"qid": "6", "positives": ["1"], "negatives": ["0", "2"], "positive_scores": [7], "negative_scores": [3, 2]}
    return write(
        tmp_path / "pets",
        {
            "corpus.jsonl": lines(*documents),
            "queries.train.tsv": "5\twho sleeps\n6\twho barks\n",
            "qrels.train.txt": "5 0 0 1\n5 0 2 1\n6 0 1 1\n",
            "instances.train.jsonl": lines(first | {"prompt": "find"}, second | {"prompt": "find"}),
            "answers.train.jsonl": lines({"qid": "5", "question": "who sleeps", "answers": ["cats", "a cat"]}),
            "queries.dev.tsv": "9\twhat swims\n",
            "qrels.dev.txt": "9 0 2 1\n",
        },
    )


def drops(layout: str) -> list[str]:
    """What the collection has and a layout cannot hold."""
    return sorted({"docno", "title", "corpus", "qid", "answers", "negatives", "scores", "prompt", "splits"} - LAYOUTS[layout].holds)


def drops_of_file(layout: str) -> list[str]:
    """The same where it is one file."""
    return sorted({*drops(layout), "corpus"})


def records_of(path: Path, split: str) -> list[TrainingRecord]:
    dataset = load_dataset(path)
    return list(with_texts(dataset.instances(split), dataset.queries(split), dataset.store()))


def plain(record: TrainingRecord, holds: frozenset[str]) -> dict[str, Any]:
    """The parts of a record that a layout holds."""
    kept = {"text", *({"docno", "title"} & holds)}
    found: dict[str, Any] = {
        "query": record.query,
        "positives": [{name: value for name, value in document.items() if name in kept} for document in record.positives],
    }
    if "negatives" in holds:
        found["negatives"] = [{name: value for name, value in document.items() if name in kept} for document in record.negatives]
    if "scores" in holds:
        found["scores"] = [list(record.positive_scores), list(record.negative_scores)]
    return found | ({"qid": record.qid} if "qid" in holds else {}) | ({"prompt": record.prompt} if "prompt" in holds else {})


@pytest.mark.parametrize("layout", TRAINING)
def test_round_trips_keep_what_a_layout_holds(layout: str, source: Path, tmp_path: Path) -> None:
    holds = LAYOUTS[layout].holds
    convert(load_dataset(source), layout, tmp_path / "out", drop=drops(layout))
    again = load_dataset(tmp_path / "out")
    assert isinstance(again, FileDataset)
    assert (again.layout, again.splits) == (layout, ("dev", "train"))
    for split in ("train", "dev"):
        expected = [plain(record, holds) for record in records_of(source, split)]
        assert [plain(record, holds) for record in records_of(tmp_path / "out", split)] == expected
        assert len(again.qrels(split)) == sum(len(record["positives"]) for record in expected)
    if "corpus" in holds:
        assert [document["text"] for document in again.documents()] == TEXTS
    if "answers" in holds:
        assert again.answers("train")["answers"].tolist() == [["cats", "a cat"], []]
    third = tmp_path / "again" / "out"  # the name is in those of DPR's files
    convert(again, layout, third, drop=sorted({"docno", "qid", "corpus"} - holds))
    assert {path.name: path.read_bytes() for path in third.iterdir()} == {
        path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()
    }


@pytest.mark.parametrize("layout", TRAINING)
def test_each_loss_is_refused(layout: str, source: Path, tmp_path: Path) -> None:
    for missing in drops(layout):
        with pytest.raises(LossError, match=f"--drop {missing}$"):
            convert(load_dataset(source), layout, tmp_path / "out", drop=[name for name in drops(layout) if name != missing])
        assert [path.name for path in tmp_path.iterdir() if path.name not in ("pets", "cache")] == []


@pytest.mark.parametrize("layout", FILES)
def test_a_file_holds_one_split_and_its_name_says_which(layout: str, source: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="dev, train"):
        convert(load_dataset(source), layout, tmp_path / FILES[layout], drop=drops_of_file(layout))
    for name, split in (("my-dev", "dev"), ("x", "train")):
        path = tmp_path / f"{name}{Path(FILES[layout]).suffix}.gz"
        convert(load_dataset(source), layout, path, drop=drops_of_file(layout), splits=["dev"])
        assert path.read_bytes()[:2] == b"\x1f\x8b"
        assert load_dataset(path).splits == (split,)
    for name in ("x.parquet", "x.txt", "x.txt.gz"):  # under which it would not be recognised
        with pytest.raises(UsageError, match=re.escape(name)):
            convert(load_dataset(source), layout, tmp_path / name, drop=drops_of_file(layout), splits=["dev"])


def test_tuples_of_different_lengths_become_triplets_and_come_back_whole(tmp_path: Path) -> None:
    def record(query: str, positives: int, negatives: int, scored: bool) -> TrainingRecord:
        sides = [
            tuple({"docno": "", "text": f"{side}{number}"} for number in range(count))
            for side, count in (("p", positives), ("n", negatives))
        ]
        scores = [tuple(float(len(side) + number) for number in range(len(side))) if scored else () for side in sides]
        return TrainingRecord(
            qid="", query=query, positives=sides[0], negatives=sides[1], positive_scores=scores[0], negative_scores=scores[1]
        )

    layout = LAYOUTS["sentence-transformers"]
    assert layout.write_records is not None
    for scored in (False, True):
        path = tmp_path / f"{scored}.jsonl"
        written = [record("a", 2, 3, scored), record("b", 1, 2, scored), record("c", 3, 1, scored)]
        layout.write_records(iter(written), path)
        assert {frozenset(json.loads(line)) for line in path.open()} == {
            frozenset({"anchor", "positive", "negative", *(["scores"] if scored else [])})
        }
        assert [plain(one, layout.holds) for one in records_of(path, "train")] == [plain(one, layout.holds) for one in written]
    with pytest.raises(UsageError, match="some have none"):
        layout.write_records(iter([record("a", 1, 2, False), record("b", 1, 0, False)]), tmp_path / "x.jsonl")
    with pytest.raises(UsageError, match="'' differs"):
        layout.write_records(iter([record("a", 1, 2, False), record("b", 1, 2, True)]), tmp_path / "x.jsonl")
    with pytest.raises(LossError, match=r"'a'.*--drop scores"):
        layout.write_records(iter([record("a", 1, 0, True)]), tmp_path / "x.jsonl")
    assert not (tmp_path / "x.jsonl").exists()


def test_margins_of_several_positives_are_put_on_one_scale(tmp_path: Path) -> None:
    teacher = {"p": 5.0, "o": 3.0, "x": 9.0, "n": 1.0, "m": 4.0, "l": -2.0}
    pairs = [("p", "n"), ("x", "l"), ("o", "m"), ("p", "m"), ("o", "l")]  # x and p are compared by way of o
    rows = [{"query": "q", "positive": one, "negative": other, "label": teacher[one] - teacher[other]} for one, other in pairs]
    rows.insert(2, {"query": "r", "positive": "n", "negative": "l", "label": 3.0})
    write(tmp_path, {"x.jsonl": lines(*rows)})
    dataset = load_dataset(tmp_path / "x.jsonl")
    texts = {document["docno"]: document["text"] for document in dataset.documents()}
    found: dict[str, set[float]] = {}
    for one in dataset.instances("train"):
        assert one.margins
        if one.qid == text_id("q"):
            docnos, scores = (*one.positives, *one.negatives), (*one.positive_scores, *one.negative_scores)
            for docno, score in zip(docnos, scores, strict=True):
                found.setdefault(texts[docno], set()).add(score - teacher[texts[docno]])
    assert set(found) == set("poxnml")
    assert set.union(*found.values()) == {-5.0}


def test_margins_of_positives_that_nothing_compares_are_refused(tmp_path: Path) -> None:
    rows = [{"query": "who", "positive": one, "negative": other, "label": 1} for one, other in (("p", "n"), ("o", "m"))]
    write(tmp_path, {"x.jsonl": lines(*rows)})
    with pytest.raises(DatasetError, match=r"'who'.*'p' and 'o'"):
        list(load_dataset(tmp_path / "x.jsonl").instances("train"))


def test_colberts_ids_are_numbers(source: Path, tmp_path: Path) -> None:
    drop = drops("colbert")
    text = (source / "queries.train.tsv").read_text().replace("5\t", "five\t")
    (source / "queries.train.tsv").write_text(text)
    with pytest.raises(LossError, match=r"'five'.*--drop qid"):
        convert(load_dataset(source), "colbert", tmp_path / "out", drop=drop, splits=["dev", "train"])
    corpus = (source / "corpus.jsonl").read_text().splitlines(keepends=True)
    (source / "corpus.jsonl").write_text("".join(corpus[::-1]))
    with pytest.raises(LossError, match=r"'3' would be 0.*--drop docno"):
        convert(load_dataset(source), "colbert", tmp_path / "out", drop=[*drop, "qid"])
    convert(load_dataset(source), "colbert", tmp_path / "out", drop=[*drop, "docno"], splits=["dev"])
    assert (tmp_path / "out/triples.dev.jsonl").read_text() == "[9, 1]\n"  # fish are on line 1 now
    positive, negative = {"docno": "8", "title": "T", "text": "x\ty\nz"}, {"docno": "3", "text": "n"}
    records = [TrainingRecord(qid="7", query="a\nb", positives=(positive,), negatives=(negative,))]
    write_records = LAYOUTS["colbert"].write_records
    assert write_records is not None
    write_records(iter(records), tmp_path / "folder")
    found = {path.name: path.read_text() for path in (tmp_path / "folder").iterdir()}
    assert found == {"collection.tsv": "0\tx y z\tT\n1\tn\n", "queries.train.tsv": "0\ta b\n", "triples.train.jsonl": "[0, 0, 1]\n"}
    write_records(iter(records), tmp_path / "triples.jsonl")
    assert (tmp_path / "triples.jsonl").read_text() == "[7, 8, 3]\n"
    negative["docno"] = "d3"
    with pytest.raises(UsageError, match="'d3'"):
        write_records(iter(records), tmp_path / "again.jsonl")


P, N = {"docid": 7, "title": None, "text": "p"}, {"docid": "8", "title": "T", "text": "n"}
FORMS: dict[str, tuple[str, str, str | bytes, dict[str, Any]]] = {
    # the layout, a file's name, its content, and what the first instance has
    "tevatron without titles, scores or ids": (
        "tevatron",
        "x.jsonl",
        lines({"query": "q", "positive_passages": [{"text": "p"}], "negative_passages": [{"text": "n", "title": "T"}], "subset": "x"}),
        {"positives": (text_id("", "p"),), "negatives": (text_id("T", "n"),), "qid": text_id("q")},
    ),
    "tevatron with whole numbers as ids": (
        "tevatron",
        "x.json",
        json.dumps([{"query_id": 3, "query": "q", "positive_passages": [P], "negative_passages": [N]}], indent=1),
        {"qid": "3", "positives": ("7",), "negatives": ("8",)},
    ),
    "flagembedding": (
        "flagembedding",
        "no_suffix",
        lines({"query": "q", "pos": ["p"], "neg": ["n", "m"], "pos_scores": None, "neg_scores": [1, 2.5], "prompt": "i", "type": "normal"}),
        {"positives": (text_id("", "p"),), "negative_scores": (1, 2.5), "prompt": "i", "qid": text_id("q")},
    ),
    "pairs": (
        "sentence-transformers",
        "x.csv",
        'question,answer\nq,"p, or\np"\n',
        {"positives": (text_id("", "p, or\np"),), "negatives": ()},
    ),
    "triplets with margins": (
        "sentence-transformers",
        "x.jsonl",
        lines({"query": "q", "positive": "p", "negative": "n", "label": 1.5}),
        {"positive_scores": (0.0,), "negative_scores": (-1.5,)},
    ),
    "tuples with scores as text": (
        "sentence-transformers",
        "x.tsv",
        'id\tanchor\tpositive\tnegative_2\tnegative_10\tscores\n1\tq\tp\tn\tm\t"[3, 2, 1]"\n',
        {"negatives": (text_id("", "n"), text_id("", "m")), "positive_scores": (3,), "negative_scores": (2, 1)},
    ),
    "a missing negative": (
        "sentence-transformers",
        "x.jsonl",
        lines({"anchor": "q", "positive": "p", "negative_1": None, "negative_2": "m", "scores": [3, 0, 1]}),
        {"negatives": (text_id("", "m"),), "positive_scores": (3,), "negative_scores": (1,)},
    ),
    "labelled pairs": (
        "sentence-transformers",
        "x.jsonl",
        lines(*({"anchor": "q", "positive": text, "label": label} for text, label in (("n", 0), ("p", 1), ("o", 1), ("m", 0)))),
        {"positives": (text_id("", "p"), text_id("", "o")), "negatives": (text_id("", "n"), text_id("", "m"))},
    ),
    "labelled lists": (
        "sentence-transformers",
        "x.jsonl",
        lines({"query": "q", "answer": ["n", "p"], "labels": [0, 1]}),
        {"positives": (text_id("", "p"),), "negatives": (text_id("", "n"),)},
    ),
    "scored lists": (
        "sentence-transformers",
        "x.jsonl",
        lines({"query": "q", "answer": ["p", "n"], "scores": [2, 1]}),
        {"positives": (text_id("", "p"),), "negatives": (text_id("", "n"),), "positive_scores": (2,), "negative_scores": (1,)},
    ),
    "dpr": (
        "dpr",
        "biencoder-nq-train.json",
        "[\n"
        + json.dumps(
            {
                "dataset": "nq",
                "question": "q",
                "answers": ["a"],
                "positive_ctxs": [{"title": "T", "text": "p", "score": 1000, "title_score": 1, "passage_id": "7"}],
                "negative_ctxs": [{"title": "T", "text": "n", "score": 0, "title_score": 0, "psg_id": "8"}],
                "hard_negative_ctxs": [{"title": "", "text": "m", "score": 9.5, "title_score": 0, "passage_id": "9"}],
            },
            indent=4,
        )
        + "\n]",
        {"positives": ("7",), "negatives": ("9", "8"), "positive_scores": (1000,), "negative_scores": (9.5, 0), "qid": text_id("q")},
    ),
    "dpr with scores of some": (
        "dpr",
        "x.jsonl",
        lines(
            {
                "question": "q",
                "positive_ctxs": [{"title": "", "text": "p"}],
                "hard_negative_ctxs": [{"text": "m", "score": 1}, {"text": "n"}],
            }
        ),
        {"negatives": (text_id("", "m"), text_id("", "n")), "positive_scores": (), "negative_scores": ()},
    ),
    "msmarco triples": (
        "msmarco-triples",
        "triples.train.small.tsv.gz",
        gzip.compress(b"q a\tp\tn\nq a\tp\tm\nq b\tp\tm\n"),
        {"positives": (text_id("", "p"),), "negatives": (text_id("", "n"), text_id("", "m")), "qid": text_id("q a")},
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_others_files_are_read(form: str, tmp_path: Path) -> None:
    layout, name, content, expected = FORMS[form]
    write(tmp_path, {name: content})
    dataset = load_dataset(tmp_path / name)
    assert isinstance(dataset, FileDataset)
    assert (dataset.layout, dataset.splits) == (layout, ("train",))
    first = next(dataset.instances("train"))
    assert {key: getattr(first, key) for key in expected} == expected
    named = {*first.positives, *first.negatives}
    assert named <= {document["docno"] for document in dataset.documents()}
    assert set(dataset.qrels("train")["docno"]) >= set(first.positives)
    assert first.qid in set(dataset.queries("train")["qid"])


def test_parquet_and_columns_with_other_names(tmp_path: Path) -> None:
    hugging_face = pytest.importorskip("datasets")
    rows = [{"comment": "q", "code": "p", "negative": ["n", "m"]}]
    hugging_face.Dataset.from_list(rows).to_parquet(str(tmp_path / "x.parquet"))
    dataset = load_dataset(f"{tmp_path / 'x.parquet'}[anchor=comment; positive=code]")
    (instance,) = dataset.instances("train")
    assert (instance.qid, len(instance.negatives)) == (text_id("q"), 2)
    record = {"query_id": "1", "query": "q", "positive_passages": [P], "negative_passages": [N]}
    split = hugging_face.Dataset.from_list([record | {"positive_passages": [P | {"title": "T"}]}])
    hugging_face.DatasetDict(train=split, validation=split).save_to_disk(str(tmp_path / "saved"))
    dataset = load_dataset(tmp_path / "saved")
    assert (dataset.splits, next(dataset.instances("validation")).positives) == (("train", "validation"), ("7",))


def test_folders_of_tevatron_with_corpus_and_queries(tmp_path: Path) -> None:
    corpus = lines({"docid": "7", "title": "", "text": "p"}, {"docid": "8", "text": "n"}, {"docid": "9", "text": "o"})
    record = {"query_id": "1", "query_text": "q", "positive_document_ids": ["7"], "negative_document_ids": ["9", "8"]}
    files = {"corpus.jsonl": corpus, "train.jsonl": lines(record), "test.jsonl": lines({"query_id": "2", "query": "r"})}
    dataset = load_dataset(write(tmp_path / "two", files))
    assert isinstance(dataset, FileDataset)
    assert (dataset.layout, dataset.splits) == ("tevatron-v2", ("test", "train"))
    assert [document["docno"] for document in dataset.documents()] == ["7", "8", "9"]
    assert next(dataset.instances("train")).negatives == ("9", "8")
    with pytest.raises(DatasetNotFoundError, match="qrels"):
        dataset.qrels("test")
    with pytest.raises(DatasetError, match="the folder that also has their texts"):
        load_dataset(tmp_path / "two" / "train.jsonl")
    record = {"query_id": "1", "query": "q", "positive_passages": [P], "negative_passages": [{"docid": "10", "text": "x"}]}
    dataset = load_dataset(write(tmp_path / "one", files | {"train.jsonl": lines(record), "dev.jsonl": lines(record)}))
    assert dataset.splits == ("test", "dev", "train")
    assert [document["docno"] for document in dataset.documents()] == ["7", "8", "9", "10"]
    for folder in ("one", "two"):
        before = _fingerprints(tmp_path / folder)
        (tmp_path / folder / "train.jsonl").write_text((tmp_path / folder / "train.jsonl").read_text() * 2)
        after = _fingerprints(tmp_path / folder)
        assert before[0] != after[0]
        assert (before[1] == after[1]) == (folder == "two")  # whose documents are those of the corpus


def _fingerprints(path: Path) -> tuple[str, str]:
    dataset = load_dataset(path)
    return dataset.fingerprint, dataset.corpus_fingerprint


def test_a_folder_of_training_files_is_one_split_unless_names_say_otherwise(tmp_path: Path) -> None:
    one = lines({"query": "q", "pos": ["p"], "neg": ["n"]})
    dataset = load_dataset(write(tmp_path / "a", {"msmarco.jsonl": one, "nq.jsonl": one.replace('"q"', '"r"'), "sub/quora_dev.jsonl": one}))
    assert dataset.splits == ("dev", "train")
    assert dataset.queries("train")["query"].tolist() == ["q", "r"]
    dataset = load_dataset(
        write(tmp_path / "b", {"train-00000-of-00002.jsonl": one, "train-00001-of-00002.jsonl": one, "nq-dev.jsonl": one})
    )
    assert dataset.splits == ("nq-dev", "train")


def test_ms_marcos_triples_by_ids(tmp_path: Path) -> None:
    files = {
        "collection.tsv": "0\tp\n1\tn\n2\tm\n",
        "queries.train.tsv": "5\tq\n6\tr\n",
        "qrels.train.tsv": "5\t0\t0\t1\n6\t0\t2\t1\n",
        "qidpidtriples.train.full.2.tsv.gz": gzip.compress(b"5\t0\t1\n5\t0\t2\n6\t2\t1\n"),
    }
    dataset = load_dataset(write(tmp_path / "a", files))
    assert isinstance(dataset, FileDataset)
    assert dataset.layout == "msmarco-passage"
    assert [(one.qid, one.positives, one.negatives) for one in dataset.instances("train")] == [
        ("5", ("0",), ("1", "2")),
        ("6", ("2",), ("1",)),
    ]
    folder = write(tmp_path / "b", {**files, "examples.json": "[5, [0, 3.5], [1, 0.25]]\n"})
    dataset = load_dataset(folder)
    assert isinstance(dataset, FileDataset)
    assert (dataset.layout, next(dataset.instances("train")).negative_scores) == ("colbert", (0.25,))
    assert len(dataset.qrels("train")) == 2
    (folder / "queries.train.tsv").rename(folder / "queries.tsv")
    assert load_dataset(folder).queries("train")["query"].tolist() == ["q", "r"]
    (folder / "queries.tsv").unlink()
    with pytest.raises(DatasetError, match=r"queries\.tsv"):
        load_dataset(folder)


GOOD = {"query": "q", "pos": ["p"], "neg": ["n"]}
V1 = {"query_id": "1", "query": "q", "positive_passages": [P], "negative_passages": [N]}
ROW = {"anchor": "q", "positive": "p", "negative": "n"}
DPR = {"question": "q", "answers": ["a"], "positive_ctxs": [{"title": "", "text": "p"}]}
WRONG: dict[str, tuple[str, str, str]] = {
    # the file's name and content, and what the message names
    "pos is a string": ("x.jsonl", lines(GOOD, GOOD | {"pos": "p"}), "line 2.*'pos'"),
    "no positives": ("x.jsonl", lines(GOOD, GOOD | {"pos": []}), "line 2.*'pos'"),
    "a positive that is no string": ("x.jsonl", lines(GOOD, GOOD | {"pos": [1]}), "line 2.*strings.*'pos'"),
    "another number of scores": ("x.jsonl", lines(GOOD, GOOD | {"neg_scores": [1, 2]}), "line 2.*1 scores.*'neg_scores'"),
    "scores that are no list": ("x.jsonl", lines(GOOD, GOOD | {"pos_scores": 1}), "line 2.*list.*'pos_scores'"),
    "scores that are no numbers": ("x.jsonl", lines(GOOD, GOOD | {"pos_scores": ["much"]}), "line 2.*number.*'pos_scores'"),
    "a score that is not finite": ("x.jsonl", lines(GOOD, GOOD | {"pos_scores": [1e999]}), "line 2"),
    "no query": ("x.jsonl", lines(GOOD, {"pos": ["p"]}), "line 2.*'query'"),
    "a record that is no object": ("x.jsonl", lines(GOOD, ["q", "p"]), "line 2.*object"),
    "a cut line": ("x.jsonl", lines(GOOD, GOOD)[:-9], "line 2.*object.*cut"),
    "a line that is no JSON": (
        "x.jsonl",
        lines(GOOD) + '{"query": "q" "pos": []}\n' + lines(GOOD),
        "line 2.*',' delimiter at character 15",
    ),
    "no UTF-8": ("x.jsonl", "", "line 2.*UTF-8"),
    "no positive passages": ("x.jsonl", lines(V1, V1 | {"positive_passages": []}), "line 2.*'positive_passages'"),
    "passages that are texts": ("x.jsonl", lines(V1, V1 | {"negative_passages": ["n"]}), "line 2.*'text'.*'negative_passages'"),
    "a passage without text": ("x.jsonl", lines(V1, V1 | {"negative_passages": [{"docid": "1"}]}), "line 2.*'text'.*'negative_passages'"),
    "a title that is no text": (
        "x.jsonl",
        lines(V1, V1 | {"negative_passages": [N | {"title": 0}]}),
        "line 2.*'title'.*'negative_passages'",
    ),
    "a docid with white space": ("x.jsonl", lines(V1, V1 | {"negative_passages": [N | {"docid": "1 2"}]}), "line 2.*docno.*'docid'"),
    "a qid that is no id": ("x.jsonl", lines(V1, V1 | {"query_id": ["1"]}), "line 2.*qid.*'query_id'"),
    "a qid of two queries": ("x.jsonl", lines(V1, V1 | {"query": "r"}), "'1'.*'q'.*'r'"),
    "a row without its positive": ("x.jsonl", lines(ROW, {"anchor": "q", "negative": "n"}), "line 2.*positive"),
    "a negative that is no text": ("x.jsonl", lines(ROW, ROW | {"negative": 1}), "line 2.*'negative'"),
    "scores of others": ("x.jsonl", lines(ROW, ROW | {"scores": [1, 2, 3]}), "line 2.*'scores'"),
    "a pair with a score": ("x.jsonl", lines({"anchor": "q", "positive": "p", "score": 0.7}), "line 1.*0 or 1.*'score'"),
    "a row with fewer columns": ("x.csv", "anchor,positive\nq,p\nq\n", "line 3"),
    "answers that are one": ("x.json", json.dumps([DPR, DPR | {"answers": "a"}]), "(line|record) 2.*'answers'"),
    "a list that is cut": ("x.json", json.dumps([DPR, DPR])[:-20], "expected a JSON object"),
    "contexts that are no list": ("x.json", json.dumps([DPR, DPR | {"hard_negative_ctxs": {}}]), "2.*'hard_negative_ctxs'"),
    "triples of two texts": ("triples.tsv", "a b\tp\tn\na b\tp\n", "line 2.*3 columns"),
    "triples of ids alone": ("triples.tsv", "1\t2\t3\n", "collection.tsv"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named(case: str, tmp_path: Path) -> None:
    name, content, named = WRONG[case]
    write(tmp_path, {name: content or lines(GOOD).encode() + b'{"query": "\xff", "pos": ["p"]}\n'})
    with pytest.raises(DatasetError, match=f"(?s)(x|triples)\\.\\w+.*{named}"):
        _ = (dataset := load_dataset(tmp_path / name)).queries("train"), dataset.qrels("train"), list(dataset.instances("train"))


MIXED: dict[str, tuple[dict[str, str], str]] = {
    "two kinds of records": ({"a.jsonl": lines(GOOD), "b.jsonl": lines(V1)}, "a.jsonl.*flagembedding.*b.jsonl"),
    "records and documents": ({"a.jsonl": lines(GOOD), "docs.csv": "id,text\n1,x\n"}, "a.jsonl.*docs.csv.*id, text"),
    "triples whose first line is wrong": (
        {"collection.tsv": "0\tp\n", "queries.train.tsv": "1\tq\n", "triples.jsonl": '[1, {"a": 0}, 0]\n'},
        "triples.jsonl, line 1",
    ),
    "triples whose first line is cut": (
        {"collection.tsv": "0\tp\n", "queries.train.tsv": "1\tq\n", "triples.jsonl": "[1, 0"},
        "triples.jsonl, line 1.*cut",
    ),
    "triples that name nothing": (
        {"collection.tsv": "0\tp\n", "queries.tsv": "1\tq\n", "triples.jsonl": "[1, 0, 0]\n[1, [0, 1], 0]\n"},
        "line 2",
    ),
}


@pytest.mark.parametrize("case", MIXED)
def test_folders_of_several_kinds_are_refused(case: str, tmp_path: Path) -> None:
    files, named = MIXED[case]
    with pytest.raises(DatasetError, match=f"(?s){named}"):
        list(load_dataset(write(tmp_path / "x", files)).instances("train"))


def test_records_that_cannot_be_read_are_left_out_of_the_corpus_where_that_is_asked(tmp_path: Path) -> None:
    write(tmp_path, {"x.jsonl": lines(GOOD, GOOD | {"pos": "p"}) + "{\n" + lines(GOOD | {"neg": ["m"]})})
    dataset = load_dataset(tmp_path / "x.jsonl")
    with pytest.raises(MalformedFileError, match="line 2"):
        list(dataset.documents())
    store = dataset.store(on_error="skip")
    assert ([document["text"] for document in store], sum(store.left_out.values())) == (["p", "n", "m"], 2)


def test_docnos_of_several_texts_are_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, {"x.jsonl": lines(V1, V1 | {"positive_passages": [P | {"text": "another"}]})})
    documents = list(load_dataset(tmp_path / "x.jsonl").documents())
    assert [document["text"] for document in documents] == ["p", "n"]
    assert "'7'" in caplog.text


def test_every_field_that_a_layout_holds_is_one() -> None:
    assert all(layout.holds <= set(FIELDS) for layout in LAYOUTS.values())
