"""The paper's analyses of training, on a tiny collection with a tiny model."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ance_ir.datasets import load_dataset
from ance_ir.errors import UsageError
from ance_ir.indexes import FirstP, index_corpus
from ance_ir.models import DenseEncoder
from ance_ir.paper import Asked, StudySettings, run_analysis, run_study
from ance_ir.paper.analyses import figure_9
from ance_ir.paper.analysing import ANALYSES
from ance_ir.training import TrainingSettings, read_metrics
from ance_ir.workflows.dense import train_on_dataset
from tests.legends import cut_off
from tests.tiny import WORDS, encoder

pytestmark = pytest.mark.slow

MADE = ("figure-8", "figure-9", "section-3", "section-6-3", "table-1")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a collection, a model and its index, a study, and two runs that differ in the refresh interval."""
    folder = tmp_path_factory.mktemp("analyses")
    collection = folder / "collection"
    collection.mkdir()
    texts = [f"the {colour} {animal} {verb}" for animal, verb, colour in itertools.product(WORDS[21:26], WORDS[-4:], WORDS[-12:-8])]
    (collection / "corpus.jsonl").write_text("".join(json.dumps({"docno": f"d{i}", "text": text}) + "\n" for i, text in enumerate(texts)))
    for split, start in ((".train", 0), (".dev", 1), ("", 2)):
        numbers = range(start, len(texts), 3)
        (collection / f"queries{split}.tsv").write_text("".join(f"q{i}\twho {' '.join(texts[i].split()[2:])}\n" for i in numbers))
        (collection / f"qrels{split}.txt").write_text("".join(f"q{i} 0 d{i} 1\n" for i in numbers))
    encoder().save(folder / "model")
    dataset = load_dataset(collection)
    model = DenseEncoder.from_pretrained(folder / "model", device="cpu")
    index_corpus(folder / "model.ance", model, dataset.store(), FirstP())
    told: dict[str, Any] = {"steps": 4, "batch_size": 4, "learning_rate": 1e-3}
    study = StudySettings(
        dataset=str(collection), model=str(folder / "model"), schemes=("random", "ance"), seeds=(1, 2), refresh_every=2, **told
    )
    run_study(study, folder / "study", device="cpu")
    for every in (1, 2):
        settings = TrainingSettings(refresh_every=every, **told)
        start = DenseEncoder.from_pretrained(folder / "model", device="cpu")
        train_on_dataset(dataset, start, folder / f"every-{every}", settings, dev_split="dev", depth=5)
    return folder


def found_by(name: str, place: Path, out: Path, split: str = "test", **given: str) -> tuple[dict[str, Any], str]:
    """What was found, and the page."""
    assert name in MADE
    told = {option: tuple(str(place / text) for text in texts.split()) for option, texts in given.items()}
    said: list[str] = []
    found = run_analysis(
        name, Asked(dataset=load_dataset(place / "collection"), folder=out, split=split, given=told, device="cpu"), say=said.append
    )
    assert (out / f"{name}.png").exists()
    assert cut_off(ANALYSES[name].show(found).picture) == []
    return found, said[-1]


def test_figure_8_and_table_1_read_a_study(place: Path, tmp_path: Path) -> None:
    found, shown = found_by("figure-8", place, tmp_path / "figure", study="study")
    log = read_metrics(place / "study" / "runs" / "ance" / "seed-2" / "training" / "metrics.jsonl")
    assert found["schemes"]["ance"]["training loss"][1] == [line["loss"] for line in log]
    assert found["schemes"]["ance"]["embeddings"][1] == [line["grad_norms"]["embeddings"] for line in log]
    last = [np.mean(values[-1:]) for values in found["schemes"]["random"]["embeddings"]]
    assert f"{np.mean(last):.2f}"[:3] in shown and "in each group of layers, under each seed: **" in shown
    results = json.loads((place / "study" / "results.json").read_text())
    found, shown = found_by("table-1", place, tmp_path / "table", study="study")
    assert found["systems"] == {name: told["measures"]["test"] for name, told in results["systems"].items()}
    assert found["compared"] == ["random", "ance"] and "The picture leaves out BM25 and untrained" in shown
    assert "- ance is better than random: **" in shown and "gradient" not in shown


def test_what_is_no_study_of_the_dataset_is_refused(place: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no finished study"):
        found_by("table-1", place, tmp_path / "a", study="every-1")
    other = tmp_path / "other"
    shutil.copytree(place / "collection", other)
    (other / "qrels.txt").write_text("q2 0 d3 1\n")
    with pytest.raises(UsageError, match="not on other"):
        run_analysis("table-1", Asked(dataset=load_dataset(other), folder=tmp_path / "b", given={"study": (str(place / "study"),)}))


def test_runs_of_another_dataset_are_refused(place: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(place / "collection", other)
    (other / "qrels.txt").write_text("q2 0 d3 1\n")
    runs = tuple(str(place / f"every-{every}") for every in (1, 2))
    for name, given in (("figure-9", {}), ("figure-7", {"system": (str(place / "model.ance"),)})):
        with pytest.raises(UsageError, match=r"every-1: .* on other was expected, .* on collection"):
            run_analysis(name, Asked(dataset=load_dataset(other), folder=tmp_path / name, given={"run": runs, **given}, device="cpu"))


def test_figure_9_compares_runs(place: Path, tmp_path: Path) -> None:
    found, shown = found_by("figure-9", place, tmp_path / "out", run="every-1 every-2")
    assert [told["settings"]["trainers:inferencers"] for told in found["runs"].values()] == ["1:0", "1:0"]
    assert found["runs"]["every-1"]["losses"] == {
        str(line["step"]): line["loss"] for line in read_metrics(place / "every-1/metrics.jsonl") if "loss" in line
    }
    lines = read_metrics(place / "every-2" / "metrics.jsonl")
    assert found["runs"]["every-2"]["dev"] == {str(line["dev"]["step"]): line["dev"]["RR@10"] for line in lines if "dev" in line}
    assert [told["staleness"] for told in found["runs"].values()] == [0.0, 0.5]
    assert "of 1 pairs" in shown and "**not testable here**" in shown
    with pytest.raises(UsageError, match="mined negatives and a dev split"):
        found_by("figure-9", place, tmp_path / "none", run="every-1 study/runs/random/seed-1/training")


def run_of(every: int, best: float, *, processes: str = "1:0", **others: Any) -> dict[str, Any]:
    """What figure 9 finds of a run."""
    settings = {"refresh every": every, "learning rate": 1e-5, "depth": 200, "trainers:inferencers": processes}
    dev = {"0": 0.1, "10": best}
    return {"settings": settings, "others": others, "losses": {"0": 1.0, "1": 0.5}, "staleness": 0.0, "measure": "RR@10", "dev": dev}


def verdict(*runs: dict[str, Any]) -> tuple[str, str]:
    outcome = figure_9.show({"runs": {f"run {number}": run for number, run in enumerate(runs)}}).outcomes[0]
    return outcome.verdict, outcome.figures.partition(" pairs")[0]


def test_without_a_test_nothing_is_confirmed_of_refresh_intervals() -> None:
    better = [run_of(every, 0.3004 - every / 1e6) for every in (10, 20, 40, 80)]
    assert verdict(*better) == ("as in the paper", "in 6 of 6")
    assert verdict(*[run_of(every, 0.3 + every / 1e6) for every in (10, 20, 40, 80)]) == ("does not hold", "in 0 of 6")
    assert verdict(*better[:3], run_of(80, 0.5)) == ("no significant difference", "in 3 of 6")
    assert verdict(*better[:3]) == ("not testable here", "in 3 of 3")


@pytest.mark.parametrize("others", [{"settings.seed": 2}, {"settings.batch_size": 8}, {"loss": "bce"}, {"processes": "1:1"}])
def test_runs_that_differ_in_something_else_too_are_no_pair(others: dict[str, Any]) -> None:
    assert verdict(run_of(10, 0.4), run_of(20, 0.3), run_of(40, 0.2, **others)) == ("not testable here", "in 1 of 1")
    page = figure_9.show({"runs": {"a": run_of(10, 0.4), "b": run_of(40, 0.2, **others)}})
    assert "".join(page.texts) == (
        "" if "processes" in others else f"The runs differ in {next(iter(others))}, too; those that do are not compared."
    )


def test_section_3_measures_instances(place: Path, tmp_path: Path) -> None:
    found, shown = found_by("section-3", place, tmp_path / "out", split="train", system="model.ance")
    model = DenseEncoder.from_pretrained(place / "model", device="cpu")
    dataset = load_dataset(place / "collection")
    texts, asked = [one["text"] for one in dataset.store()], dataset.queries("train")
    scores = model.encode_queries(list(asked["query"])) @ model.encode_passages(texts).T
    losses = np.log1p(np.exp(scores - scores[np.arange(len(asked)), [int(qid[1:]) for qid in asked["qid"]]][:, None]))
    queries, passages = model.encode_queries(list(asked["query"])), model.encode_passages(texts)
    for told in found["instances"].values():
        assert len(told["loss"]) == len(asked) == len(told["last"]) and min(told["norm"]) >= 0
        for row, (loss, norm) in enumerate(zip(told["loss"], told["last"], strict=True)):
            apart = np.linalg.norm(passages - passages[int(asked["qid"][row][1:])], axis=1)
            share = 1 - np.exp(-losses[row])  # of the two documents' softmax, the negative's
            norms = share * np.sqrt(apart**2 + 2 * np.sum(queries[row] ** 2))
            assert (np.isclose(losses[row], loss, atol=1e-5) & np.isclose(norms, norm, rtol=1e-3, atol=1e-5)).any()
    expected = 26 * 100 / 80  # there are 27 queries, and the first 100 of 80 documents
    assert found["chances"]["random"][1:] == pytest.approx([expected, expected / 80])
    assert "| b·D⁻*/C | paper: b·D⁻*/C² |" in shown and "its gradient at the last layer, which bounds it" in shown
    assert found["chances"]["random"][0] > 0.9  # of 80 documents, all but the positives are among the first 100
    assert "of batches" not in shown and "**does not hold**" in shown


def test_section_6_3_compares_models(place: Path, tmp_path: Path) -> None:
    systems = (f"dot={place / 'model.ance'}", "other=bm25")
    said: list[str] = []
    asked = Asked(dataset=load_dataset(place / "collection"), folder=tmp_path / "out", given={"system": systems}, device="cpu")
    told = run_analysis("section-6-3", asked, say=said.append)["evaluation"]
    means = {name: one["measures"][told["measures"][0]] for name, one in told["systems"].items()}
    p = told["systems"]["other"]["comparison"][told["measures"][0]]["p_corrected"]
    assert f"{means['other'] - means['dot']:+.4f}, p {p:.2g}" in said[-1]
    assert f"- other is about as good as dot: **{'does not hold' if p < 0.05 else 'no significant difference'}**" in said[-1]
