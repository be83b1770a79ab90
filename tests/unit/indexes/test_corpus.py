"""A stream of documents becomes an index; broken off, it goes on."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ance_ir.datasets import Document, DocumentStore
from ance_ir.errors import DatasetError, IndexingError, UsageError
from ance_ir.indexes import AnceIndex, FirstP, MaxP, SlidingWindow, index_documents
from ance_ir.indexes.store import corpus, cutting, reuse
from ance_ir.indexes.store.corpus import CorpusEncoding
from ance_ir.indexes.store.cutting import Cutting
from ance_ir.models import DenseEncoder, PassageScheme
from ance_ir.models.dense import encoding
from tests.index_jobs import index_in_little_memory
from tests.processes import CONTEXT, start
from tests.tiny import WORDS, encoder

RNG = np.random.default_rng(0)
TEXTS = [" ".join(RNG.choice(WORDS, size=size)) for size in RNG.integers(1, 30, size=60)]
DOCUMENTS = [{"docno": f"d{number}", "title": WORDS[20 + number % 9], "text": text} for number, text in enumerate(TEXTS)]
DOCUMENTS.append({"docno": "größe/日本/\U0001f600", "text": ""})


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of four documents, two blocks or more in each."""
    monkeypatch.setattr(corpus, "LEAST", 4)
    monkeypatch.setitem(encoding.WINDOW_TOKENS, "cpu", 40)


@pytest.fixture(scope="module")
def model() -> DenseEncoder:
    return encoder(head=8)


def stream(documents: list[Document] = DOCUMENTS) -> Iterator[Document]:
    """A generator: it can be read once, and knows no length."""
    yield from documents


def vectors(index: AnceIndex) -> np.ndarray:
    return index.vectors.get(np.arange(len(index.vectors)))


@pytest.mark.parametrize("scheme", [FirstP(), MaxP(8, 3), SlidingWindow(8, 4)], ids=repr)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_stream_is_indexed_as_by_a_pipeline(tmp_path: Path, model: DenseEncoder, scheme: PassageScheme, dtype: Any) -> None:
    index = index_documents(tmp_path / "x.ance", model, stream(), scheme, dtype=dtype)
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.ance"]
    index.verify()
    pipeline: Any = scheme >> model.passages() >> AnceIndex(tmp_path / "y.ance", dtype=dtype)  # type: ignore[operator]
    expected: AnceIndex = pipeline.index(stream())
    differing = {"checksums", "shards", "largest_norm", "documents_encoded"}
    told, known = ({k: v for k, v in one.manifest.items() if k not in differing} for one in (index, expected))
    assert told == known
    assert index.manifest["largest_norm"] == pytest.approx(expected.manifest["largest_norm"], rel=1e-3)
    np.testing.assert_allclose(vectors(index), vectors(expected), atol=1e-5 if dtype == "float32" else 5e-3)
    numbers = np.arange(len(DOCUMENTS))
    assert (index.docnos(numbers) == expected.docnos(numbers)).all()
    assert (index.table.rows(numbers)[0] == expected.table.rows(numbers)[0]).all()


def test_progress_shows_only_when_asked(tmp_path: Path, model: DenseEncoder, capsys: pytest.CaptureFixture[str]) -> None:
    index_documents(tmp_path / "x", model, stream(), MaxP(8, 3))
    assert capsys.readouterr() == ("", "")
    index_documents(tmp_path / "y", model, stream(), MaxP(8, 3), verbose=True)
    assert "encoding: 100%" in capsys.readouterr().err


class Broken(Exception):
    """Stands for whatever ends a process."""


@pytest.fixture
def break_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, model: DenseEncoder) -> Any:
    """Index a stream, and break off in the given part."""

    def breaking(documents: list[Document], at: int, **options: Any) -> None:
        join, left = type(model.settings).join, [corpus.LEAST * at + 1]

        def joining(self: Any, document: Document) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise Broken
            return join(self, document)

        with monkeypatch.context() as patched:
            patched.setattr(type(model.settings), "join", joining)
            with pytest.raises(Broken):
                index_documents(tmp_path / "x", model, stream(documents), FirstP(), **options)

    return breaking


@pytest.fixture
def joined(monkeypatch: pytest.MonkeyPatch, model: DenseEncoder) -> list[str]:
    """The docnos of the documents whose texts were joined to be encoded."""
    seen: list[str] = []
    join = type(model.settings).join

    def joining(self: Any, document: Document) -> Any:
        seen.append(document["docno"])
        return join(self, document)

    monkeypatch.setattr(type(model.settings), "join", joining)
    return seen


def test_the_same_call_goes_on(tmp_path: Path, model: DenseEncoder, break_off: Any, joined: list[str]) -> None:
    break_off(DOCUMENTS, 5)
    assert not AnceIndex(tmp_path / "x").built()
    joined.clear()
    index = index_documents(tmp_path / "x", model, stream(), FirstP())
    assert joined == [document["docno"] for document in DOCUMENTS[20:]]
    assert [entry.name for entry in tmp_path.iterdir()] == ["x"]
    np.testing.assert_array_equal(vectors(index), vectors(index_documents(tmp_path / "y", model, stream(), FirstP())))


@pytest.mark.parametrize("change", ["text", "title", "docno", "order"])
def test_a_stream_that_changed_begins_anew(tmp_path: Path, model: DenseEncoder, break_off: Any, joined: list[str], change: str) -> None:
    """As many documents, and not a byte more or less."""
    break_off(DOCUMENTS, 5)
    changed = [dict(document) for document in DOCUMENTS]
    if change == "order":
        changed[1], changed[2] = changed[2], changed[1]
    else:
        changed[1][change] = changed[1][change][::-1]
    joined.clear()
    index = index_documents(tmp_path / "x", model, stream(changed), FirstP())
    assert len(joined) == len(DOCUMENTS)
    np.testing.assert_array_equal(vectors(index), vectors(index_documents(tmp_path / "y", model, stream(changed), FirstP())))


def test_an_index_that_is_there_stays(tmp_path: Path, model: DenseEncoder, break_off: Any) -> None:
    index_documents(tmp_path / "x", model, stream(DOCUMENTS[:9]), FirstP())
    untouched = stream()
    with pytest.raises(IndexingError, match="overwrite"):
        index_documents(tmp_path / "x", model, untouched, FirstP())
    assert next(untouched) == DOCUMENTS[0], "nothing of the stream was read"
    break_off(DOCUMENTS, 3, overwrite=True)
    assert len(AnceIndex(tmp_path / "x")) == 9
    assert len(index_documents(tmp_path / "x", model, stream(), FirstP(), overwrite=True)) == len(DOCUMENTS)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("precious")
    with pytest.raises(UsageError, match="holds something else"):
        index_documents(tmp_path / "thesis", model, stream(), FirstP(), overwrite=True)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["thesis", "x"]


def test_a_stream_without_documents_is_refused(tmp_path: Path, model: DenseEncoder) -> None:
    with pytest.raises(DatasetError, match="holds no documents"):
        index_documents(tmp_path / "x", model, stream([]), FirstP())
    assert list(tmp_path.iterdir()) == []


def test_documents_that_cannot_be_used_are_left_out(tmp_path: Path, model: DenseEncoder) -> None:
    spoilt = [*DOCUMENTS[:7], {"docno": "d3", "text": "again"}, {"docno": "none", "text": None}, *DOCUMENTS[7:]]
    with pytest.raises(DatasetError, match=r"document 9 of the corpus .*'text', found None"):
        index_documents(tmp_path / "x", model, iter(spoilt), FirstP())
    assert list(tmp_path.iterdir()) == []
    index = index_documents(tmp_path / "x", model, iter(spoilt), FirstP(), on_error="skip")
    expected = index_documents(tmp_path / "y", model, stream(DOCUMENTS[:-1]), FirstP())
    np.testing.assert_array_equal(vectors(index), vectors(expected))


class Many:
    """A corpus of long documents, of which nothing is read."""

    fingerprint = "many"

    def __init__(self, count: int) -> None:
        self.count = count
        self.byte_count = 100_000 * count

    def __len__(self) -> int:
        return self.count


@pytest.mark.parametrize("count", [1, 255, 257, 4097, 130_000, 131_073, 2_097_153, 8_841_823, 1_000_000_000])
def test_parts_are_few_enough_to_be_mapped_at_once(
    tmp_path: Path, model: DenseEncoder, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(corpus, "LEAST", 256)
    many: Any = Many(count)
    work = CorpusEncoding(tmp_path / "x", many, model, FirstP())
    parts = list(itertools.takewhile(len, map(work._documents, itertools.count())))
    assert len(parts) == work._parts <= 256
    assert [parts[0].start, parts[-1].stop] == [0, count]
    assert all(one.stop == other.start for one, other in itertools.pairwise(parts))


def test_unchanged_documents_are_taken_from_an_index(tmp_path: Path, model: DenseEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reuse, "RUN", 3)
    before = index_documents(tmp_path / "before", model, stream(), MaxP(8, 3))
    changed = [{"docno": "new", "text": "a small red bird"}, *(dict(document) for document in DOCUMENTS[:30]), *DOCUMENTS[31:]]
    changed[12]["text"] = "the queen runs and the king sleeps " * 4
    index = index_documents(tmp_path / "after", model, stream(changed), MaxP(8, 3), reuse=before)
    assert index.manifest["documents_encoded"] == 2
    fresh = index_documents(tmp_path / "fresh", model, stream(changed), MaxP(8, 3))
    np.testing.assert_allclose(vectors(index), vectors(fresh), atol=1e-5)
    numbers = np.arange(len(changed))
    assert (index.table.rows(numbers)[0] == fresh.table.rows(numbers)[0]).all()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["passages", "text"])
def test_memory_does_not_grow_with_the_corpus(tmp_path: Path, kind: str) -> None:
    """All is one part; what is held a few times over is a window of texts, here 3 MiB of vectors of 1,536 dimensions."""
    receiving, sending = CONTEXT.Pipe(duplex=False)
    process = start(index_in_little_memory, kind, tmp_path, sending)
    while not receiving.poll(0.2):
        assert process.is_alive()
    held, text, vectors, parts = receiving.recv()
    process.join()
    assert parts == 1
    assert text + vectors > 200
    assert held < (text + vectors) / 3


def test_documents_are_read_where_they_are_tokenised(tmp_path: Path, model: DenseEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "PIECE", 3)
    expected = index_documents(tmp_path / "thread", model, stream(), MaxP(8, 3))

    def here(self: DocumentStore, number: int) -> Document:
        raise AssertionError(f"document {number} is read in this process")

    monkeypatch.setattr(DocumentStore, "__getitem__", here)
    found = index_documents(tmp_path / "process", model, stream(), MaxP(8, 3), workers=1)
    np.testing.assert_array_equal(vectors(found), vectors(expected))
    assert found.manifest == expected.manifest


def test_pieces_hold_few_documents_and_few_long_ones(tmp_path: Path, model: DenseEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = RNG.integers(1, 300, size=50)
    store = DocumentStore.build(({"docno": str(number), "text": "x" * size} for number, size in enumerate(sizes)), tmp_path / "store")
    monkeypatch.setattr(cutting, "PIECE", 5)
    monkeypatch.setattr(cutting, "PIECE_CHARACTERS", 700)
    numbers = RNG.permutation(50)[:40]
    pieces = list(Cutting(store=store, tokenizer=model.tokenizer, passages=FirstP()).pieces(numbers))
    assert np.concatenate(pieces).tolist() == numbers.tolist()
    for piece in pieces[:-1]:
        length = store.sizes(piece)
        assert len(piece) == 5 or length.sum() >= 700
        assert len(piece) <= 5 and length[:-1].sum() < 700
    assert {len(piece) == 5 for piece in pieces[:-1]} == {True, False}
    assert store.sizes(numbers).tolist() == [len(json.dumps(store[number])) + 1 for number in numbers.tolist()]


def test_parts_of_long_documents_have_few(tmp_path: Path, model: DenseEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    store = DocumentStore.build(DOCUMENTS[:8], tmp_path / "store")
    for documents, expected in ((8, 4), (2, 2), (0, 1)):
        monkeypatch.setattr(corpus, "LEAST_BYTES", -(-documents * store.byte_count // len(store)))
        assert CorpusEncoding(tmp_path / "x", store, model, FirstP()).description["size"] == expected
