"""The tuner: what it tries, what it measures, what it chooses, what it leaves behind."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from ance_ir.cli.index.tune import command
from ance_ir.errors import IndexingError, UsageError
from ance_ir.eval import tuning
from ance_ir.eval.tuning import Measured, Tuning, plot_tuning, tune, tuner, tuning_table, write_tuning
from ance_ir.eval.tuning.measure import Reference, Timing, timed
from ance_ir.eval.tuning.trial_settings import trial_settings
from ance_ir.files import read_json
from ance_ir.indexes import AnceIndex, MaxP, index_documents
from ance_ir.indexes.ann import build, filling
from ance_ir.indexes.ann.settings import parse_backend, resolve
from tests.tiny import encoder

ROWS = 500
DIMENSION = 12
BACKENDS = ("flat", "ivf", "pq,rescore=0", "hnsw,efSearch=40")


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(ROWS, DIMENSION)).astype(np.float32)


@pytest.fixture(scope="module")
def queries() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(9, DIMENSION)).astype(np.float32)


@pytest.fixture
def index(tmp_path: Path, vectors: np.ndarray) -> AnceIndex:
    return AnceIndex(tmp_path / "x.ance").index({"docno": f"d{number}", "doc_vec": vector} for number, vector in enumerate(vectors))


def faiss_files(index: AnceIndex) -> set[str]:
    return {path.name for path in index.folder.glob("faiss-*/*") if path.suffix != ".lock"}


def measured(backend: str, recall: float, median: float, memory: int) -> Measured:
    timing = Timing(median_ms=median, p99_ms=2 * median, queries_per_second=1000 / median)
    return Measured(backend=backend, recall=recall, timing=timing, build_seconds=1.5, memory_bytes=memory)


def tuned(*rows: Measured, target: float = 0.95) -> Tuning:
    return Tuning(measured=rows, k=10, target=target, queries=50, documents=10_000, threads=2, seconds=3.5, skipped={"opq": "too few"})


# what is tried


@pytest.mark.parametrize(
    ("rows", "families"),
    [
        (300, {"flat", "sq8", "hnsw"}),
        (100_000, {"flat", "sq8", "ivf", "ivf-sq8", "ivf-rabitq", "opq-ivf", "hnsw", "hnsw-sq8"}),
    ],
)
def test_what_is_tried_suits_the_size(rows: int, families: set[str]) -> None:
    tried = trial_settings(rows, 64, 100)
    assert {members[0].slug for members in tried} == families
    for members in tried:
        assert len({settings.slug for settings in members}) == 1
        assert len(set(members)) == len(members)
        for settings in members:
            assert settings.inverted == (settings.nprobe is not None)
            assert settings.graph == (settings.ef_search is not None)
            assert settings.lossless == (settings.rescore is None)
            assert settings.ef_search is None or settings.ef_search >= max(100, settings.rescored(100))
    assert sum(map(len, tried)) < 100


def test_options_that_are_given_are_not_varied() -> None:
    def written(*backends: str) -> list[list[str]]:
        return [[str(settings) for settings in members] for members in trial_settings(10_000, 64, 10, backends)]

    assert written("ivf64+sq8,nprobe=3,rescore=20") == [["ivf64+sq8,nprobe=3,rescore=20"]]
    assert written("ivf64,nprobe=3", "hnsw,efSearch=9", "ivf64,nprobe=4") == [["ivf64,nprobe=3", "ivf64,nprobe=4"], ["hnsw,efSearch=9"]]
    assert written("pq,rescore=0", "flat") == [["pq,rescore=0"], ["flat"]]
    assert [text for (text,) in written("faiss:IVF64,Flat,nprobe=2")] == ["faiss:IVF64,Flat,nprobe=2"]
    assert written("faiss:IVF64_HNSW8,Flat") == [[f"faiss:IVF64_HNSW8,Flat,nprobe={probes}" for probes in (1, 2, 4, 8, 16, 32)]]
    with pytest.raises(UsageError, match="'annoy' is no part of a family"):
        written("annoy")


# what is chosen


def test_the_front_is_what_nothing_beats() -> None:
    """Against a comparison of all pairs, written out; few values, so many are equal in some of the three."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        count = int(rng.integers(1, 15))
        values = rng.integers(0, 4, (count, 3))
        rows = [measured(f"b{number}", recall / 3, latency + 1, memory) for number, (recall, latency, memory) in enumerate(values)]
        expected = set()
        for number, (recall, latency, memory) in enumerate(values):
            beaten = False
            for other_recall, other_latency, other_memory in values:
                as_good = other_recall >= recall and other_latency <= latency and other_memory <= memory
                better = other_recall > recall or other_latency < latency or other_memory < memory
                beaten |= as_good and better
            if not beaten:
                expected.add(f"b{number}")
        front = tuned(*rows).front
        assert {one.backend for one in front} == expected
        assert [one.timing.median_ms for one in front] == sorted(one.timing.median_ms for one in front)


def test_the_fastest_that_reaches_the_recall_is_chosen() -> None:
    rows = [measured("exact", 1.0, 10, 100), measured("a", 0.97, 3, 50), measured("b", 0.96, 2, 70), measured("c", 0.8, 1, 60)]
    assert tuned(*rows).chosen.backend == "b"
    assert tuned(*rows, target=0.965).chosen.backend == "a"
    assert tuned(*rows, target=0.5).chosen.backend == "c"
    assert tuned(*rows, target=1.0).chosen.backend == "exact"


# what is measured


def test_recall_is_the_share_of_the_exact_first_k(index: AnceIndex, vectors: np.ndarray, queries: np.ndarray) -> None:
    found = tune(index, queries, k=20, backends=["ivf10", "pq3,rescore=0"], rounds=1, keep=True)
    assert found.measured[0].backend == "exact"
    assert found.measured[0].recall == 1
    scores = queries.astype(np.float64) @ vectors.T.astype(np.float64)
    best = np.argsort(-scores, axis=1)[:, :20]
    for one in found.measured:
        rows = index.search_vectors(queries, 20, index.searcher(one.backend))[1]
        expected = np.mean([np.isin(right, row).mean() for right, row in zip(best, rows, strict=True)])
        assert one.recall == pytest.approx(expected)
        assert 0 < one.timing.median_ms <= one.timing.p99_ms
        assert one.timing.queries_per_second > 0
    assert {one.recall < 1 for one in found.measured} == {True, False}
    sizes = {path.stem: path.stat().st_size for path in index.folder.glob("faiss-*/*.index")}
    assert {one.memory_bytes for one in found.measured[1:]} == set(sizes.values())
    assert found.measured[0].memory_bytes == ROWS * DIMENSION * 4
    assert (found.queries, found.documents, found.k) == (9, ROWS, 20)


def test_equal_documents_are_as_good(tmp_path: Path) -> None:
    """Ten documents, each six times; any six of those that are equal are the right ones."""
    vectors = np.repeat(np.random.default_rng(0).normal(size=(10, 4)), 6, axis=0).astype(np.float32)
    index = AnceIndex(tmp_path / "x").index({"docno": f"d{number}", "doc_vec": vector} for number, vector in enumerate(vectors))
    queries = np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)
    reference = Reference(index, queries, 3, index.searcher())
    first = index.search_vectors(queries, 3)[1] // 6 * 6
    twins = first + np.array([5, 3, 4])
    assert reference.recall(first + np.arange(3)) == reference.recall(twins) == 1
    assert reference.recall((twins + 6) % 60) == 0
    assert reference.recall(np.where([True, False, True], twins, -1)) == pytest.approx(2 / 3)


def test_more_documents_than_there_are(index: AnceIndex, queries: np.ndarray) -> None:
    found = tune(index, queries, k=9999, backends=["flat", "ivf,nprobe=1"], rounds=1)
    assert [one.recall == 1 for one in found.measured] == [True, True, False]


def test_deleted_documents_and_passages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found_of_all: list[np.ndarray] = []
    inner = tuner.timed

    def recorded(*arguments: Any) -> Any:
        found_QK, timing = inner(*arguments)
        found_of_all.append(found_QK)
        return found_QK, timing

    monkeypatch.setattr(tuner, "timed", recorded)
    model = encoder()
    texts = [
        {
            "docno": f"d{number}",
            "text": " ".join(np.random.default_rng(number).permutation(["cat", "dog", "king", "queen", "river", "sun"] * 3)),
        }
        for number in range(60)
    ]
    index = index_documents(tmp_path / "x", model, texts, MaxP(8, 3))
    index.delete([f"d{number}" for number in range(0, 60, 2)])
    found = tune(index, model.encode_queries(["king river", "sun cat"]), k=5, backends=["flat", "sq8"], rounds=1)
    assert found.documents == 30
    assert found.measured[1].recall == 1
    assert max(one.recall for one in found.measured[2:]) == 1
    assert len(found_of_all) == len(found.measured) > 3
    assert (np.concatenate(found_of_all) % 2 == 1).all()


# what is left behind


def test_the_choice_is_written_and_the_rest_removed(index: AnceIndex, queries: np.ndarray) -> None:
    for before in ("sq8", "pq"):
        index.searcher(before)
    found = tune(index, queries, k=10, recall=0.9, backends=[*BACKENDS, "sq8"], rounds=1)
    chosen = found.chosen.backend
    told = read_json(index.folder / "search.json")
    assert told.items() >= {"backend": chosen, "recall": found.chosen.recall, "k": 10, "asked_recall": 0.9, "documents": ROWS}.items()
    settings = resolve(index.folder, "tuned")
    assert settings == (None if chosen == "exact" else parse_backend(chosen))
    kept = {"sq8", "pq"} if settings is None else {"sq8", "pq", settings.slug}
    assert faiss_files(index) == {f"{name}.{ending}" for name in kept for ending in ("index", "json")}
    assert index.search_vectors(queries, 10, index.searcher("tuned"))[1].shape == (9, 10)


@pytest.mark.parametrize("chosen", ["exact", "pq,rescore=0", "hnsw,efSearch=40"])
def test_only_the_files_of_the_chosen_family_stay(
    chosen: str, index: AnceIndex, queries: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tuning, "chosen", property(lambda self: next(one for one in self.measured if one.backend == chosen)))
    tune(index, queries, k=10, backends=BACKENDS, rounds=1)
    assert {name.partition(".")[0] for name in faiss_files(index)} == ({parse_backend(chosen).slug} if chosen != "exact" else set())


def test_everything_stays_if_asked(index: AnceIndex, queries: np.ndarray) -> None:
    tune(index, queries, k=10, backends=BACKENDS, rounds=1, keep=True)
    assert {name.partition(".")[0] for name in faiss_files(index)} == {"flat", "ivf", "pq", "hnsw"}


def test_broken_off_nothing_is_built_twice(index: AnceIndex, queries: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []
    inner = build.build_faiss

    def recorded(store: Any, folder: Path, settings: Any, **options: Any) -> None:
        built.append(settings.family)
        inner(store, folder, settings, **options)
        if broken and settings.family == broken:
            raise KeyboardInterrupt

    monkeypatch.setattr(build, "build_faiss", recorded)
    broken = "pq"
    with pytest.raises(KeyboardInterrupt):
        tune(index, queries, k=10, backends=BACKENDS, rounds=1)
    assert not (index.folder / "search.json").exists()
    assert built == ["flat", "ivf", "pq"]
    broken = ""
    found = tune(index, queries, k=10, backends=BACKENDS, rounds=1)
    assert built == ["flat", "ivf", "pq", "hnsw"]
    kept = {parse_backend(found.chosen.backend).slug} if found.chosen.backend != "exact" else set()
    assert {name.partition(".")[0] for name in faiss_files(index)} == kept


def test_a_family_that_cannot_be_built_is_left_out(index: AnceIndex, queries: np.ndarray) -> None:
    found = tune(index, queries, k=10, backends=["ivf900", "flat"], rounds=1)
    assert [one.backend for one in found.measured] == ["exact", "flat"]
    assert list(found.skipped) == ["ivf900"]
    assert "Faiss cannot train IVF900,Flat on 500 vectors" in found.skipped["ivf900"]


class Clock:
    """A clock that moves whenever it is looked at."""

    def __init__(self, now: list[float], step: float) -> None:
        self.now, self.step = now, step

    def monotonic(self) -> float:
        self.now[0] += self.step
        return self.now[0]


OVER = "the time was over"


@pytest.mark.parametrize(
    ("seconds", "tried", "left_out"),
    [
        (5, ["exact"], {"sq8": OVER, "flat": OVER, "hnsw": OVER}),
        (50, ["exact"], {"sq8": "100 of 500", "flat": OVER, "hnsw": OVER}),
        (195, ["exact", "sq8,rescore=0"], {"sq8": f"{OVER} after 1 of 3", "flat": "100 of 500", "hnsw": OVER}),
        (400, ["exact", "sq8,rescore=0", "flat"], {"sq8": f"{OVER} after 1 of 3", "hnsw": "100 of 500"}),
        (700, ["exact", "sq8,rescore=0", "sq8,rescore=20", "sq8,rescore=50", "flat", "hnsw,efSearch=40"], {}),
        (9999, ["exact", "sq8,rescore=0", "sq8,rescore=20", "sq8,rescore=50", "flat", "hnsw,efSearch=40"], {}),
    ],
)
def test_a_budget_of_time(
    seconds: float, tried: list[str], left_out: dict[str, str], index: AnceIndex, queries: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To search takes 10 seconds; to build, 30, and 30 more for each 100 vectors but the last."""
    now, inner = [0.0], tuner.timed

    def timed(*arguments: Any) -> Any:
        now[0] += 10
        return inner(*arguments)

    monkeypatch.setattr(tuner, "timed", timed)
    monkeypatch.setattr(tuner, "time", Clock(now, 0))
    monkeypatch.setattr(filling, "time", Clock(now, 30))
    monkeypatch.setattr(filling, "_BLOCK_BYTES", 4 * DIMENSION * 100)
    found = tune(index, queries, k=10, backends=["sq8", "flat", "hnsw,efSearch=40"], rounds=1, seconds=seconds)
    assert read_json(index.folder / "search.json")["tried"] == [one.backend for one in found.measured] == tried
    assert found.skipped.keys() == left_out.keys()
    assert all(reason in found.skipped[family] for family, reason in left_out.items())
    assert found.seconds == now[0]


def test_single_searches_end_after_their_time(index: AnceIndex, queries: np.ndarray) -> None:
    """Those made count, ten at least."""
    inner, searched = index.searcher(), []

    class Searcher:
        store = inner.store

        def search(self, queries_QD: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
            searched.append(len(queries_QD))
            return inner.search(queries_QD, k)

    for seconds, alone in ((0.0, 10), (9999.0, 3 * len(queries))):
        searched.clear()
        found, timing = timed(index, queries, 5, Searcher(), 3, seconds)
        assert searched == [len(queries)] * 2 + [1] * alone
        assert 0 < timing.median_ms <= timing.p99_ms
        np.testing.assert_array_equal(found, index.search_vectors(queries, 5)[1])


def test_what_cannot_be_meant_is_refused(index: AnceIndex, queries: np.ndarray) -> None:
    for options, asked, given in (
        ({"rounds": 0}, queries, "0 rounds"),
        ({"recall": 1.1}, queries, r"1\.1"),
        ({}, queries[:0], "0 queries"),
        ({"seconds": 0}, queries, "0 seconds"),
    ):
        with pytest.raises(UsageError, match=given):
            tune(index, asked, **options)
    with pytest.raises(UsageError, match="no part of a family"):
        tune(index, queries, backends=["annoy"])
    with pytest.raises(IndexingError, match="vectors of 12 dimensions, the queries have 11"):
        tune(index, queries[:, :11])
    assert faiss_files(index) == set()


# what is shown

ROWS_SHOWN = [
    measured("exact", 1.0, 9.87654, 40 << 20),
    measured("ivf,nprobe=8", 0.91, 1.2, 41 << 20),
    measured("ivf,nprobe=16", 0.97, 2.5, 41 << 20),
    measured("opq+ivf,nprobe=8,rescore=0", 0.7, 2.6, 3 << 20),
    measured("flat", 1.0, 12, 40 << 20),
]


def test_the_table() -> None:
    lines = tuning_table(tuned(*ROWS_SHOWN)).to_text().splitlines()
    assert lines[0].split() == ["backend", "recall@10", "median", "ms", "p99", "ms", "queries/s", "MiB", "build", "s"]
    assert [line.split()[:2] for line in lines[2:]] == [
        ["+", "ivf,nprobe=8"],
        ["*", "ivf,nprobe=16"],
        ["+", "opq+ivf,nprobe=8,rescore=0"],
        ["+", "exact"],
    ]
    assert lines[-1].split() == ["+", "exact", "1.0000", "9.88", "19.8", "101", "40.0", "1.5"]
    whole = tuning_table(tuned(*ROWS_SHOWN), whole=True)
    assert [row[1] for row in whole.rows] == [one.backend for one in ROWS_SHOWN]
    assert [row[0] for row in whole.rows] == ["+", "+", "*", "+", ""]


def test_what_is_written(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    modules = set(sys.modules)
    found = tuned(*ROWS_SHOWN)
    paths = write_tuning(found, tmp_path / "out")
    assert [path.name for path in paths] == ["tuning.md", "tuning.csv", "tuning.json", "tuning.png"]
    assert paths[0].read_text(encoding="utf-8") == tuning_table(found, whole=True).to_markdown() + "\n"
    frame = pd.read_csv(paths[1])
    assert frame["backend"].tolist() == [one.backend for one in ROWS_SHOWN]
    assert frame["front"].tolist() == [True, True, True, True, False]
    assert frame["p99_ms"].tolist() == [one.timing.p99_ms for one in ROWS_SHOWN]
    told = read_json(paths[2])
    assert told["chosen"].items() >= {"backend": "ivf,nprobe=16", "k": 10, "queries": 50, "threads": 2}.items()
    assert told["skipped"] == {"opq": "too few"}
    assert pd.DataFrame(told["measured"]).equals(frame)
    assert paths[3].read_bytes().startswith(b"\x89PNG")
    assert "matplotlib.pyplot" not in set(sys.modules) - modules


def test_a_plot_of_many_families(tmp_path: Path) -> None:
    """More than there are colours, and a long front."""
    pytest.importorskip("matplotlib")
    rows = [measured("exact", 1.0, 50, 9 << 20)]
    for number, family in enumerate(
        itertools.islice(
            ("+".join(parts) for parts in itertools.product(["pca8", "matryoshka8"], ["ivf", "hnsw"], ["flat", "sq8", "fp16"])), 12
        )
    ):
        rows += [measured(f"{family},rescore={depth}", 0.5 + 0.04 * number + depth / 1000, 1 + number + depth, 1 << 20) for depth in (1, 2)]
    plot_tuning(tuned(*rows), tmp_path / "plot.png")
    plot_tuning(tuned(rows[0]), tmp_path / "one.png")
    assert (tmp_path / "plot.png").stat().st_size > (tmp_path / "one.png").stat().st_size > 0


# the command


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("collection")
    words = ["cat", "dog", "king", "queen", "river", "sun", "moon", "star"]
    texts = [" ".join(np.random.default_rng(number).permutation(words)[:4]) for number in range(50)]
    documents = [json.dumps({"docno": f"d{number}", "text": text}) for number, text in enumerate(texts)]
    (folder / "corpus.jsonl").write_text("\n".join(documents), encoding="utf-8")
    for split, count in (("dev", 7), ("test", 3)):
        (folder / f"queries.{split}.tsv").write_text("".join(f"q{number}\t{words[number]}\n" for number in range(count)), encoding="utf-8")
    encoder().save(folder / "model")
    return folder


@pytest.fixture
def built(collection: Path, tmp_path: Path) -> Path:
    model = encoder().from_pretrained(collection / "model")
    documents = [json.loads(line) for line in (collection / "corpus.jsonl").read_text(encoding="utf-8").splitlines()]
    index_documents(tmp_path / "x.ance", model, documents, MaxP(16, 1))
    return tmp_path / "x.ance"


def test_the_command(collection: Path, built: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    arguments = [str(built), "-k", "5", "--rounds", "1", "--backend", "sq8", "--backend", "hnsw,efSearch=20"]
    result = CliRunner().invoke(command, [*arguments, "--dataset", str(collection), "--split", "dev", "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert "backend" in result.stdout.splitlines()[0]
    assert "\n*  " in result.stdout
    chosen = read_json(built / "search.json")
    assert (chosen["queries"], chosen["documents"], chosen["k"], chosen["asked_recall"]) == (7, 50, 5, 0.95)
    assert f"chosen for recall@5 of 0.95, used by --backend tuned: {chosen['backend']}; written: {tmp_path / 'out'}" in result.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"tuning.md", "tuning.csv", "tuning.json", "tuning.png"}
    (tmp_path / "mine.tsv").write_text("1\tcat\n2\tdog sun\n", encoding="utf-8")
    for form, reads in (
        ("json", json.loads),
        ("csv", lambda text: text.splitlines()[1]),
        ("markdown", lambda text: text.index("| backend")),
    ):
        result = CliRunner().invoke(command, [*arguments, "--queries", str(tmp_path / "mine.tsv"), "--limit", "1", "--format", form])
        assert result.exit_code == 0, result.output
        reads(result.stdout)
    assert read_json(built / "search.json")["queries"] == 1


def test_mistakes_of_the_command(collection: Path, built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (collection / "mine.tsv").write_text("1\tcat\n", encoding="utf-8")
    for arguments in ([], ["--dataset", str(collection), "--queries", str(collection / "mine.tsv")]):
        result = CliRunner().invoke(command, [str(built), *arguments])
        assert result.exit_code == 2
        assert "--queries" in result.stderr
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr(tuning, "tune", lambda *_, **__: pytest.fail("measured before it was told that there can be no plot"))
    result = CliRunner().invoke(command, [str(built), "--dataset", str(collection), "--out", str(collection / "out")])
    assert "a figure needs the package matplotlib" in str(result.exception)


def test_a_family_that_is_left_out_is_told(collection: Path, built: Path) -> None:
    result = CliRunner().invoke(command, [str(built), "--dataset", str(collection), "-k", "3", "--rounds", "1", "--backend", "ivf900"])
    assert result.exit_code == 0, result.output
    assert "left out: ivf900: Faiss cannot train IVF900,Flat" in result.stderr
    assert "tried 1 settings of exact in" in result.stderr
    assert "used by --backend tuned: exact" in result.stderr
