"""Several collections in one evaluation: the table, its means and their intervals, what is kept, and what is left out."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pyterrier as pt
import pytest
from scipy.stats import ttest_1samp

import ance_ir.pipelines.systems.cache as cache
from ance_ir.datasets import Dataset, load_dataset
from ance_ir.errors import DatasetNotFoundError, EvaluationError, PointedError, UsageError
from ance_ir.eval import (
    Benchmark,
    BenchmarkEvaluation,
    Collection,
    evaluate_on_dataset,
    evaluate_on_datasets,
    find_suite,
    format_evaluation,
)
from ance_ir.eval.formats import FORMS
from ance_ir.files import cache_folder
from ance_ir.indexes import FirstP, MaxP, index_corpus
from ance_ir.models import DenseEncoder
from ance_ir.pipelines import BM25Index
from tests.tiny import encoder

pytestmark = pytest.mark.slow

TEXTS = {
    "cats": {"d1": "the cat sleeps", "d2": "a king and a queen", "d3": "the red moon", "d4": "a cat and the moon"},
    "dogs": {"d1": "a dog runs", "d2": "the dog and the king", "d3": "a bird sings"},
    "birds": {"d1": "a bird sings", "d2": "the old river", "d3": "a bird in the city"},
}
QUERIES = {"cats": {"q1": "cat", "q2": "moon"}, "dogs": {"q1": "dog", "q2": "bird"}, "birds": {"q1": "bird", "q2": "river"}}
QRELS = {"cats": "q1 0 d1 1\nq2 0 d3 1\n", "dogs": "q1 0 d2 1\nq2 0 d3 1\n", "birds": "q1 0 d3 1\nq2 0 d2 1\n"}
SYSTEMS = ["bm25", "flat=bm25[k1=0; b=0]"]


def collection(folder: Path, name: str) -> Path:
    folder /= name
    folder.mkdir()
    lines = [json.dumps({"docno": docno, "text": text}) + "\n" for docno, text in TEXTS[name].items()]
    (folder / "corpus.jsonl").write_text("".join(lines))
    (folder / "queries.tsv").write_text("".join(f"{qid}\t{text}\n" for qid, text in QUERIES[name].items()))
    (folder / "qrels.txt").write_text(QRELS[name])
    return folder


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    return [str(collection(tmp_path, name)) for name in TEXTS]


def benchmark(folders: list[str], groups: tuple[str, ...] = ("", "pets", "pets"), **changes: Any) -> Benchmark:
    collections = [Collection(name=Path(folder).name, dataset=folder, group=group) for folder, group in zip(folders, groups, strict=True)]
    return Benchmark(name="animals", describes="animals", collections=tuple(collections), **changes)


def test_each_collection_has_the_figures_that_it_has_alone(folders: list[str]) -> None:
    found = evaluate_on_datasets(folders, SYSTEMS, baseline="bm25")
    assert found.measures == ["RR@10", "nDCG@10", "R@100"]
    alone = {Path(folder).name: evaluate_on_dataset(folder, SYSTEMS).table() for folder in folders}
    for measure in found.measures:
        table = found.table(measure)
        assert table.index.tolist() == list(TEXTS)
        for name, expected in alone.items():
            assert table.loc[name].to_dict() == expected[measure].to_dict()
    assert repr(found) == "BenchmarkEvaluation(datasets, 3 of 3 collections, 2 systems, RR@10 nDCG@10 R@100, baseline bm25)"
    assert repr(found.results[0]) == "CollectionResult(cats, 2 systems, 2 queries)"


def test_the_interval_is_over_collections(folders: list[str]) -> None:
    found = evaluate_on_datasets(folders, SYSTEMS, baseline="bm25", measures=["RR@10"])
    values = found.table()
    rows = found.mean().set_index("system")
    assert rows.loc["flat", "mean"] == values["flat"].mean()
    for system in ("bm25", "flat"):
        limits = ttest_1samp(values[system], 0).confidence_interval(0.95)
        np.testing.assert_allclose(rows.loc[system, ["low", "high"]].astype(float), [limits.low, limits.high])
    apart = values["flat"] - values["bm25"]
    assert rows.loc["flat", "difference"] == pytest.approx(apart.mean())
    limits = ttest_1samp(apart, 0).confidence_interval(0.95)
    np.testing.assert_allclose(rows.loc["flat", ["difference_low", "difference_high"]].astype(float), [limits.low, limits.high])
    assert math.isnan(rows.loc["bm25", "difference"])
    alone = evaluate_on_datasets(folders[:1], SYSTEMS).mean()
    assert alone["low"].isna().all() and alone["mean"].notna().all()


def test_a_group_counts_as_one(folders: list[str]) -> None:
    found = evaluate_on_datasets(benchmark(folders), SYSTEMS, measures=["RR@10"])
    apart = evaluate_on_datasets(folders, SYSTEMS, measures=["RR@10"]).table()
    table = found.table()
    assert table.index.tolist() == ["cats", "pets"]
    pd.testing.assert_series_equal(table.loc["pets"], (apart.loc["dogs"] + apart.loc["birds"]) / 2, check_names=False)
    mean = found.mean().set_index("system")["mean"]
    assert mean["bm25"] == pytest.approx((apart.loc["cats", "bm25"] + table.loc["pets", "bm25"]) / 2)
    assert mean["bm25"] != pytest.approx(apart["bm25"].mean()), "the rule is seen in these figures"
    assert "pets is the mean of 2 collections" in found.legend()


def test_a_group_that_is_not_whole_does_not_count(folders: list[str]) -> None:
    (Path(folders[2]) / "qrels.txt").unlink()
    found = evaluate_on_datasets(benchmark(folders), ["bm25"], measures=["RR@10"])
    assert list(found.missing) == ["birds"]
    assert found.table().index.tolist() == ["cats", "pets"]
    assert found.mean()["mean"].item() == found.table().loc["cats", "bm25"]
    assert "pets (1 of 2)" in found.to_text()
    assert found.to_json()["counted"] == ["cats"]


def test_measures_in_common(folders: list[str]) -> None:
    suites = [find_suite("judged"), find_suite("beir"), find_suite("nq")]
    common = evaluate_on_datasets(folders, ["bm25"], suite=suites[1])
    assert common.measures == ["nDCG@10", "R@100"]
    answers = [{"qid": "q1", "question": "cat", "answers": ["sleeps"]}, {"qid": "q2", "question": "moon", "answers": ["red"]}]
    (Path(folders[0]) / "qrels.txt").unlink()
    (Path(folders[0]) / "answers.jsonl").write_text("\n".join(map(json.dumps, answers)))
    with pytest.raises(UsageError, match=r"cats: Coverage@1.*dogs: RR@10"):
        evaluate_on_datasets(folders, ["bm25"])
    assert evaluate_on_datasets(benchmark(folders[1:], ("", ""), measures=("P@1",)), ["bm25"]).measures == ("P@1",)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> BenchmarkEvaluation:
    folder = tmp_path_factory.mktemp("found")
    folders = [str(collection(folder, name)) for name in TEXTS]
    return evaluate_on_datasets(folders, SYSTEMS, baseline="bm25", measures=["RR@10", "P@1"])


@pytest.mark.parametrize("form", FORMS)
def test_every_form_shows_every_collection_and_mean(found: BenchmarkEvaluation, form: str) -> None:
    shown = format_evaluation(found, form)
    for text in (*TEXTS, "RR@10", "P@1", "bm25", "flat", "mean"):
        assert text in shown
    for value in (*found.table("P@1").to_numpy().ravel(), *found.mean()["mean"]):
        assert f"{value:.6f}"[:5].rstrip("0") in shown
    if form == "csv":
        table = pd.read_csv(io.StringIO(shown)).set_index(["measure", "collection"])
        assert table.columns.tolist() == ["bm25", "bm25 mark", "flat", "flat mark"]
        assert table.loc[("RR@10", "mean"), "flat"] == found.mean()["mean"][1]
    if form == "json":
        assert json.loads(shown) == json.loads(json.dumps(found.to_json()))
    if form == "latex":
        assert shown.count(r"\midrule") == 2, "one below the header, one between the measures"
    if form == "markdown":
        assert [line.split("|")[1].strip() for line in shown.splitlines() if line.startswith("| RR") or line.startswith("| P@")] == [
            "RR@10",
            "P@1",
        ]


def test_marks_are_those_of_the_collection(folders: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    found = evaluate_on_datasets(benchmark(folders), SYSTEMS, baseline="bm25", measures=["RR@10"])
    for result in found.results:
        object.__setattr__(result, "significant", {("flat", "RR@10")})
    rows = {row.labels[1]: [cell.differs for cell in row.cells] for row in found.grid().rows}
    assert rows["cats"] == [False, True]
    assert rows["pets"] == rows["mean"] == rows["difference"] == [False, False], "nothing is tested over collections"
    assert "flat" in found._repr_html_() and "<b>" in found._repr_html_()


class _Dense:
    """Counts what is encoded and opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.built: list[Path] = []
        self.opened: list[Any] = []
        original = DenseEncoder.from_pretrained
        monkeypatch.setattr(cache, "index_corpus", self._index)
        monkeypatch.setattr(DenseEncoder, "from_pretrained", lambda *args, **kwargs: self.opened.append(args) or original(*args, **kwargs))

    def _index(self, path: Path, *arguments: Any, **options: Any) -> None:
        self.built.append(path)
        index_corpus(path, *arguments, **options)


@pytest.fixture
def dense(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Dense:
    monkeypatch.setenv("ANCE_IR_CACHE", str(tmp_path / "cache"))
    return _Dense(monkeypatch)


def test_a_model_makes_an_index_of_each_collection_and_is_opened_once(folders: list[str], tmp_path: Path, dense: _Dense) -> None:
    encoder(seed=3).save(tmp_path / "model")
    system = f"dense=ance[model={tmp_path / 'model'}]"
    for _ in range(2):
        evaluate_on_datasets(folders, [system], device="cpu")
    assert len(dense.built) == len(set(dense.built)) == 3
    assert all(path.is_relative_to(cache_folder()) for path in dense.built)
    assert len(dense.opened) == 2


def test_an_index_is_refused_by_name_before_any_work(folders: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = load_dataset(folders[0])
    encoder(seed=3).save(tmp_path / "model")
    model = DenseEncoder.from_pretrained(tmp_path / "model", device="cpu")
    index_corpus(tmp_path / "x.ance", model, dataset.store(), MaxP(8, 3))
    BM25Index(tmp_path / "x.bm25").index(dataset.documents())
    monkeypatch.setattr("ance_ir.eval.across.run.evaluate_on_dataset", lambda *_, **__: pytest.fail("it was evaluated"))
    monkeypatch.chdir(tmp_path)
    for text, place, told in [
        ("bm25 % 3 >> x.ance[aggregation=mean]", 12, rf"x\.ance.*ance\[model={tmp_path}/model; passages=maxp:8,3; aggregation=mean\]"),
        ("bm25 + x.bm25[k1=1]", 7, r"x\.bm25.*bm25\[k1=1\]"),
        ("bm25 + x.bm25", 7, r"x\.bm25.*write bm25,"),
    ]:
        with pytest.raises(PointedError, match=told) as caught:
            evaluate_on_datasets(folders, ["bm25", text])
        assert caught.value.place == place
    with pytest.raises(EvaluationError, match=r"'other'.*bm25"):
        evaluate_on_datasets(folders, ["bm25"], baseline="other")


def test_what_is_written_in_place_of_an_index_is_the_same_system(folders: list[str], tmp_path: Path) -> None:
    encoder(seed=3).save(tmp_path / "model")
    dataset = load_dataset(folders[0])
    index_corpus(tmp_path / "x.ance", DenseEncoder.from_pretrained(tmp_path / "model", device="cpu"), dataset.store(), FirstP())
    with pytest.raises(PointedError) as caught:
        evaluate_on_datasets(folders, [str(tmp_path / "x.ance")])
    instead = str(caught.value).partition("write ")[2].partition(", which")[0]
    one = evaluate_on_dataset(dataset, [f"a={tmp_path / 'x.ance'}"], device="cpu").runs["a"]
    assert evaluate_on_dataset(dataset, [f"a={instead}"], device="cpu").runs["a"].equals(one)


def test_instructions_come_before_queries_alone(folders: list[str], tmp_path: Path, dense: _Dense) -> None:
    encoder(seed=3).save(tmp_path / "model")
    model = tmp_path / "model"
    told = [Collection(name=Path(one).name, dataset=one, instruction=f"find a {Path(one).name}") for one in folders[:2]]
    both = Benchmark(name="told", describes="told", collections=tuple(told), measures=("RR@10",))
    systems = {
        "plain": f"ance[model={model}]",
        "yes": f"ance[model={model}; instructions=yes]",
        "own": f"ance[model={model}; instructions='<user> {{instruction}}\\n']",
        "no": f"ance[model={model}; instructions=no]",
    }
    evaluate_on_datasets(both, [f"{name}={text}" for name, text in systems.items()], out=tmp_path / "out", device="cpu")
    assert len(dense.built) == 2, "the documents are encoded once"
    for folder in folders[:2]:
        name = Path(folder).name
        runs = {system: pd.read_csv(tmp_path / "out" / name / "runs" / f"{system}.txt.gz", sep=" ", header=None) for system in systems}
        for system, prefix in {"yes": f"Instruct: find a {name}\nQuery: ", "own": f"<user> find a {name}\n"}.items():
            expected = evaluate_on_dataset(folder, [f'a=ance[model={model}; query_prefix="{prefix}"]'], device="cpu").runs["a"]
            np.testing.assert_allclose(runs[system][4], expected["score"], rtol=1e-5)
            assert not np.allclose(runs[system][4], runs["plain"][4], rtol=1e-5)
        assert runs["no"][4].equals(runs["plain"][4])


@pytest.mark.parametrize(
    ("options", "told"),
    [("instructions=yes", "cats.*no instruction"), ("instructions=often", "'often'"), ("instructions=yes; query_prefix=x", "query_prefix")],
)
def test_instructions_that_cannot_be(folders: list[str], tmp_path: Path, options: str, told: str) -> None:
    encoder(seed=3).save(tmp_path / "model")
    with pytest.raises(UsageError, match=told):
        evaluate_on_datasets(folders, [f"ance[model={tmp_path / 'model'}; {options}]"], device="cpu")


def test_a_collection_that_fails_costs_no_other(folders: list[str], tmp_path: Path) -> None:
    (Path(folders[0]) / "corpus.jsonl").write_text("{broken\n")
    (Path(folders[1]) / "qrels.txt").write_text("other 0 d1 1\n")
    found = evaluate_on_datasets(folders, ["bm25"], out=tmp_path / "out")
    assert [result.collection.name for result in found.results] == ["birds"]
    assert list(found.missing) == ["cats", "dogs"]
    assert "corpus.jsonl, line 1" in found.missing["cats"] and "'other'" in found.missing["dogs"]
    assert "not evaluated: cats, dogs" in found.to_text()
    assert json.loads((tmp_path / "out" / "results.json").read_text())["missing"] == found.missing
    with pytest.raises(EvaluationError, match=r"none of the 2 collections.*cats: .*line 1"):
        evaluate_on_datasets(folders[:2], ["bm25"])


def test_a_name_that_is_none_is_refused_at_once(folders: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ance_ir.eval.across.run.evaluate_on_dataset", lambda *_, **__: pytest.fail("it was evaluated"))
    with pytest.raises(DatasetNotFoundError, match="no-such"):
        evaluate_on_datasets([*folders, "no-such"], ["bm25"])
    with pytest.raises(UsageError, match="'cats'"):
        evaluate_on_datasets([*folders, folders[0]], ["bm25"])
    with pytest.raises(UsageError, match="3 datasets, found 2: dev, test"):
        evaluate_on_datasets(folders, ["bm25"], split=["dev", "test"])


class _End(BaseException):
    """The process ends."""


class _Counting(pt.Transformer):
    """A system that counts its work and can end the process, as far as Python can tell."""

    def __init__(self, system: pt.Transformer, asked: list[str], name: str, ending: Callable[[], None]) -> None:
        self.system, self.asked, self.name, self.ending = system, asked, name, ending
        self.fingerprint = name

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        self.asked.append(self.name)
        self.ending()
        found: pd.DataFrame = self.system.transform(inp)
        return found


def test_an_end_in_the_middle_loses_the_collection_in_work_alone(folders: list[str], tmp_path: Path) -> None:
    asked: list[str] = []

    def kill() -> None:
        if "birds" in asked and asked.count("birds") == 1:
            raise _End

    def pipelines(dataset: Dataset) -> dict[str, pt.Transformer]:
        from ance_ir.pipelines import dataset_bm25

        return {"mine": _Counting(dataset_bm25(dataset).retriever(), asked, dataset.name, kill)}

    def evaluate() -> BenchmarkEvaluation:
        return evaluate_on_datasets(folders, ["mine"], pipelines=pipelines, out=tmp_path / "out")

    with pytest.raises(_End):
        evaluate()
    assert {path.name for path in (tmp_path / "out").iterdir() if (path / "results.json").exists()} == {"cats", "dogs"}
    before = list(asked)
    found = evaluate()
    assert set(asked[len(before) :]) == {"birds"}
    assert [result.reused for result in found.results] == [("mine",), ("mine",), ()]
    assert found.to_json()["means"] == evaluate_on_datasets(folders, ["mine"], pipelines=pipelines).to_json()["means"]


class _Links(HTMLParser):
    def __init__(self, page: Path) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.targets += [str(value) for name, value in attrs if tag == "a" and name == "href"]


def test_the_overview_links_to_a_page_of_each(folders: list[str], tmp_path: Path) -> None:
    names = ["a/b 100% #1", "<dogs>", "birds"]
    collections = [Collection(name=name, dataset=folder) for name, folder in zip(names, folders, strict=True)]
    (Path(folders[2]) / "qrels.txt").unlink()
    made = Benchmark(name="odd & names", describes="", collections=tuple(collections), measures=("RR@10",))
    page = tmp_path / "page.html"
    evaluate_on_datasets(made, SYSTEMS, baseline="bm25", report=page, out=tmp_path / "out")
    outside = {target for target in _Links(page).targets if not target.startswith("#")}
    files = sorted((tmp_path / "page-pages").iterdir())
    assert len(files) == 2
    assert {(tmp_path / unquote(target)).resolve() for target in outside} == set(files)
    text = page.read_text(encoding="utf-8")
    assert "odd &amp; names" in text and "&lt;dogs&gt;" in text and "<dogs>" not in text
    assert "qrels" in text and "Difference from bm25" in text
    for file, name in zip(files, sorted(names[:2]), strict=True):
        assert "RR@10" in file.read_text(encoding="utf-8"), name


def test_members_of_a_group_are_on_the_overview(folders: list[str], tmp_path: Path) -> None:
    evaluate_on_datasets(benchmark(folders), SYSTEMS, report=tmp_path / "page.html")
    targets = [target for target in _Links(tmp_path / "page.html").targets if not target.startswith("#")]
    assert {Path(target).stem for target in targets} == set(TEXTS)
    assert ">pets<" in (tmp_path / "page.html").read_text(encoding="utf-8")
