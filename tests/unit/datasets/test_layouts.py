"""Layouts of collections: each is recognised for what it is, read whole, and refused in one line where it is damaged."""

from __future__ import annotations

import csv
import gzip
import io
import json
import pickle
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ance_ir.datasets import FileDataset, convert, load_dataset
from ance_ir.datasets.layouts import LAYOUTS
from ance_ir.errors import DatasetError, DatasetNotFoundError, MalformedFileError
from ance_ir.eval import suite_of

CATS, DOGS = {"docno": "7", "text": "Cats sleep, all day."}, {"docno": "8", "text": 'Dogs "bark".'}
QUERIES = {"qid": ["1", "2"], "query": ["who sleeps", "who barks"]}
QRELS = {"qid": ["1", "2"], "docno": ["7", "8"], "label": [1, 2]}
TSV, TREC = "1\twho sleeps\n2\twho barks\n", "1 0 7 1\n2 0 8 2\n"


def titled(document: dict[str, str], **fields: str) -> dict[str, str]:
    return {"docno": document["docno"], **fields, "text": document["text"]}


def lines(*values: Mapping[str, Any]) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


def separated(delimiter: str, *rows: tuple[str, ...]) -> str:
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return stream.getvalue()


def parquet(*rows: dict[str, Any]) -> bytes:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    stream = io.BytesIO()
    parquet.write_table(arrow.Table.from_pylist(list(rows)), stream)
    return stream.getvalue()


def arrow(*rows: dict[str, Any]) -> bytes:
    arrow = pytest.importorskip("pyarrow")
    stream = io.BytesIO()
    table = arrow.Table.from_pylist(list(rows))
    with arrow.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    return stream.getvalue()


Files = Mapping[str, str | bytes]


def write(folder: Path, files: Files) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def of_beir(id_key: str, *documents: dict[str, str]) -> list[dict[str, str]]:
    return [{id_key: document["docno"], "title": "", "text": document["text"]} for document in documents]


EXAMPLES: dict[str, tuple[str, Callable[[], Files], list[dict[str, str]], dict[str, bool]]] = {
    # the layout, its files, its documents, and whether each split is judged
    "msmarco-passage": (
        "msmarco-passage",
        lambda: {
            "collection.tsv": '7\tCats sleep, all day.\n8\tDogs "bark".\n',
            "queries.dev.small.tsv": TSV,
            "qrels.dev.small.tsv": TREC.replace(" ", "\t"),
            "queries.eval.tsv": TSV,
            "msmarco-test2019-queries.tsv": TSV,
            "2019qrels-pass.txt": TREC,
        },
        [CATS, DOGS],
        {"dev.small": True, "eval": False, "trec-dl-2019": True},
    ),
    "msmarco-document": (
        "msmarco-document",
        lambda: {
            "msmarco-docs.tsv": '7\thttp://c\tCats\tCats sleep, all day.\n8\thttp://d\t\tDogs "bark".\n',
            "msmarco-doctrain-queries.tsv.gz": gzip.compress(TSV.encode()),
            "msmarco-doctrain-qrels.tsv.gz": gzip.compress(TREC.encode()),
            "msmarco-docdev-queries.tsv": TSV,
            "msmarco-docdev-qrels.tsv": TREC,
            "docleaderboard-queries.tsv": TSV,
            "msmarco-test2020-queries.tsv": TSV,
            "2020qrels-docs.txt": TREC,
            "orcas-doctrain-queries.tsv": TSV,
            "orcas-doctrain-qrels.tsv": TREC,
        },
        [titled(CATS, url="http://c", title="Cats"), titled(DOGS, url="http://d")],
        {"dev": True, "leaderboard": False, "orcas": True, "train": True, "trec-dl-2020": True},
    ),
    "passages of version 2": (
        "msmarco-v2",
        lambda: {
            "msmarco_v2_passage/msmarco_passage_00.gz": gzip.compress(
                lines({"pid": "7", "passage": CATS["text"], "spans": "(0,1)", "docid": "d"}).encode()
            ),
            "msmarco_v2_passage/msmarco_passage_01": lines({"pid": "8", "passage": DOGS["text"], "docid": "d"}),
            "passv2_dev_queries.tsv": TSV,
            "passv2_dev_qrels.tsv": TREC.replace(" ", "\t"),
            "2021_queries.tsv": TSV,
            "2021.qrels.pass.final.txt": TREC,
        },
        [CATS, DOGS],
        {"dev": True, "trec-dl-2021": True},
    ),
    "documents of version 2": (
        "msmarco-v2",
        lambda: {
            "msmarco_doc_00": lines({"docid": "7", "url": "http://c", "title": "Cats", "headings": "h", "body": CATS["text"]}),
            "docv2_dev2_queries.tsv": TSV,
            "docv2_dev2_qrels.tsv": TREC,
            "msmarco-test2019-queries.tsv": TSV,
            "docv2_trec2019_qrels.txt.gz": gzip.compress(TREC.encode()),
        },
        [titled(CATS, url="http://c", title="Cats")],
        {"dev2": True, "trec-dl-2019": True},
    ),
    "segments of version 2.1": (
        "msmarco-v2",
        lambda: {
            "msmarco_v2.1_doc_segmented/msmarco_v2.1_doc_segmented_00.json": lines(
                {"docid": "7", "url": "", "title": "", "headings": "h", "segment": CATS["text"], "start_char": 0, "end_char": 9}
            )
        },
        [CATS],
        {},
    ),
    "dpr": (
        "dpr",
        lambda: {
            "psgs_w100.tsv": separated("\t", ("id", "text", "title"), ("7", CATS["text"], "Cats"), ("8", DOGS["text"], "Dogs")),
            "nq-test.qa.csv": "who sleeps\t['cats', \"a cat's\"]\nwho barks\t['dogs']\n",
            "nq-dev.qa.csv": "who sleeps\t['cats']\n",
        },
        [titled(CATS, title="Cats"), titled(DOGS, title="Dogs")],
        {"dev": False, "test": False},
    ),
    "pyserini": (
        "pyserini",
        lambda: {
            "collection/a.jsonl": lines({"id": "7", "contents": CATS["text"]}),
            "collection/b.json": json.dumps([{"id": 8, "contents": DOGS["text"], "title": "Dogs"}], indent=1),
            "topics.pets.test.tsv": TSV,
            "qrels.pets.test.txt": TREC,
        },
        [CATS, titled(DOGS, title="Dogs")],
        {"pets.test": True},
    ),
    "parquet": (
        "parquet",
        lambda: {
            "corpus/corpus-00000-of-00002.parquet": parquet(*of_beir("_id", CATS)),
            "corpus/corpus-00001-of-00002.parquet": parquet(*of_beir("_id", DOGS)),
            "queries/queries-00000-of-00001.parquet": parquet({"_id": "1", "text": "who sleeps"}, {"_id": "2", "text": "who barks"}),
            "default/test-00000-of-00001.parquet": parquet(
                {"query-id": "1", "corpus-id": "7", "score": 1}, {"query-id": "2", "corpus-id": "8", "score": 2}
            ),
            "README.md": "about",
        },
        [CATS, DOGS],
        {"test": True},
    ),
    "lines of JSON with numbers for ids": (
        "parquet",
        lambda: {
            "docs.jsonl": lines({"docid": 7, "body": CATS["text"]}, {"docid": 8, "body": DOGS["text"]}),
            "queries.jsonl": lines({"id": 1, "query": "who sleeps"}, {"id": 2, "query": "who barks"}),
            "qrels.dev.csv": "query_id,doc_id,relevance\n1,7,1\n2,8,2\n",
        },
        [CATS, DOGS],
        {"dev": True},
    ),
    "records": (
        "records",
        lambda: {"a.csv": separated(",", ("id", "contents", "title"), ("7", CATS["text"], ""), ("8", DOGS["text"], "Dogs"))},
        [CATS, titled(DOGS, title="Dogs")],
        {},
    ),
    "a corpus of Tevatron": (
        "records",
        lambda: {
            "corpus.jsonl": lines(*({"docid": one["docno"], "title": "", "text": one["text"]} for one in (CATS, DOGS))),
            "README.md": "about",
        },
        [CATS, DOGS],
        {},
    ),
    "a corpus of BEIR": ("records", lambda: {"corpus.jsonl": lines(*of_beir("_id", CATS, DOGS))}, [CATS, DOGS], {}),
    "a file of Pyserini with BEIR's name": (
        "pyserini",
        lambda: {
            "corpus.jsonl": lines(*({"id": one["docno"], "contents": one["text"]} for one in (CATS, DOGS))),
            "topics.dev.tsv": TSV,
            "qrels.dev.txt": TREC,
        },
        [CATS, DOGS],
        {"dev": True},
    ),
    "records of Arrow": (
        "records",
        lambda: {"data-00000-of-00001.arrow": arrow(CATS, DOGS), "state.json": "{}", "dataset_info.json": "{}"},
        [CATS, DOGS],
        {},
    ),
    "text": (
        "text",
        lambda: {"7": "", "b/8.md": DOGS["text"], "my 100% cats.TXT": CATS["text"], ".hidden.txt": "x", "x.py": "x"},
        [{"docno": "b/8.md", "text": DOGS["text"]}, {"docno": "my%20100%25%20cats.TXT", "text": CATS["text"]}],
        {},
    ),
}


@pytest.fixture(params=EXAMPLES)
def example(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[FileDataset, str, list[dict[str, str]], dict[str, bool]]:
    layout, files, documents, splits = EXAMPLES[request.param]
    dataset = load_dataset(write(tmp_path / "pets", files()))
    assert isinstance(dataset, FileDataset)
    return dataset, layout, documents, splits


def test_each_is_recognised_and_read_whole(example: tuple[FileDataset, str, list[dict[str, str]], dict[str, bool]]) -> None:
    dataset, layout, documents, splits = example
    assert (dataset.layout, dataset.name) == (layout, "pets")
    assert list(dataset.documents()) == documents
    assert list(dataset.store()) == documents
    assert set(dataset.splits) == set(splits)
    for split, has_judgements in splits.items():
        queries = dataset.queries(split).to_dict("list")
        assert queries == QUERIES or layout == "dpr"
        if has_judgements:
            assert dataset.qrels(split).to_dict("list") == QRELS
        else:
            with pytest.raises(DatasetNotFoundError, match=split):
                dataset.qrels(split)
    again = pickle.loads(pickle.dumps(load_dataset(dataset.source)))  # noqa: S301
    assert (again.layout, again.fingerprint, list(again.documents())) == (layout, dataset.fingerprint, documents)


def test_a_folder_in_a_folder_is_named(tmp_path: Path) -> None:
    inner = write(tmp_path / "outer" / "a" / "pets", EXAMPLES["msmarco-passage"][1]())
    write(tmp_path / "outer", {".DS_Store": "x", "__MACOSX/a/._x": "x"})
    with pytest.raises(DatasetNotFoundError, match=re.escape(str(inner))):
        load_dataset(tmp_path / "outer")


def test_changes_change_the_fingerprints(example: tuple[FileDataset, str, list[dict[str, str]], dict[str, bool]]) -> None:
    dataset = example[0]
    before = dataset.fingerprint, dataset.corpus_fingerprint
    path = dataset.parts.corpus[0] if dataset.parts.corpus else dataset.path / "b/8.md"
    path.write_bytes(parquet(DOGS) if path.suffix == ".parquet" else path.read_bytes() + b"\n")
    after = load_dataset(dataset.source)
    assert after.fingerprint != before[0] and after.corpus_fingerprint != before[1]


def test_layouts_are_asked_in_one_order_and_have_what_lists_show() -> None:
    assert len({layout.order for layout in LAYOUTS.values()}) == len(LAYOUTS)
    assert all(LAYOUTS.summary(name) and layout.example for name, layout in LAYOUTS.items())


@pytest.mark.parametrize("name", ["msmarco-passage", "msmarco-document", "parquet", "pyserini"])
def test_what_is_written_is_read_again(name: str, tmp_path: Path) -> None:
    layout = LAYOUTS[name]
    documents = [titled(CATS, title="Cats") if "title" in layout.holds else CATS, titled(DOGS, url="u") if "url" in layout.holds else DOGS]
    source = write(tmp_path / "pets", {"corpus.jsonl": lines(*documents), "queries.dev.tsv": TSV, "qrels.dev.txt": TREC})
    convert(load_dataset(source), name, tmp_path / "out")
    dataset = load_dataset(tmp_path / "out")
    assert isinstance(dataset, FileDataset)
    assert dataset.layout == name
    assert list(dataset.documents()) == documents
    assert dataset.splits == ("dev",)
    assert dataset.queries("dev").to_dict("list") == QUERIES
    assert dataset.qrels("dev").to_dict("list") == QRELS


def test_answers_of_dprs_questions(tmp_path: Path) -> None:
    dataset = load_dataset(write(tmp_path / "x", EXAMPLES["dpr"][1]()))
    answers = dataset.answers("test").to_dict("list")
    assert answers == {"qid": ["0", "1"], "query": ["who sleeps", "who barks"], "answers": [["cats", "a cat's"], ["dogs"]]}
    passages = [{"title": title, "text": text, "passage_id": docno} for docno, title, text in (("7", "Cats", "x"), ("8", "Dogs", "y"))]
    record = {"question": "who", "answers": ["a"], "positive_ctxs": passages[:1], "negative_ctxs": [], "hard_negative_ctxs": passages[1:]}
    write(tmp_path / "x", {"biencoder-nq-train.json": json.dumps([record]), "nq-train.qa.csv": "who\t['b']\n"})
    trained = load_dataset(tmp_path / "x")
    assert trained.splits == ("test", "dev", "train")
    assert list(trained.documents()) == [titled(CATS, title="Cats"), titled(DOGS, title="Dogs")]
    assert trained.qrels("train")["docno"].tolist() == ["7"]
    assert [instance.negatives for instance in trained.instances("train")] == [("8",)]
    assert trained.answers("train")["answers"].tolist() == [["a"]]
    (tmp_path / "x" / "biencoder-nq-train.json").unlink()
    (tmp_path / "x" / "nq-train.qa.csv").unlink()
    write(tmp_path / "x", {"trivia-test.qa.csv": "who\t['x']\n"})
    assert load_dataset(tmp_path / "x").splits == ("nq-dev", "nq-test", "trivia-test")


@pytest.mark.parametrize(
    ("layout", "split", "suite"),
    [
        ("msmarco-passage", "dev.small", "msmarco-passage/dev"),
        ("msmarco-passage", "trec-dl-2019", "trec-dl-2019/passage"),
        ("msmarco-document", "trec-dl-2020", "trec-dl-2020/document"),
        ("msmarco-document", "dev", "judged"),
    ],
)
def test_ms_marcos_suites_apply_by_the_names_of_files(layout: str, split: str, suite: str, tmp_path: Path) -> None:
    assert suite_of(load_dataset(write(tmp_path / "whatever", EXAMPLES[layout][1]())), split).name == suite


def test_runs_of_ms_marco(tmp_path: Path) -> None:
    files = {"msmarco-docs.tsv": "7\t\t\tx\n", "msmarco-docdev-queries.tsv": TSV, "msmarco-docdev-top100": "1 Q0 7 1 2.5 x\n"}
    dataset = load_dataset(write(tmp_path / "x", files))
    assert isinstance(dataset, FileDataset)
    assert dataset.runs("dev") == {"top100": tmp_path / "x" / "msmarco-docdev-top100"}


DAMAGED: dict[str, tuple[Files, str]] = {
    # what is there, and what the message names
    "a line with another number of columns": ({"collection.tsv": "7\tx\ty\n"}, "collection.tsv, line 1"),
    "a document without its url": ({"msmarco-docs.tsv": "7\tu\tt\tx\n8\tt\tx\n"}, "msmarco-docs.tsv, line 2"),
    "no passage": ({"msmarco_passage_00": lines({"pid": "7", "text": "x"})}, "'passage'"),
    "no header": ({"psgs_w100.tsv": "7\tx\tt\n8\ty\tt\n"}, "psgs_w100.tsv, line 1: .*id, text, title"),
    "an open quotation": ({"psgs_w100.tsv": 'id\ttext\ttitle\n7\t"x\tt\n'}, "psgs_w100.tsv"),
    "no list of answers": ({"psgs_w100.tsv": "id\ttext\ttitle\n", "nq-test.qa.csv": "who\tcats\n"}, "nq-test.qa.csv, line 1"),
    "contents that are no string": ({"a.jsonl": lines({"id": "1", "contents": ["x"]})}, "'contents'"),
    "a title that is no string": ({"a.jsonl": lines({"id": "1", "text": "x", "title": 0})}, "line 1: .*'title'"),
    "a url that is no string": ({"a.jsonl": lines({"id": "1", "text": "x", "url": False})}, "line 1: .*'url'"),
    "a title in a corpus of Tevatron's": ({"corpus.jsonl": lines({"docid": "1", "title": [], "text": "x"})}, "line 1: .*'title'"),
    "an id with white space": ({"a.jsonl": lines({"id": "1 2", "contents": "x"})}, "1 2"),
    "no ids": ({"a.jsonl": lines({"text": "x"})}, "--column docno=COLUMN"),
    "a cut archive": ({"collection.tsv.gz": gzip.compress(b"7\tx\n" * 99)[:-12]}, "collection.tsv.gz"),
    "a cut Parquet file": ({"a.parquet": b"PAR1\x15\x04\x15"}, "a.parquet"),
    "a cut Arrow file": ({"a.arrow": b"\xff\xff\xff\xff\x10\x00"}, "a.arrow"),
    "two layouts": ({"collection.tsv": "7\tx\n", "psgs_w100.tsv": "id\ttext\ttitle\n"}, "psgs_w100.tsv.*collection.tsv"),
    "two layouts, one of them ours": ({"corpus.jsonl": lines(CATS), "msmarco-docs.tsv": "7\t\t\tx\n"}, "corpus.jsonl.*msmarco-docs.tsv"),
    "tables and texts": ({"a.jsonl": lines(CATS), "notes/b.md": "x"}, "a.jsonl.*b.md"),
    "two kinds of version 2": ({"msmarco_doc_00": "{}", "a/msmarco_passage_00": "{}"}, "doc and passage"),
    "a file twice": ({"collection.tsv": "7\tx\n", "collection.tsv.gz": gzip.compress(b"7\tx\n")}, "collection.tsv and collection.tsv.gz"),
    "a split twice": ({"collection.tsv": "7\tx\n", "qrels.dev.tsv": "", "qrels.dev.tsv.gz": gzip.compress(b"x")}, "'dev'"),
    "judgements without queries": ({"a.jsonl": lines(CATS), "qrels.csv": "query-id,corpus-id\n1,7\n"}, "no file of queries"),
    "BEIR's folder without queries": (
        {"corpus.jsonl": lines(*of_beir("_id", CATS)), "qrels/test.tsv": "query-id\tcorpus-id\tscore\n1\t7\t1\n"},
        "no file of queries",
    ),
    "a table of another kind": ({"a.jsonl": lines(CATS), "b.csv": "x,y\n1,2\n"}, "b.csv.*x, y"),
    "a label that is none": (
        {"a.jsonl": lines(CATS), "queries.csv": "qid,text\n1,x\n", "qrels.csv": "query-id,corpus-id,score\n1,7,much\n"},
        "qrels.csv, line 2",
    ),
    "a qid twice": ({"a.jsonl": lines(CATS), "queries.csv": "qid,text\n1,x\n1,y\n"}, "queries.csv, line 3"),
    "judgements without passages": ({"queries.dev.tsv": TSV, "qrels.dev.tsv": TREC}, "MS MARCO.*collection.tsv"),
    "questions without passages": ({"nq-test.qa.csv": "who\t['x']\n"}, "psgs_w100.tsv"),
    "nothing": ({"a.bin": "x"}, "corpus.jsonl"),
    "a model's words": ({"config.json": "{}", "vocab.txt": "x"}, "model"),
    "a folder of ours within": ({"pets/corpus.jsonl": lines(CATS), "pets/queries.tsv": TSV, "notes.txt": "x"}, "pets"),
}


def test_a_folder_of_texts_has_no_columns(tmp_path: Path) -> None:
    folder = write(tmp_path / "x", {"a.md": "a cat", "b/c.txt": "a dog"})
    with pytest.raises(DatasetError, match=r"texts.*text=body.*--column"):
        load_dataset(f"{folder}[text=body]")
    (folder / "rows.csv").write_text("key,body\n1,a bird\n")
    with pytest.raises(DatasetError, match=r"rows\.csv.*key, body$"):
        load_dataset(f"{folder}[text=words]")


@pytest.mark.parametrize("case", DAMAGED)
def test_what_cannot_be_read_is_named(case: str, tmp_path: Path) -> None:
    files, named = DAMAGED[case]
    if any(name.endswith((".parquet", ".arrow")) for name in files):
        pytest.importorskip("pyarrow")
    folder = write(tmp_path / "x", files)
    with pytest.raises(DatasetError, match=f"(?s){named}"):
        dataset = load_dataset(folder)
        _ = list(dataset.documents()), [(dataset.queries(split), dataset.qrels(split)) for split in dataset.splits]


def test_documents_that_cannot_be_used_are_left_out_where_that_is_asked(tmp_path: Path) -> None:
    files: dict[str, Files] = {
        "passages": {"collection.tsv": b"7\tx\n8\n9\t\xff\n10\ty\n"},
        "csv": {"a.csv": "id,text\n7,x\n8,y,z\n10,y\n"},
        "json": {"a.jsonl": lines({"id": "7", "text": "x"}) + '{"id"\n' + lines({"id": "8", "text": 1}, {"id": "10", "text": "y"})},
        "texts": {"10.md": "y", "7.txt": "x", "8.txt": b"\xff", "9.txt": b"%PDF-1"},
    }
    for name, of in files.items():
        dataset = load_dataset(write(tmp_path / name, of))
        with pytest.raises(MalformedFileError):
            list(dataset.documents())
        store = dataset.store(on_error="skip")
        assert sorted(document["text"] for document in store) == ["x", "y"]
        assert sum(store.left_out.values()) == (1 if name == "csv" else 2)


def test_columns_are_named(tmp_path: Path) -> None:
    rows = {"key": 7, "abstract": "x", "name": "t"}, {"key": 8, "abstract": "x", "name": ""}
    path = write(tmp_path, {"a.jsonl": lines(*rows)}) / "a.jsonl"
    with pytest.raises(DatasetNotFoundError, match="key, abstract, name"):
        load_dataset(path)
    named = load_dataset(f"{path}[text=abstract; docno=key; title=name]")
    assert list(named.documents()) == [{"docno": "7", "title": "t", "text": "x"}, {"docno": "8", "text": "x"}]
    hashed = load_dataset(f"{path}[text=abstract]")
    assert len({document["docno"] for document in hashed.documents()}) == len(list(hashed.documents())) == 1
    assert len({named.fingerprint, hashed.fingerprint, load_dataset(f"{path}[text=name]").fingerprint}) == 3
    with pytest.raises(DatasetError, match="key, abstract, name"):
        load_dataset(f"{path}[text=body]")


def test_columns_that_change_the_layout_are_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = {"corpus.jsonl": lines({"_id": "7", "text": "x", "body": "y"}), "queries.jsonl": lines({"_id": "1", "query": "x"})}
    dataset = load_dataset(f"{write(tmp_path / 'a', files)}[text=body]")
    assert isinstance(dataset, FileDataset)
    assert [document["text"] for document in dataset.documents()] == ["y"]
    assert f"read as {dataset.layout}" in caplog.text and "read as beir" in caplog.text
    with pytest.raises(DatasetError, match="read as beir"):
        load_dataset(f"{tmp_path / 'a'}[text=abstract]")
    caplog.clear()
    load_dataset(f"{write(tmp_path / 'b', {'a.jsonl': lines({'docno': '7', 'text': 'x', 'body': 'y'})})}[text=body]")
    assert not caplog.text


def test_columns_that_are_nowhere_are_refused_although_usual_ones_are_there(tmp_path: Path) -> None:
    path = write(tmp_path, {"a.jsonl": lines({"key": 7, "text": "x", "docno": "1"})}) / "a.jsonl"
    for place in (path, tmp_path):
        with pytest.raises(DatasetError, match="key, text, docno"):
            load_dataset(f"{place}[text=abstract; docno=key]")
        assert [document["docno"] for document in load_dataset(f"{place}[docno=key]").documents()] == ["7"]


def test_a_single_file_is_a_dataset(tmp_path: Path) -> None:
    for layout, name, content in (
        ("msmarco-passage", "collection.tsv", "7\tCats sleep, all day.\n"),
        ("pyserini", "a.jsonl", lines({"id": "7", "contents": CATS["text"]})),
        ("records", "a.parquet", parquet(CATS)),
        ("records", "a.tsv", separated("\t", ("docno", "text"), ("7", CATS["text"]))),
    ):
        path = write(tmp_path / layout, {name: content}) / name
        dataset = load_dataset(path)
        assert isinstance(dataset, FileDataset)
        assert (dataset.layout, list(dataset.documents())) == (layout, [CATS])


def test_hugging_face_datasets_from_disk(tmp_path: Path) -> None:
    hugging_face = pytest.importorskip("datasets")
    corpus = hugging_face.Dataset.from_list(of_beir("_id", CATS, DOGS))
    queries = hugging_face.Dataset.from_list([{"_id": "1", "text": "who sleeps"}, {"_id": "2", "text": "who barks"}])
    qrels = hugging_face.Dataset.from_list(
        [{"query-id": "1", "corpus-id": "7", "score": 1}, {"query-id": "2", "corpus-id": "8", "score": 2}]
    )
    corpus.save_to_disk(tmp_path / "one", num_shards=2)
    assert list(load_dataset(tmp_path / "one").documents()) == [CATS, DOGS]
    hugging_face.DatasetDict(corpus=corpus, queries=queries, test=qrels).save_to_disk(tmp_path / "all")
    dataset = load_dataset(tmp_path / "all")
    assert list(dataset.documents()) == [CATS, DOGS]
    assert (dataset.splits, dataset.queries().to_dict("list"), dataset.qrels().to_dict("list")) == (("test",), QUERIES, QRELS)


def test_other_libraries_open_what_is_written(tmp_path: Path) -> None:
    hugging_face = pytest.importorskip("datasets")
    source = write(tmp_path / "pets", {"corpus.jsonl": lines(CATS, DOGS), "queries.tsv": TSV, "qrels.txt": TREC})
    convert(load_dataset(source), "parquet", tmp_path / "out")
    files = {name: str(tmp_path / "out" / name / "*.parquet") for name in ("corpus", "queries", "qrels")}
    cache = str(tmp_path / "hf")
    loaded = {name: hugging_face.load_dataset("parquet", data_files=found, split="train", cache_dir=cache) for name, found in files.items()}
    assert loaded["corpus"].to_list() == of_beir("_id", CATS, DOGS)
    assert loaded["qrels"].to_list()[1] == {"query-id": "2", "corpus-id": "8", "score": 2}
    convert(load_dataset(source), "beir", tmp_path / "beir")
    loader = pytest.importorskip("beir.datasets.data_loader")
    corpus, queries, qrels = loader.GenericDataLoader(str(tmp_path / "beir")).load(split="test")
    assert (corpus["7"]["text"], queries, qrels) == (CATS["text"], {"1": "who sleeps", "2": "who barks"}, {"1": {"7": 1}, "2": {"8": 2}})


def test_fingerprints_tell_apart_what_is_read_in_another_way(tmp_path: Path) -> None:
    files = {"collection.tsv": "0\ta cat\n", "queries.train.tsv": "1\twho\n", "qrels.train.tsv": "1\t0\t0\t1\n"}
    first = load_dataset(write(tmp_path / "a", files))
    assert first.corpus_fingerprint == load_dataset(write(tmp_path / "b", files)).corpus_fingerprint
    assert first.corpus_fingerprint == load_dataset(tmp_path / "a/collection.tsv").corpus_fingerprint
    second = load_dataset(write(tmp_path / "c", {**files, "triples.jsonl": "[1, 0]\n"}))
    assert isinstance(second, FileDataset) and second.layout == "colbert"
    assert first.corpus_fingerprint != second.corpus_fingerprint


def test_fingerprints_hold_the_folders_of_files(tmp_path: Path) -> None:
    write(
        tmp_path / "a", {"docs.csv": "id,text\n1,x\n", "queries.csv": "id,text\n1,x\n", "qrels/dev/data.csv": "query-id,corpus-id\n1,1\n"}
    )
    before = load_dataset(tmp_path / "a")
    _ = before.fingerprint, before.corpus_fingerprint
    (tmp_path / "a/qrels/dev").rename(tmp_path / "a/qrels/train")
    after = load_dataset(tmp_path / "a")
    assert (before.splits, after.splits) == (("dev",), ("train",))
    assert before.fingerprint != after.fingerprint
    assert before.corpus_fingerprint == after.corpus_fingerprint


SOUGHT: dict[str, tuple[Files, list[tuple[str, str, str]]]] = {
    # a folder without judgements, and by kind and split the file that would hold them
    "msmarco-passage": (
        {"collection.tsv": "7\tx\n"},
        [("qrels", "dev.small", "qrels.dev.small.tsv"), ("qrels", "trec-dl-2019", "2019qrels-pass.txt")],
    ),
    "msmarco-document": (
        {"msmarco-docs.tsv": "7\tu\tt\tx\n"},
        [("queries", "dev", "msmarco-docdev-queries.tsv"), ("qrels", "trec-dl-2020", "msmarco-doctest2020-qrels.tsv")],
    ),
    "msmarco-v2": (
        {"msmarco_passage_00": lines({"pid": "7", "passage": "x"})},
        [("qrels", "dev", "passv2_dev_qrels.tsv"), ("queries", "trec-dl-2021", "2021_queries.tsv")],
    ),
    "beir": ({"corpus.jsonl": lines({"_id": "7", "text": "x"}), "queries.jsonl": ""}, [("qrels", "test", "qrels/test.tsv")]),
    "collection": ({"corpus.jsonl": lines(CATS)}, [("qrels", "test", "qrels.txt"), ("answers", "dev", "answers.dev.jsonl")]),
    "pyserini": (
        {"a.jsonl": lines({"id": "7", "contents": "x"})},
        [("queries", "dev", "topics.dev.tsv"), ("qrels", "dev", "qrels.dev.txt")],
    ),
    "dpr": ({"psgs_w100.tsv": "id\ttext\ttitle\n7\tx\tt\n"}, [("answers", "test", "NAME-test.qa.csv")]),
}


@pytest.mark.parametrize("layout", SOUGHT)
def test_the_file_that_was_looked_for_is_named(layout: str, tmp_path: Path) -> None:
    files, sought = SOUGHT[layout]
    dataset = load_dataset(write(tmp_path / "x", files))
    assert isinstance(dataset, FileDataset) and dataset.layout == layout
    for kind, split, name in sought:
        with pytest.raises(DatasetNotFoundError, match=f"looked for {re.escape(name)}, .*{dataset.path}"):
            getattr(dataset, kind)(split)
