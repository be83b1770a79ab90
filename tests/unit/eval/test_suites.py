"""Which suite a dataset has, and what it says."""

from __future__ import annotations

import re
from pathlib import Path

import ir_datasets
import pytest

from ance_ir import registries
from ance_ir.datasets import IrDataset, load_dataset
from ance_ir.errors import DatasetNotFoundError, UsageError
from ance_ir.eval import parse_measures
from ance_ir.eval.published import published_on
from ance_ir.eval.suites import SUITES, Suite, find_suite, suite_of
from ance_ir.indexes import parse_passages


@pytest.mark.parametrize(
    ("dataset", "suite", "compared"),
    [
        ("msmarco-passage/dev/small", "msmarco-passage/dev", True),
        ("msmarco-passage/dev", "msmarco-passage/dev", False),
        ("trec-dl-2019", "trec-dl-2019/passage", True),
        ("trec-dl-2020/passage", "trec-dl-2020/passage", True),
        ("msmarco-passage/trec-dl-2020/judged", "trec-dl-2020/passage", True),
        ("trec-dl-2019/document", "trec-dl-2019/document", True),
        ("msmarco-document/trec-dl-2019", "trec-dl-2019/document", True),
        ("nq/dev", "nq", False),
        ("dpr-w100/trivia-qa/dev", "triviaqa", False),
        ("beir/scifact/test", "beir", True),
        ("beir/scifact/train", "beir", False),
    ],
)
def test_the_suites_of_the_catalogue(dataset: str, suite: str, compared: bool) -> None:
    assert suite_of(load_dataset(dataset)).name == suite
    assert bool(published_on(load_dataset(dataset))) == compared, "published figures are of the official queries"


def test_the_suites_of_other_collections(tmp_path: Path) -> None:
    collection = tmp_path / "mine"
    collection.mkdir()
    (collection / "corpus.jsonl").write_text('{"docno": "d", "text": "t"}\n', encoding="utf-8")
    (collection / "qrels.txt").write_text("q 0 d 1\n", encoding="utf-8")
    (collection / "answers.jsonl").write_text('{"qid": "q", "question": "q", "answers": ["t"]}\n', encoding="utf-8")
    assert suite_of(load_dataset(collection)).name == "judged"
    (collection / "qrels.txt").unlink()
    assert suite_of(load_dataset(collection)).name == "answered"
    (collection / "answers.jsonl").unlink()
    with pytest.raises(DatasetNotFoundError, match="qrels"):
        suite_of(load_dataset(collection))


def test_published_figures_are_of_the_full_collections_test_queries(tmp_path: Path) -> None:
    for name, suite in (("trec-dl-2019", "trec-dl-2019/passage"), ("nq", "nq")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "corpus.jsonl").write_text('{"docno": "d", "text": "t"}\n', encoding="utf-8")
        sample = load_dataset(folder)
        assert (suite_of(sample).name, published_on(sample)) == (suite, ())
    assert published_on(load_dataset("msmarco-passage"), "dev/small")
    assert published_on(load_dataset("msmarco-passage"), "dev/2") == ()


def test_binary_measures_count_the_suites_threshold() -> None:
    for suite in SUITES.values():
        for measure in suite.measures:
            if suite.threshold > 1 and measure.startswith(("RR", "AP", "R(", "R@", "P@")):
                assert f"rel={suite.threshold}" in measure
            elif suite.threshold == 1:
                assert "rel=" not in measure


@pytest.mark.parametrize("suite", SUITES.values(), ids=SUITES)
def test_a_suite_can_be_followed(suite: Suite) -> None:
    assert find_suite(suite.name) is registries.SUITES[suite.name.replace("/", "-")] is suite
    assert [other.name for other in SUITES.values() if other.datasets and re.fullmatch(other.datasets, suite.name)] in ([], [suite.name])
    parse_measures(suite.measures)
    parse_passages(suite.passages)
    depths = [int(measure.rpartition("@")[2]) for measure in suite.measures if "@" in measure]
    assert max(depths) <= suite.depth, "no system is asked for less than is measured"


def test_answers_that_are_regular_expressions_are_taken_as_such() -> None:
    for suite in SUITES.values():
        for measure in suite.measures:
            if measure.startswith("Coverage"):
                assert ("patterns=True" in measure) == (suite.name == "curated-trec")


def test_a_suite_by_name() -> None:
    assert find_suite("trec-dl-2019").name == "trec-dl-2019/passage"
    with pytest.raises(UsageError, match=r"'x'.*msmarco-passage/dev"):
        find_suite("x")


def test_an_unreachable_source_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = IrDataset("msmarco-passage/trec-dl-2019/judged")

    def fail(*_: object) -> None:
        raise RuntimeError(
            r"('All download sources failed', [(RequestsDownload('https://trec.nist.gov/data/x.txt', tries=None), ConnectionError("
            r"MaxRetryError('HTTPSConnectionPool(host=\'trec.nist.gov\'): Max retries exceeded" + 900 * "x"
        )

    monkeypatch.setattr(ir_datasets.Dataset, "qrels_iter", fail, raising=False)
    told = r"^ir_datasets cannot provide '[^']*': trec.nist.gov cannot be reached\. .*IR_DATASETS_HOME"
    with pytest.raises(DatasetNotFoundError, match=told):
        dataset.qrels()
