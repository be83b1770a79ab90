"""A corpus that several processes encode in parts."""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ance_ir.datasets import Dataset
from ance_ir.errors import AnceError, IndexingError, UsageError
from ance_ir.indexes import AnceIndex, FirstP, MaxP, add_documents, index_corpus, index_documents
from ance_ir.indexes.store import corpus
from ance_ir.indexes.store.corpus import CorpusEncoding
from ance_ir.indexes.store.cutting import Cutting
from ance_ir.models import DenseEncoder
from ance_ir.models.text.tokens import Tokens
from tests.tiny import encoder


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "LEAST", 4)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each text was encoded."""
    counted: Counter[str] = Counter()
    cut = Cutting.__call__

    def counting(self: Cutting, numbers: np.ndarray) -> Tokens:
        counted.update(self.store[number]["text"] for number in numbers.tolist())
        return cut(self, numbers)

    monkeypatch.setattr(Cutting, "__call__", counting)
    return counted


@pytest.mark.parametrize("scheme", [FirstP(), MaxP(4, 3)])
def test_the_index_is_that_of_one_stream(dataset: Dataset, tmp_path: Path, scheme: Any) -> None:
    model, store = encoder(), dataset.store()
    index = CorpusEncoding(tmp_path / "a.ance", store, model, scheme).lead()
    expected = (scheme >> model.passages() >> AnceIndex(tmp_path / "b.ance")).index(iter(store))
    assert len(index.vectors.shards) == 10
    differing = {"checksums", "shards", "largest_norm", "documents_encoded"}
    assert {k: v for k, v in index.manifest.items() if k not in differing} == {
        k: v for k, v in expected.manifest.items() if k not in differing
    }
    assert index.manifest["largest_norm"] == pytest.approx(expected.manifest["largest_norm"], rel=1e-6)
    rows = np.arange(len(expected.vectors))
    assert index.vectors.get(rows) == pytest.approx(expected.vectors.get(rows), abs=1e-5)
    queries = model.encode_queries(["who runs", "a queen"])
    for one, other in zip(index.search_vectors(queries, 9), expected.search_vectors(queries, 9), strict=True):
        assert one == pytest.approx(other, rel=1e-5)
    assert (index.docnos(np.arange(38)) == expected.docnos(np.arange(38))).all()
    index.verify()


def test_progress_is_told_from_where_the_work_was_left(dataset: Dataset, tmp_path: Path) -> None:
    folder, store = tmp_path / "a.ance", dataset.store()
    begun = CorpusEncoding(folder, store, encoder(), FirstP())
    begun.begin()
    begun.take([0, 4])
    told: list[tuple[int, int]] = []
    CorpusEncoding(folder, store, encoder(), FirstP(), told=lambda done, total: told.append((done, total))).lead()
    done = [count for count, _ in told]
    assert {total for _, total in told} == {38}
    assert done[:2] == [0, 8]
    assert done[-1] == 38
    assert done == sorted(done) and len(set(done)) >= 9


def test_nobody_encodes_what_another_has(dataset: Dataset, tmp_path: Path, seen: Counter[str]) -> None:
    folder, store = tmp_path / "a.ance", dataset.store()
    lead = CorpusEncoding(folder, store, encoder(), FirstP())

    def help_on() -> None:
        helper = CorpusEncoding(folder, store, encoder(), FirstP())
        while not AnceIndex(folder).built():
            helper.help()

    threads = [threading.Thread(target=help_on) for _ in range(3)]
    for thread in threads:
        thread.start()
    lead.lead()
    for thread in threads:
        thread.join(30)
    twins = 2  # d0 and twin have the same text
    assert sum(seen.values()) == len(store) == lead.encoded
    assert max(seen.values()) == twins


def test_work_goes_on_at_the_complete_parts(dataset: Dataset, tmp_path: Path, seen: Counter[str], monkeypatch: pytest.MonkeyPatch) -> None:
    model, store = encoder(), dataset.store()
    with monkeypatch.context() as patched:
        left = [6]

        def breaking(*arguments: Any) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
            write(*arguments)

        write = CorpusEncoding._write
        patched.setattr(CorpusEncoding, "_write", breaking)
        with pytest.raises(KeyboardInterrupt):
            CorpusEncoding(tmp_path / "a.ance", store, model, FirstP()).lead()
    assert sum(seen.values()) >= 24
    seen.clear()
    assert not AnceIndex(tmp_path / "a.ance").built()
    CorpusEncoding(tmp_path / "a.ance", store, model, FirstP()).lead()
    assert sum(seen.values()) == 38 - 24
    CorpusEncoding(tmp_path / "a.ance", store, model, FirstP()).lead()
    assert sum(seen.values()) == 38 - 24, "an index that is complete is opened"


def test_parts_of_another_model_are_not_taken(dataset: Dataset, tmp_path: Path, seen: Counter[str]) -> None:
    store = dataset.store()
    CorpusEncoding(tmp_path / "a.ance", store, encoder(), FirstP()).lead()
    CorpusEncoding(tmp_path / "a.ance", store, encoder(seed=1), FirstP()).help()
    assert sum(seen.values()) == 38, "who helps does not begin"
    index = CorpusEncoding(tmp_path / "a.ance", store, encoder(seed=1), FirstP()).lead()
    assert sum(seen.values()) == 76
    index.check_model(encoder(seed=1))


def test_vectors_that_are_no_numbers_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    model = encoder()
    next(model.parameters()).data.fill_(float("nan"))
    with pytest.raises(IndexingError, match=r"document .* infinite or not a number"):
        CorpusEncoding(tmp_path / "a.ance", dataset.store(), model, FirstP()).lead()


def test_an_index_stays_until_the_new_one_is_complete(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, path = dataset.store(), tmp_path / "x.ance"
    index_corpus(path, encoder(), store, FirstP())
    with pytest.raises(IndexingError, match="--overwrite"):
        index_corpus(path, encoder(seed=1), store, FirstP())
    with monkeypatch.context() as patched:
        patched.setattr(CorpusEncoding, "_finish", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            index_corpus(path, encoder(seed=1), store, FirstP(), overwrite=True)
    AnceIndex(path).check_model(encoder())
    assert (tmp_path / "x.ance.building").is_dir()
    index_corpus(path, encoder(seed=1), store, FirstP(), overwrite=True, dtype="float16").check_model(encoder(seed=1))
    assert AnceIndex(path).vectors.dtype == np.float16
    assert not (tmp_path / "x.ance.building").exists()


def test_nothing_else_is_overwritten(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("precious")
    with pytest.raises(UsageError, match=r"holds something else \(there is no manifest\.json"):
        index_corpus(tmp_path / "thesis", encoder(), dataset.store(), FirstP(), overwrite=True)
    assert (tmp_path / "thesis" / "thesis.tex").read_text() == "precious"


@pytest.mark.parametrize("name", ["x.ance.building", "x.ance.adding"])
def test_a_folder_of_somebody_else_that_has_the_name_of_ours_stays(dataset: Dataset, tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "thesis.tex").write_text("precious")
    documents = [{"docno": "new", "text": "a queen"}]

    def index() -> None:
        index_corpus(tmp_path / "x.ance", encoder(), dataset.store(), FirstP())

    if name.endswith("adding"):
        index()
        with pytest.raises(UsageError, match=name):
            add_documents(AnceIndex(tmp_path / "x.ance"), encoder(), documents)
    else:
        for build in (index, lambda: index_documents(tmp_path / "x.ance", encoder(), documents, FirstP())):
            with pytest.raises(UsageError, match=name):
                build()
    assert (tmp_path / name / "thesis.tex").read_text() == "precious"


@pytest.mark.parametrize("wrong", [MaxP(66, 2), FirstP(1000)], ids=str)
def test_passages_that_are_refused_leave_nothing(dataset: Dataset, tmp_path: Path, wrong: MaxP) -> None:
    with pytest.raises(UsageError, match=str(wrong.length)):
        index_corpus(tmp_path / "x.ance", encoder(), dataset.store(), wrong)
    with pytest.raises(UsageError, match=str(wrong.length)):
        index_documents(tmp_path / "x.ance", encoder(), dataset.documents(), wrong)
    assert not list(tmp_path.iterdir())


def test_an_index_that_is_refused_leaves_nothing(dataset: Dataset, tmp_path: Path) -> None:
    spoilt = encoder()
    next(spoilt.parameters()).data.fill_(float("nan"))
    for documents in (dataset.documents(), [{"docno": "a", "text": "x"}] * 2, []):
        with pytest.raises(AnceError):
            index_documents(tmp_path / "x.ance", spoilt, documents, FirstP())
    assert not list(tmp_path.iterdir())


def test_processes_that_make_the_same_call_share_the_parts(
    dataset: Dataset, tmp_path: Path, seen: Counter[str], caplog: pytest.LogCaptureFixture
) -> None:
    """As a SLURM array starts them: nobody says who leads."""
    store, made = dataset.store(), []

    def build(model: DenseEncoder) -> None:
        made.append(index_corpus(tmp_path / "x.ance", model, store, FirstP()))

    threads = [threading.Thread(target=build, args=(encoder(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [len(index) for index in made] == [38, 38, 38]
    assert sum(seen.values()) == 38
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.ance"]
    AnceIndex(tmp_path / "x.ance").verify()
    assert sum("helping" in record.getMessage() for record in caplog.records) == 2


@pytest.mark.parametrize("ends", [KeyboardInterrupt, IndexingError])
def test_who_helped_leads_once_the_leader_has_failed(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: Any) -> None:
    store, leading, finish = dataset.store(), threading.Event(), CorpusEncoding._finish
    model, another = encoder(), encoder()

    def failing(self: CorpusEncoding) -> None:
        if not leading.is_set():
            leading.set()
            raise ends
        finish(self)

    monkeypatch.setattr(CorpusEncoding, "_finish", failing)

    def lead() -> None:
        with pytest.raises(ends):
            index_corpus(tmp_path / "x.ance", model, store, FirstP())

    first = threading.Thread(target=lead)
    first.start()
    index = index_corpus(tmp_path / "x.ance", another, store, FirstP()) if leading.wait(30) else None
    first.join(30)
    assert index is not None
    assert len(index) == 38


def test_parts_of_something_else_are_removed_with_a_word(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(CorpusEncoding, "_finish", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            index_corpus(tmp_path / "x.ance", encoder(seed=1), dataset.store(), FirstP())
    index_corpus(tmp_path / "x.ance", encoder(), dataset.store(), FirstP())
    assert any("x.ance.building" in record.getMessage() for record in caplog.records)


def test_a_helper_that_comes_late_leaves_the_index_alone(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The leader finishes between a helper's look at the folder and its first part."""
    folder, store = tmp_path / "a.ance", dataset.store()
    helper, lead = (CorpusEncoding(folder, store, encoder(), FirstP()) for _ in range(2))
    lead.begin()
    claim = CorpusEncoding._claim

    def late(self: CorpusEncoding, part: int) -> ExitStack | None:
        if self is helper and part == 0:
            lead.lead()
        return claim(self, part)

    monkeypatch.setattr(CorpusEncoding, "_claim", late)
    helper.help()
    AnceIndex(folder).verify()
    assert not [path for pattern in ("part-*", "counts-*") for path in folder.glob(pattern) if path.suffix != ".lock"]


def test_a_leader_whose_folder_is_removed_says_so(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = CorpusEncoding(tmp_path / "a.ance", dataset.store(), encoder(), FirstP())
    claim = CorpusEncoding._claim

    def removing(self: CorpusEncoding, part: int) -> ExitStack | None:
        if part == 3 and self.folder.exists():
            shutil.rmtree(self.folder)
        return claim(self, part)

    monkeypatch.setattr(CorpusEncoding, "_claim", removing)
    with pytest.raises(IndexingError, match="was removed while the corpus was encoded"):
        work.lead()
