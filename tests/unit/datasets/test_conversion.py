"""From one layout to another: nothing is lost that was not given up by name, and nothing half written stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ance_ir.datasets import convert, load_dataset
from ance_ir.datasets.contents import LossError
from ance_ir.errors import DatasetNotFoundError, MalformedFileError, UsageError


@pytest.fixture
def whole(collection: Path) -> Path:
    """A collection with all that the layout holds."""
    (collection / "queries.train.tsv").write_text("q1\twho sleeps\n", encoding="utf-8")
    (collection / "qrels.train.txt").write_text("q1 0 d1 1\n", encoding="utf-8")
    scores = {"positive_scores": [2.5], "negative_scores": [1, -0.5]}
    instances = [{"qid": "q1", "positives": ["d1"], "negatives": ["größe/日本", "3"], **scores, "prompt": "p"}]
    (collection / "instances.train.jsonl").write_text("".join(json.dumps(one) + "\n" for one in instances), encoding="utf-8")
    return collection


def contents(path: Path) -> dict[str, Any]:
    """All that a dataset gives."""
    dataset = load_dataset(path)
    found: dict[str, Any] = {"documents": list(dataset.documents()), "splits": dataset.splits}
    for split in dataset.splits:
        found[split] = dataset.queries(split).to_dict("list")
        for name in ("qrels", "answers"):
            try:
                found[f"{name} {split}"] = getattr(dataset, name)(split).to_dict("list")
            except DatasetNotFoundError:
                found[f"{name} {split}"] = None
        if found[f"qrels {split}"]:
            found[f"instances {split}"] = list(dataset.instances(split))
        found[f"runs {split}"] = {name: path.read_bytes() for name, path in dataset.runs(split).items()}
    return found


def test_a_round_trip_keeps_everything(whole: Path, tmp_path: Path) -> None:
    convert(load_dataset(whole), "collection", tmp_path / "again")
    assert contents(tmp_path / "again") == contents(whole)
    instance = next(load_dataset(tmp_path / "again").instances("train"))
    assert (instance.negatives, instance.negative_scores, instance.prompt) == (("größe/日本", "3"), (1, -0.5), "p")


@pytest.mark.parametrize("missing", ["url", "unjudged", "answers", "negatives", "scores", "prompt", "runs"])
def test_each_thing_that_is_lost_is_named(whole: Path, tmp_path: Path, missing: str) -> None:
    drop = {"url", "unjudged", "answers", "negatives", "scores", "prompt", "runs"} - {missing}
    with pytest.raises(LossError, match=f"--drop {missing}$"):
        convert(load_dataset(whole), "beir", tmp_path / "out", drop=drop)
    assert not (tmp_path / "out").exists()
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]


def test_what_is_dropped_is_left_out_and_the_rest_kept(whole: Path, tmp_path: Path) -> None:
    drop = ["url", "unjudged", "answers", "negatives", "scores", "prompt", "runs"]
    convert(load_dataset(whole), "beir", tmp_path / "pets-beir", drop=drop)
    dataset, ours = load_dataset(tmp_path / "pets-beir"), load_dataset(whole)
    assert [document["docno"] for document in dataset.documents()] == ["d1", "größe/日本", "3"]
    assert dataset.qrels().to_dict("list") == ours.qrels().to_dict("list")
    assert dataset.queries("train").to_dict("list") == ours.queries("train").to_dict("list")
    assert dataset.splits == ("test", "train")


def test_a_loss_that_shows_only_in_the_last_document_leaves_nothing(collection: Path, tmp_path: Path) -> None:
    lines = (collection / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
    (collection / "corpus.jsonl").write_text("\n".join([*lines[1:], lines[0]]) + "\n", encoding="utf-8")
    with pytest.raises(LossError, match="url"):
        convert(load_dataset(collection), "beir", tmp_path / "out", drop=["unjudged", "answers", "runs"])
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "cache") == ["pets"]


def test_a_malformed_document_leaves_nothing(collection: Path, tmp_path: Path) -> None:
    with (collection / "corpus.jsonl").open("a") as stream:
        stream.write("{\n")
    with pytest.raises(MalformedFileError, match="line 4"):
        convert(load_dataset(collection), "collection", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "cache") == ["pets"]


def test_some_splits_alone(whole: Path, tmp_path: Path) -> None:
    convert(load_dataset(whole), "collection", tmp_path / "out", splits=["train"])
    assert load_dataset(tmp_path / "out").splits == ("train",)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"layout": "beri"}, UsageError, "beir"),
        ({"drop": ["titles"]}, UsageError, "title"),
        ({"splits": ["trane"]}, DatasetNotFoundError, "trane"),
    ],
)
def test_wrong_arguments_are_named(collection: Path, tmp_path: Path, options: dict[str, Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        convert(load_dataset(collection), **{"layout": "collection", "out": tmp_path / "out", **options})
    assert not (tmp_path / "out").exists()


def test_what_exists_is_not_replaced(collection: Path) -> None:
    with pytest.raises(UsageError, match="exists"):
        convert(load_dataset(collection), "collection", collection)
    assert (collection / "run.bm25.txt").exists()


@pytest.mark.parametrize("layout", ["beir", "parquet"])
def test_a_qid_of_two_queries_is_refused_where_all_splits_share_a_list(whole: Path, tmp_path: Path, layout: str) -> None:
    (whole / "queries.train.tsv").write_text("q1\tanother question\n", encoding="utf-8")
    drop = ["url", "unjudged", "answers", "negatives", "scores", "prompt", "runs"]
    with pytest.raises(UsageError, match=r"'?q1'?"):
        convert(load_dataset(whole), layout, tmp_path / "out", drop=drop)
    assert not (tmp_path / "out").exists()
    convert(load_dataset(whole), layout, tmp_path / "out", drop=drop, splits=["train"])
    assert load_dataset(tmp_path / "out").queries("train").to_dict("list") == {"qid": ["q1"], "query": ["another question"]}


def test_negatives_count_where_the_first_instance_has_none(whole: Path, tmp_path: Path) -> None:
    instances = [{"qid": "q1", "positives": ["d1"]}, {"qid": "q1", "positives": ["d1"], "negatives": ["3"]}]
    (whole / "instances.train.jsonl").write_text("".join(json.dumps(one) + "\n" for one in instances), encoding="utf-8")
    convert(load_dataset(whole), "collection", tmp_path / "again")
    assert contents(tmp_path / "again") == contents(whole)
    with pytest.raises(LossError, match=r"--drop negatives$"):
        convert(load_dataset(whole), "beir", tmp_path / "out", drop=["url", "unjudged", "answers", "runs"])


def test_documents_that_no_query_names_are_left_out_on_request(whole: Path, tmp_path: Path) -> None:
    convert(load_dataset(whole), "collection", tmp_path / "out", splits=["train"], drop=["corpus", "negatives", "scores", "prompt"])
    assert [document["docno"] for document in load_dataset(tmp_path / "out").documents()] == ["d1"]
    convert(load_dataset(whole), "collection", tmp_path / "more", splits=["train"], drop=["corpus"])
    assert [document["docno"] for document in load_dataset(tmp_path / "more").documents()] == ["d1", "größe/日本", "3"]


@pytest.mark.parametrize("layout", ["msmarco-passage", "msmarco-document", "colbert", "pyserini"])
def test_tabs_and_ends_of_lines_are_a_loss_of_their_own(tmp_path: Path, layout: str) -> None:
    folder = tmp_path / "pets"
    folder.mkdir()
    (folder / "corpus.jsonl").write_text(json.dumps({"_id": "0", "text": "a\tcat\r\n\nsleeps"}) + "\n")
    (folder / "queries.jsonl").write_text(json.dumps({"_id": "1", "text": "a\ncat"}) + "\n")
    (folder / "qrels").mkdir()
    (folder / "qrels/train.tsv").write_text("query-id\tcorpus-id\tscore\n1\t0\t1\n")
    with pytest.raises(LossError, match="--drop lines"):
        convert(load_dataset(folder), layout, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    convert(load_dataset(folder), layout, tmp_path / "out", drop=["lines"])
    again = load_dataset(tmp_path / "out")
    assert [document["text"] for document in again.documents()] == ["a cat sleeps"]
    assert again.queries("train")["query"].tolist() == ["a cat"]


def test_dprs_folder_holds_a_whole_collection(whole: Path, tmp_path: Path) -> None:
    (whole / "queries.dev.tsv").write_text('q8\twhat "is" it\nq9\twho\n', encoding="utf-8")
    (whole / "queries.train.tsv").write_text("q1\twho sleeps\nq7\tnobody knows\n", encoding="utf-8")
    (whole / "answers.dev.jsonl").write_text(json.dumps({"qid": "q9", "question": "who", "answers": ['it\'s "me"', "größe"]}) + "\n")
    drop = ["labels", "qid", "prompt", "runs", "url"]
    convert(load_dataset(whole), "dpr", tmp_path / "nq", drop=drop)
    names = ["biencoder-nq-test.json", "biencoder-nq-train.json", "nq-dev.qa.csv", "psgs_w100.tsv"]
    assert sorted(path.name for path in (tmp_path / "nq").iterdir()) == names
    before, after = load_dataset(whole), load_dataset(tmp_path / "nq")
    assert after.splits == before.splits
    kept = [{key: value for key, value in one.items() if key != "url" and (value or key == "text")} for one in before.documents()]
    assert list(after.documents()) == kept
    assert after.queries("dev")["query"].tolist() == ['what "is" it', "who"]
    assert after.answers("dev")["answers"].tolist() == [[], ['it\'s "me"', "größe"]]
    assert after.queries("train")["query"].tolist() == ["who sleeps", "nobody knows"]
    (instance,) = after.instances("train")
    assert (instance.positives, instance.negatives, instance.positive_scores) == (("d1",), ("größe/日本", "3"), (2.5,))
    assert after.qrels("train")["docno"].tolist() == ["d1"]
    for out in ("x.json", "y"):
        fields = ["unjudged", *(["corpus"] if out == "x.json" else [])]
        with pytest.raises(LossError, match=" ".join(f"--drop {name}" for name in sorted(fields))):
            convert(before, "dpr", tmp_path / out, drop=[*drop, *(["corpus"] if out == "y" else [])])


def test_answers_of_which_there_are_none_are_no_loss(tmp_path: Path) -> None:
    record = {"question": "who", "answers": [], "positive_ctxs": [{"title": "", "text": "a cat", "passage_id": "7"}]}
    (tmp_path / "x.json").write_text(json.dumps([record]))
    convert(load_dataset(tmp_path / "x.json"), "tevatron", tmp_path / "t.jsonl")
    (tmp_path / "x.json").write_text(json.dumps([record, record | {"question": "what", "answers": ["a cat"]}]))
    with pytest.raises(LossError, match="--drop answers"):
        convert(load_dataset(tmp_path / "x.json"), "tevatron", tmp_path / "u.jsonl")


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Twenty documents, five training queries about two of them each, and a test query."""
    folder = tmp_path / "many"
    folder.mkdir()
    (folder / "corpus.jsonl").write_text("".join(json.dumps({"docno": f"d{i}", "text": f"text {i}"}) + "\n" for i in range(20)))
    (folder / "queries.train.tsv").write_text("".join(f"q{i}\tquery {i}\n" for i in range(5)))
    (folder / "qrels.train.txt").write_text("".join(f"q{i} 0 d{i} 1\nq{i} 0 d{i + 5} 2\nq{i} 0 d{i + 10} 0\n" for i in range(5)))
    (folder / "queries.tsv").write_text("t0\ttest\n")
    (folder / "qrels.txt").write_text("t0 0 d19 1\n")
    return folder


def test_a_part_of_a_training_file_is_written_in_its_layout(tmp_path: Path) -> None:
    records = [{"query": f"question {i}", "pos": [f"answer {i}"], "neg": [f"text {i}"]} for i in range(5)]
    (tmp_path / "whole.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records))
    convert(load_dataset(tmp_path / "whole.jsonl"), "flagembedding", tmp_path / "part.jsonl", splits=["train:2"])
    written = [json.loads(line) for line in (tmp_path / "part.jsonl").read_text().splitlines()]
    assert len(written) == 2 and all(one in records for one in written)


def test_a_part_holds_what_its_queries_are_about(many: Path, tmp_path: Path) -> None:
    whole = load_dataset(many)
    found = {}
    for documents in (5, 9, None):
        convert(whole, "collection", tmp_path / f"part-{documents}", splits=["train:2", "test"], documents=documents)
        part = load_dataset(tmp_path / f"part-{documents}")
        qids = list(part.queries("train")["qid"])
        assert len(qids) == 2 and part.splits == ("test", "train") and list(part.queries()["qid"]) == ["t0"]
        qrels = whole.qrels("train")
        assert part.qrels("train").to_dict("list") == qrels[qrels["qid"].isin(qids)].to_dict("list")
        found[documents] = [document["docno"] for document in part.documents()]
        assert {f"d{int(qid[1:]) + of}" for qid in qids for of in (0, 5)} | {"d19"} <= set(found[documents])
    assert [len(found[documents]) for documents in (5, 9, None)] == [5, 9, 20]
    assert set(found[5]) < set(found[9]) and found[9] == [docno for docno in found[None] if docno in found[9]]
    for options, error in (({"documents": 4}, "5 documents; 4"), ({"splits": ["train:0"]}, "at least 1"), ({"splits": ["nope:3"]}, "nope")):
        with pytest.raises((UsageError, DatasetNotFoundError), match=error):
            convert(whole, "collection", tmp_path / "none", **{"splits": ["train:2", "test"], **options})
