"""The lists of collections: what they name exists, and a list of one's own is read or refused with its place."""

from __future__ import annotations

import tomllib
from pathlib import Path

import ir_datasets
import pytest

from ance_ir.datasets import load_dataset
from ance_ir.errors import DatasetError, DatasetNotFoundError, UsageError
from ance_ir.eval import find_benchmark, find_suite, parse_measures
from ance_ir.eval.benchmarks import benchmark_of
from ance_ir.registries import BENCHMARKS


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_collection_of_a_benchmark_is_known(name: str) -> None:
    benchmark = find_benchmark(name)
    assert BENCHMARKS.summary(name) == benchmark.describes
    suite = find_suite(benchmark.suite)
    parse_measures(benchmark.measures or suite.measures)
    registered = set(ir_datasets.registry)
    for collection in benchmark.collections:
        assert isinstance(collection.dataset, str)
        assert collection.dataset in registered
        assert collection.split in load_dataset(collection.dataset).splits
        assert ir_datasets.load(collection.dataset).has_qrels()
        assert collection.instruction and collection.instruction.strip() == collection.instruction
    datasets = [collection.dataset for collection in benchmark.collections]
    assert len(set(datasets)) == len(datasets)


def test_the_benchmarks_are_whole() -> None:
    registered = set(ir_datasets.registry)
    names = {name: {collection.dataset for collection in find_benchmark(name).collections} for name in BENCHMARKS}
    assert names["nano-beir"] == {one for one in registered if one.startswith("nano-beir/")}
    assert names["bright"] | names["bright-long"] == {one for one in registered if one.startswith("bright/")}
    bases = {one.split("/")[1] for one in registered if one.startswith("beir/")}
    assert {str(one).split("/")[1] for one in names["beir"]} == bases - {"msmarco"}
    forums = {one for one in registered if one.startswith("beir/cqadupstack/")}
    assert {collection.dataset for collection in find_benchmark("beir").collections if collection.group == "cqadupstack"} == forums
    assert len(forums) == 12
    assert {collection.group for collection in find_benchmark("beir").collections} == {"", "cqadupstack"}


def test_instructions_are_those_of_mteb() -> None:
    mteb = pytest.importorskip("mteb")
    called = {"trec-covid": "TRECCOVID", "fiqa": "FiQA2018", "arguana": "ArguAna", "scifact": "SciFact", "quora": "QuoraRetrieval"}
    told = {collection.name: collection.instruction for collection in find_benchmark("beir").collections}
    for name, task in called.items():
        assert told[name] == mteb.get_task(task).metadata.prompt["query"]


def test_names_and_files() -> None:
    with pytest.raises(UsageError, match=r"'biar'.*'beir'.*bright"):
        find_benchmark("biar")
    with pytest.raises(DatasetNotFoundError, match=r"nowhere\.toml"):
        find_benchmark("nowhere.toml")


def test_a_list_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        '\ufeffdescribes = "mine"\nmeasures = ["P@5"]\n[[collections]]\ndataset = "vaswani"\n[[collections]]\ndataset = "x"\nname = "y"\n',
        encoding="utf-8",
    )
    mine = find_benchmark(str(file))
    assert repr(mine) == "Benchmark('mine', 2 collections)"
    assert (mine.suite, mine.measures) == ("", ("P@5",))
    first, second = mine.collections
    assert (first.name, first.dataset, first.split, first.group, first.instruction) == ("vaswani", "vaswani", "test", "", "")
    assert (second.name, second.dataset) == ("y", "x")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("describes = ", "TOML"),
        ('describes = "x"\ncollections = []', "collections"),
        ('describes = "x"\n[[collections]]\nname = "y"', "dataset"),
        ('describes = "x"\n[[collections]]\ndataset = 7', "7"),
        ('describes = "x"\n[[collections]]\ndataset = "a"\nsplits = "b"', "'splits'"),
        ('describe = "x"\n[[collections]]\ndataset = "a"', "'describes'"),
        ('describes = "x"\nsuites = "b"\n[[collections]]\ndataset = "a"', "'suites'"),
        ('describes = "x"\n[[collections]]\ndataset = "a"\n[[collections]]\ndataset = "a"', "'a'"),
        ('describes = "x"\n[[collections]]\ndataset = "a"\n[[collections]]\ndataset = "b"\ngroup = "a"', "'a'"),
        ("describes = '\xe9'", "TOML"),
    ],
)
def test_a_list_that_is_none(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text, encoding="latin-1")
    with pytest.raises((DatasetError, UsageError), match=told) as caught:
        find_benchmark(str(file))
    assert str(file) in str(caught.value)


def test_files_are_toml_with_a_line_that_describes_them() -> None:
    for name in BENCHMARKS:
        assert "\n" not in tomllib.loads(BENCHMARKS[name].read_text(encoding="utf-8"))["describes"]
    assert repr(BENCHMARKS) == "DataFiles(benchmark: beir, bright, bright-long, nano-beir)"
    assert list(BENCHMARKS) == sorted(BENCHMARKS) and len(BENCHMARKS) == 4


def test_datasets_are_called_by_their_names(tmp_path: Path) -> None:
    folder = tmp_path / "pets"
    folder.mkdir()
    (folder / "corpus.jsonl").write_text('{"docno": "d", "text": "t"}\n')
    found = benchmark_of([str(folder), load_dataset(folder), str(folder)], ["test", "dev", "train"])
    assert [collection.name for collection in found.collections] == ["pets", "pets, dev", "pets, train"]
    with pytest.raises(UsageError, match="'pets'"):
        benchmark_of([str(folder)] * 2, ["test"] * 2)
    with pytest.raises(DatasetNotFoundError, match="no-such"):
        benchmark_of(["no-such"], ["test"])
