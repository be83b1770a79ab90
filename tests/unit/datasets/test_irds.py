from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import ir_datasets
import pytest
from ir_datasets.formats import BaseDocs, BaseQrels, BaseQueries, GenericDoc, GenericQuery, TrecQrel

from ance_ir.datasets import load_dataset
from ance_ir.datasets.sources import _catalogue
from ance_ir.errors import DatasetError, DatasetNotFoundError

Register = Callable[..., str]


class MarcoDocument(NamedTuple):
    doc_id: str
    url: str
    title: str
    body: str


class Trial(NamedTuple):
    doc_id: str
    headline: str
    summary: str


class Question(NamedTuple):
    query_id: str
    text: str
    answers: tuple[str, ...]


class Topic(NamedTuple):
    query_id: str
    title: str
    narrative: str

    def default_text(self) -> str:
        return self.title


class Docs(BaseDocs):
    def __init__(self, *records: tuple[str, ...]) -> None:
        self.records = records

    def docs_iter(self) -> Iterator[tuple[str, ...]]:
        return iter(self.records)

    def docs_cls(self) -> type:
        return type(self.records[0])


class Queries(BaseQueries):
    def __init__(self, *records: tuple[object, ...]) -> None:
        self.records = records

    def queries_iter(self) -> Iterator[tuple[object, ...]]:
        return iter(self.records)

    def queries_cls(self) -> type:
        return type(self.records[0])


class Qrels(BaseQrels):
    def qrels_iter(self) -> Iterator[TrecQrel]:
        return iter([TrecQrel("q1", "d1", 2, "0")])


class Unreachable(BaseDocs):
    def docs_iter(self) -> Iterator[GenericDoc]:
        yield GenericDoc("d1", "one")
        ir_datasets.log.easy().info("Sign the form at https://example.org and put the file in /here")
        raise ConnectionError("no route to host")


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Register:
    monkeypatch.setattr(ir_datasets.registry, "_registered", dict(ir_datasets.registry._registered))

    def add(*parts: object) -> str:
        ir_datasets.registry.register("pets", ir_datasets.Dataset(*parts))
        return "pets"

    return add


def test_everything_is_read(register: Register) -> None:
    question = Question("q1", "who", ("cats", "a cat"))
    dataset = load_dataset(register(Docs(GenericDoc("d1", "one"), GenericDoc("d2", "two")), Queries(question), Qrels()))
    stream = dataset.documents()
    assert list(stream) == list(stream) == [{"docno": "d1", "text": "one"}, {"docno": "d2", "text": "two"}]
    assert stream.count is None
    assert dataset.splits == ("test",)
    assert dataset.queries().to_dict("list") == {"qid": ["q1"], "query": ["who"]}
    assert dataset.qrels().to_dict("list") == {"qid": ["q1"], "docno": ["d1"], "label": [2]}
    assert dataset.answers().to_dict("list") == {"qid": ["q1"], "query": ["who"], "answers": [["cats", "a cat"]]}
    assert dataset.store().get(["d2"]) == [{"docno": "d2", "text": "two"}]
    assert list(pickle.loads(pickle.dumps(dataset)).documents()) == list(stream)  # noqa: S301


def test_documents_that_cannot_be_used(register: Register) -> None:
    records = [GenericDoc("d1", "one"), GenericDoc("d2", ""), GenericDoc("d1", "again"), GenericDoc("d3", "three")]
    dataset = load_dataset(register(Docs(*records)))
    with pytest.raises(DatasetError, match="the docno 'd1' occurs more than once"):
        dataset.store()
    store = dataset.store(on_error="skip")
    assert list(store) == [{"docno": "d1", "text": "one"}, {"docno": "d3", "text": "three"}]
    assert store.left_out == {"empty text": 1, "duplicate docno": 1}


@pytest.mark.parametrize("identifier", ["a b", "", 7, None])
def test_ids_that_are_none_are_named(register: Register, identifier: object) -> None:
    dataset = load_dataset(
        register(
            Docs(GenericDoc("d1", "one"), GenericDoc(identifier, "two")), Queries(GenericQuery("q1", "who"), GenericQuery(identifier, "?"))
        )
    )
    with pytest.raises(DatasetError, match=f"pets, document 2: .*{identifier}"):
        list(dataset.documents())
    assert dataset.store(on_error="skip").left_out == {"no document": 1}
    with pytest.raises(DatasetError, match=rf"queries of pets: .*{'nan|None' if identifier is None else repr(identifier)}"):
        dataset.queries()


@pytest.mark.parametrize(
    ("judgements", "found"),
    [
        ([("q1", "d1", 2), ("q1", "d1", 1)], "'q1' and document 'd1'"),
        ([("q1", "d1", 10**20)], str(10**20)),
        ([("q1", "d 1", 1)], "'d 1'"),
        ([("q1", "d1", 0.5)], "0.5"),
    ],
)
def test_judgements_that_are_none_are_named(register: Register, judgements: list[tuple[str, str, int]], found: str) -> None:
    class Wrong(BaseQrels):
        def qrels_iter(self) -> Iterator[TrecQrel]:
            return (TrecQrel(*judgement, "0") for judgement in judgements)

    with pytest.raises(DatasetError, match=f"judgements of pets: .*{found}"):
        load_dataset(register(Wrong())).qrels()


@pytest.mark.parametrize("count", [1023, 1024, 1025, 2048])
def test_every_record_of_a_long_source_is_read_once(register: Register, count: int) -> None:
    dataset = load_dataset(register(Docs(*(GenericDoc(f"d{number}", "one") for number in range(count)))))
    assert [document["docno"] for document in dataset.documents()] == [f"d{number}" for number in range(count)]


@pytest.mark.parametrize(
    ("record", "document"),
    [
        (MarcoDocument("d", "http://a", "A", "body"), {"docno": "d", "title": "A", "url": "http://a", "text": "body"}),
        (MarcoDocument("d", "", "", "body"), {"docno": "d", "text": "body"}),
        (Trial("d", "Head", "Sum"), {"docno": "d", "text": "Head Sum"}),
    ],
)
def test_titles_and_urls_stay_apart_from_the_text(register: Register, record: tuple[str, ...], document: dict[str, str]) -> None:
    assert list(load_dataset(register(Docs(record))).documents()) == [document]


@pytest.mark.parametrize("wrong", [0, False, None])
@pytest.mark.parametrize(
    ("field", "made"),
    [
        ("title", lambda wrong: MarcoDocument("d", "", wrong, "body")),
        ("text", lambda wrong: GenericDoc("d", wrong)),
        ("text", lambda wrong: MarcoDocument("d", "", "", wrong)),
    ],
)
def test_titles_and_texts_of_another_type_are_none(register: Register, field: str, made: Callable[[Any], Any], wrong: Any) -> None:
    documents = load_dataset(register(Docs(made(wrong)))).usable_documents()
    if (field, wrong) == ("title", None):
        assert list(documents) == [{"docno": "d", "text": "body"}]
    else:
        with pytest.raises(DatasetError, match=f"pets, document 1 .*'{field}'.*{wrong}"):
            list(documents)


@pytest.mark.parametrize("wrong", [0, False, None])
@pytest.mark.parametrize("made", [lambda wrong: GenericQuery("q", wrong), lambda wrong: Topic("q", wrong, "long")])
def test_queries_of_another_type_are_none(register: Register, made: Callable[[Any], Any], wrong: Any) -> None:
    with pytest.raises(DatasetError, match=f"queries of pets: .*{wrong}"):
        load_dataset(register(Queries(made(wrong)))).queries()


def test_a_topic_gives_its_default_text(register: Register) -> None:
    assert load_dataset(register(Queries(Topic("1", "title", "long")))).queries()["query"].tolist() == ["title"]


def test_what_a_dataset_has_not_is_said(register: Register) -> None:
    dataset = load_dataset(register(Queries(GenericQuery("q1", "who"))))
    with pytest.raises(DatasetNotFoundError, match="pets has no docs"):
        dataset.documents()
    with pytest.raises(DatasetNotFoundError, match="pets has no qrels"):
        dataset.qrels()
    with pytest.raises(DatasetNotFoundError, match="pets has no answers"):
        dataset.answers()
    with pytest.raises(DatasetNotFoundError, match="pets has no split 'dev'"):
        dataset.queries("dev")


def test_an_id_without_queries_has_no_splits(register: Register) -> None:
    assert load_dataset(register(Docs(GenericDoc("d1", "one")))).splits == ()


def test_what_cannot_be_fetched_says_what_to_do(register: Register, capfd: pytest.CaptureFixture[str]) -> None:
    stream = iter(load_dataset(register(Unreachable())).documents())
    assert next(stream) == {"docno": "d1", "text": "one"}
    with pytest.raises(DatasetNotFoundError, match=r"ConnectionError: no route to host\. Sign the form at .*collection directory"):
        next(stream)
    assert capfd.readouterr() == ("", "")
    ir_datasets.log.easy().info("still there")
    assert "still there" in capfd.readouterr().err


def test_a_real_id_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise ir_datasets.lazy_libs.requests().exceptions.ConnectionError("no network")

    home = tmp_path / "irds"
    monkeypatch.setenv("IR_DATASETS_HOME", str(home))
    monkeypatch.delenv("IR_DATASETS_DL_DISABLE_PBAR", raising=False)
    monkeypatch.setattr(ir_datasets.lazy_libs.requests(), "get", no_network)
    dataset = load_dataset("vaswani")
    assert dataset.documents().count == 11429
    assert os.environ["IR_DATASETS_DL_DISABLE_PBAR"] == "true"
    for read in (lambda: list(dataset.documents()), dataset.queries, dataset.qrels, dataset.store):
        with pytest.raises(DatasetNotFoundError, match=r"(?s)'vaswani'.*irds \(\$IR_DATASETS_HOME\).*collection directory"):
            read()
    assert capfd.readouterr() == ("", "")


def test_datasets_over_one_corpus_share_its_store() -> None:
    first, second = load_dataset("trec-dl-2019/passage"), load_dataset("trec-dl-2020/passage")
    assert first.corpus_fingerprint == second.corpus_fingerprint != load_dataset("trec-dl-2019/document").corpus_fingerprint
    assert first.fingerprint != second.fingerprint
    assert first.fingerprint == load_dataset("msmarco-passage/trec-dl-2019/judged").fingerprint
    assert first.documents().count == 8841823


def test_the_log_is_taken_over_once_for_many_records(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    """To take it over for each of 8.8 million documents took two minutes."""
    entered: list[int] = []
    enter = _catalogue._Log.__enter__
    dataset = load_dataset(register(Docs(*(GenericDoc(str(number), "one") for number in range(3000)))))
    monkeypatch.setattr(_catalogue._Log, "__enter__", lambda self: entered.append(1) or enter(self))
    assert len(list(dataset.documents())) == 3000
    assert len(entered) < 10
