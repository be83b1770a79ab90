"""Documents of a collection are added to an index that is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ance_ir.datasets import Document
from ance_ir.errors import DatasetError, FingerprintError, IndexingError, UsageError
from ance_ir.indexes import AnceIndex, FirstP, MaxP, add_documents, index_documents
from ance_ir.indexes.store import corpus, updates
from ance_ir.indexes.store.additions import LOCK
from ance_ir.indexes.store.corpus import CorpusEncoding
from ance_ir.indexes.store.parts import Blocks
from ance_ir.locks import held_lock
from ance_ir.models import DenseEncoder
from tests.tiny import WORDS, encoder

WORD = sorted(WORDS)


@pytest.fixture(scope="module")
def model() -> DenseEncoder:
    return encoder(head=8)


def documents(first: int, last: int, salt: int = 0) -> list[Document]:
    chosen = [np.random.default_rng([number, salt]).choice(WORD, 3 + number % 9) for number in range(first, last)]
    return [{"docno": f"d{number}", "text": " ".join(words)} for number, words in zip(range(first, last), chosen, strict=True)]


def found(index: AnceIndex, model: DenseEncoder) -> Any:
    results = index.retriever(model, 50).search("king cat")
    return dict(zip(results["docno"], results["score"], strict=True))


def same(index: AnceIndex, expected: list[Document], model: DenseEncoder, scheme: Any, path: Path) -> bool:
    wanted = found(index_documents(path, model, iter(expected), scheme), model)
    got = found(index, model)
    return list(got) == list(wanted) and np.allclose(list(got.values()), list(wanted.values()), rtol=1e-5)


@pytest.mark.parametrize("scheme", [FirstP(), MaxP(8, 3)], ids=str)
def test_an_index_grows(tmp_path: Path, model: DenseEncoder, scheme: Any) -> None:
    index = index_documents(tmp_path / "x", model, iter(documents(0, 20)), scheme)
    assert add_documents(index, model, iter(documents(20, 30))) == 10
    assert same(index, documents(0, 30), model, scheme, tmp_path / "y")
    assert add_documents(index, model, iter(documents(15, 35, salt=1)), existing="keep") == 5
    assert same(index, documents(0, 30) + documents(30, 35, salt=1), model, scheme, tmp_path / "z")
    assert add_documents(index, model, iter(documents(0, 30)), existing="keep") == 0
    assert not (tmp_path / "x.adding").exists()


def test_only_documents_that_changed_are_encoded_anew(tmp_path: Path, model: DenseEncoder) -> None:
    index = index_documents(tmp_path / "x", model, iter(documents(0, 20)), FirstP())
    changed = [*documents(0, 5, salt=1), *documents(5, 22)]
    expected = 7 if index.table.text_hashes is not None else 22
    assert add_documents(index, model, iter(changed), existing="replace") == expected
    assert len(index) == 22
    assert same(index, changed, model, FirstP(), tmp_path / "y")
    index.compact()
    assert add_documents(index, model, iter(changed), existing="replace") == 0


def test_what_cannot_be_added(tmp_path: Path, model: DenseEncoder) -> None:
    index = index_documents(tmp_path / "x", model, iter(documents(0, 5)), FirstP())
    with pytest.raises(DatasetError, match="'d4'"):
        add_documents(index, model, iter(documents(4, 9)))
    with pytest.raises(FingerprintError, match="was built with tiny"):
        add_documents(index, encoder(head=8, seed=3), iter(documents(5, 9)))
    with pytest.raises(DatasetError, match="occurs more than once"):
        add_documents(index, model, iter(documents(5, 9) + documents(5, 6)))
    assert not (index.folder.parent / f"{index.folder.name}.adding").exists()
    with pytest.raises(UsageError, match=r"'forget'.*refuse, keep, replace"):
        add_documents(index, model, [], existing="forget")  # type: ignore[arg-type]
    assert len(AnceIndex(tmp_path / "x")) == 5
    assert not list((tmp_path / "x").glob("vectors-00001*"))
    with held_lock(tmp_path / "x" / LOCK), pytest.raises(IndexingError, match=re.escape(str(tmp_path / "x"))):
        add_documents(index, model, iter(documents(5, 9)))
    vectors = AnceIndex(tmp_path / "y").index([{"docno": "a", "doc_vec": np.ones(8)}])
    with pytest.raises(IndexingError, match=r"AnceIndex\.add"):
        add_documents(vectors, model, [])


def test_an_addition_that_was_broken_off_goes_on(tmp_path: Path, model: DenseEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "LEAST", 2)
    index = index_documents(tmp_path / "x", model, iter(documents(0, 5)), FirstP())
    encoded = []
    write = CorpusEncoding._write

    def breaking(self: CorpusEncoding, part: int, blocks: Blocks) -> None:
        if len(encoded) == 3:
            raise KeyboardInterrupt
        encoded.append(part)
        write(self, part, blocks)

    with monkeypatch.context() as patched:
        patched.setattr(CorpusEncoding, "_write", breaking)
        with pytest.raises(KeyboardInterrupt):
            add_documents(index, model, iter(documents(5, 15)))
    assert len(AnceIndex(tmp_path / "x")) == 5
    with monkeypatch.context() as patched:
        patched.setattr(updates, "add", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        patched.setattr(CorpusEncoding, "_write", lambda self, part, blocks: (encoded.append(part), write(self, part, blocks))[1])
        with pytest.raises(KeyboardInterrupt):
            add_documents(index, model, iter(documents(5, 15)))
    assert sorted(encoded) == [0, 1, 2, 3, 4], "each part is encoded once"
    add_documents(index, model, iter(documents(5, 15)))
    assert sorted(encoded) == [0, 1, 2, 3, 4]
    assert same(index, documents(0, 15), model, FirstP(), tmp_path / "y")


def test_an_addition_that_was_ended_at_the_last_moment_is_tidied_up(
    tmp_path: Path, model: DenseEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = index_documents(tmp_path / "x", model, iter(documents(0, 5)), FirstP())
    with monkeypatch.context() as patched:
        patched.setattr(AnceIndex, "reopen", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            add_documents(index, model, iter(documents(5, 8)))
    assert len(AnceIndex(tmp_path / "x")) == 8
    assert add_documents(AnceIndex(tmp_path / "x"), model, iter(documents(5, 8))) == 0
    assert not (tmp_path / "x.adding").exists()
    with pytest.raises(DatasetError, match="'d5'"):
        add_documents(AnceIndex(tmp_path / "x"), model, iter(documents(5, 8)))
