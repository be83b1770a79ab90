"""The study of negatives on a tiny collection with a tiny model."""

from __future__ import annotations

import itertools
import json
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ance_ir.paper.overlap as study_overlap
from ance_ir.datasets import load_dataset
from ance_ir.errors import TrainingError, UsageError
from ance_ir.eval import evaluate
from ance_ir.indexes.mining import allowed
from ance_ir.models import DenseEncoder
from ance_ir.paper import SCHEMES, Scheme, StudySettings, run_study
from ance_ir.paper.material import Material
from ance_ir.paper.study import _check_fingerprints
from ance_ir.paper.trial import Trial, summary
from ance_ir.training import DenseObjective, TrainingQueries
from ance_ir.training.batches import Batch
from tests.tiny import WORDS, backbone, bert_tokenizer, encoder

pytestmark = pytest.mark.slow


class Interrupted(Exception):
    """Stands for whatever ends a process."""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A collection with dev queries, and a model."""
    folder = tmp_path_factory.mktemp("tiny")
    collection = folder / "collection"
    collection.mkdir()
    colours = ("red", "green", "blue", "small")
    texts = [f"the {colour} {animal} {verb}" for animal, verb, colour in itertools.product(WORDS[21:26], WORDS[-4:], colours)]
    (collection / "corpus.jsonl").write_text("".join(json.dumps({"docno": f"d{i}", "text": text}) + "\n" for i, text in enumerate(texts)))
    for split, start in ((".train", 0), (".dev", 1), ("", 2)):
        numbers = range(start, len(texts), 3)
        (collection / f"queries{split}.tsv").write_text("".join(f"q{i}\twho {' '.join(texts[i].split()[2:])}\n" for i in numbers))
        (collection / f"qrels{split}.txt").write_text("".join(f"q{i} 0 d{i} 1\n" for i in numbers))
    encoder(normalize=True).save(folder / "model")
    return collection, folder / "model"


@pytest.fixture(autouse=True)
def no_plots(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of losses; drawing takes as long as the runs. The slow test looks at them."""
    if request.node.get_closest_marker("slow") is None:
        monkeypatch.setattr("ance_ir.paper.study.plot_training", lambda runs, path: None)


def _settings(tiny: tuple[Path, Path], **changes: Any) -> StudySettings:
    told = {"schemes": ("random", "bm25 -> ance"), "seeds": (1, 2), "steps": 8, "batch_size": 4, "refresh_every": 2, "depth": 5}
    told |= {"learning_rate": 1e-3, "layers": 1, "passage_length": 16}
    return StudySettings(dataset=str(tiny[0]), model=str(tiny[1]), **{**told, **changes})


def _study(settings: StudySettings, out: Path, **options: Any) -> tuple[dict[str, Any], list[str]]:
    said: list[str] = []
    return run_study(settings, out, device="cpu", say=said.append, **options), said


def _figures(results: dict[str, Any]) -> dict[str, Any]:
    """All but times."""
    return {
        name: {key: value for key, value in told.items() if key not in ("seconds", "run_seconds")}
        for name, told in results["systems"].items()
    }


@pytest.mark.parametrize("text", SCHEMES)
def test_the_papers_schemes_are_read(text: str) -> None:
    assert str(Scheme.parse(text)) == text


def test_what_a_scheme_says() -> None:
    assert Scheme.parse(" 2*bm25+random->ance ") == Scheme(negatives="ance", warm_up="2*bm25+random")
    for text in ("", "a -> ", "-> a", "a -> b -> c"):
        with pytest.raises(UsageError, match="a scheme is SOURCE or SOURCE -> SOURCE"):
            Scheme.parse(text)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schemes": ()}, "schemes: at least one"),
        ({"seeds": (1, 1)}, "seeds: at least one, and none twice, was expected, not 1, 1"),
        ({"steps": 0}, "steps is at least 1"),
        ({"depth": 0}, "at least 1 document"),
        ({"test_split": "dev", "dev_split": "dev"}, "both of the split 'dev'"),
        ({"dev_split": "test:5"}, "both of the split 'test'"),
        ({"warm_up_share": 0.3}, "bm25 -> ance: .* at step 2 of 8"),
        ({"warm_up_share": 1.0}, "would end at step 8 of 8"),
        ({"warm_up_share": 0.0}, "would end at step 0 of 8"),
    ],
)
def test_settings_that_do_not_fit_are_refused(tiny: tuple[Path, Path], changes: dict[str, Any], message: str) -> None:
    if "warm_up_share" in changes:
        changes = {"refresh_every": 4, **changes}
    with pytest.raises(UsageError, match=message):
        _settings(tiny, **changes)


def test_every_scheme_of_the_paper(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    settings = _settings(tiny, schemes=SCHEMES)
    results, said = _study(settings, tmp_path / "study")
    assert list(results["systems"]) == ["BM25", "untrained", *SCHEMES]
    assert results["queries"] == {"dev": 27, "test": 26}
    for name, told in results["systems"].items():
        trained = name in SCHEMES
        assert {len(values) for measures in told["measures"].values() for values in measures.values()} == {2 if trained else 1}
        assert ("loss" in told) is trained
    assert all(len(set(results["systems"][name]["loss"])) == 2 for name in SCHEMES), "under each seed"
    assert len({tuple(results["systems"][name]["loss"]) for name in SCHEMES}) == len(SCHEMES), "each is trained as it says"
    assert {"grad_norm, embeddings", "grad_norm, layer 1"} <= results["systems"]["nce"].keys()
    assert len(results["expectations"]) == 11 + 6 + 4
    assert json.loads((tmp_path / "study" / "results.json").read_text()) == results
    page = (tmp_path / "study" / "results.md").read_text()
    assert all(f"\n| {name} " in page for name in results["systems"])
    assert page in said[-1]
    assert (tmp_path / "study" / "training.png").read_bytes().startswith(b"\x89PNG")
    assert any(line.startswith("22 of 22: in-batch -> ance, seed 2: test RR@10") and "about 0 s left" in line for line in said)
    left = {path.name for path in (tmp_path / "study").rglob("*") if path.is_file()} - {"run.lock", "switches.json"}
    assert left == {
        "study.json", "baselines.json", "results.json", "results.md", "training.png", "result.json", "run.json", "metrics.jsonl",
    }  # fmt: skip


def test_what_is_evaluated_is_the_trained_model(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    results, _ = _study(_settings(tiny, schemes=("random",), seeds=(1,)), tmp_path / "study", keep=True)
    trial = Trial(tmp_path / "study", Scheme.parse("random"), 1)
    dataset = load_dataset(tiny[0])
    texts = [document["text"] for document in dataset.store()]
    start = DenseEncoder.from_pretrained(tiny[1], layers=1, passage_length=16, device="cpu")
    for name, model in (("untrained", start), ("random", DenseEncoder.from_pretrained(trial.folder / "training", device="cpu"))):
        for split in ("dev", "test"):
            queries = dataset.queries(split)
            scores = model.encode_queries(list(queries["query"])) @ model.encode_passages(texts).T
            run = [(qid, f"d{i}", float(score)) for qid, row in zip(queries["qid"], scores, strict=True) for i, score in enumerate(row)]
            expected = evaluate(pd.DataFrame(run, columns=["qid", "docno", "score"]), dataset.qrels(split)).mean()
            for measure, values in results["systems"][name]["measures"][split].items():
                assert values == [pytest.approx(expected[measure], abs=1e-6)]
    assert results["systems"]["untrained"]["measures"] != results["systems"]["random"]["measures"]
    assert trial.result()["per_query"]["test"]["qid"] == list(dataset.qrels()["qid"])


def test_only_test_queries_where_there_are_no_others(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    results, _ = _study(_settings(tiny, schemes=("random",), seeds=(1,), test_split="dev"), tmp_path / "study")
    assert results["queries"] == {"dev": 27}


@pytest.mark.parametrize(
    ("scheme", "sample"), [("nce+bm25", 10**6), ("bm25+random", 10**6), *(("in-batch -> ance+random", sample) for sample in (10**6, 5))]
)
def test_overlap_is_that_of_the_batches_that_were_trained_on(
    tiny: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str, sample: int
) -> None:
    monkeypatch.setattr(study_overlap, "TOP", 12)
    monkeypatch.setattr(study_overlap, "SAMPLE", sample)
    monkeypatch.setattr(allowed, "_RESULTS", 50)
    seen: list[Batch] = []
    backward = DenseObjective.backward

    def recorded(self: DenseObjective, batch: Batch, temperature: float, share: float) -> tuple[float, int]:
        seen.append(batch)
        return backward(self, batch, temperature, share)

    monkeypatch.setattr(DenseObjective, "backward", recorded)
    settings = _settings(tiny, schemes=(scheme,), seeds=(1,), steps=9, refresh_every=3, warm_up_share=1 / 3)
    _study(settings, tmp_path / "study", keep=True)
    trial = Trial(tmp_path / "study", Scheme.parse(scheme), 1)
    model = DenseEncoder.from_pretrained(trial.folder / "training", device="cpu")
    dataset = load_dataset(tiny[0])
    queries = TrainingQueries.load(dataset, dataset.store())
    scores = model.encode_queries(queries.texts) @ model.encode_passages([document["text"] for document in dataset.store()]).T
    hits = []
    for batch in seen[-3 if sample > 100 else -2 :]:
        for query, drawn in zip(batch.queries.tolist(), batch.negatives.tolist(), strict=True):
            excluded = set(queries.excluded[query].tolist())
            order = [int(i) for i in sorted(range(scores.shape[1]), key=lambda i: (-scores[query, i], [-ord(c) for c in f"d{i}"]))]
            first = [i for i in order if i not in excluded][:12]
            others = sorted((set(batch.positives.tolist()) | set(batch.negatives.ravel().tolist())) - excluded)
            if batch.in_batch == "all":
                drawn = others
            elif batch.in_batch == "hardest":
                drawn = [*drawn, max(others, key=lambda i: scores[query, i])]
            hits += [number in first for number in drawn]
    result = trial.result()
    assert result["overlap_negatives"] == len(hits)
    assert result["overlap"] == pytest.approx(np.mean(hits))


@pytest.fixture(scope="module")
def unbroken(tiny: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return _study(_settings(tiny, seeds=(1,)), tmp_path_factory.mktemp("unbroken") / "study")[0]


@pytest.mark.parametrize("broken_at", [5, 12])
def test_a_study_that_was_broken_off_goes_on_and_finds_the_same(
    unbroken: dict[str, Any], tiny: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken_at: int
) -> None:
    settings = _settings(tiny, seeds=(1,))
    steps = 0
    backward = DenseObjective.backward

    def breaking(self: DenseObjective, batch: Batch, temperature: float, share: float) -> tuple[float, int]:
        nonlocal steps
        if steps == broken_at:
            raise Interrupted
        steps += 1
        return backward(self, batch, temperature, share)

    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(DenseObjective, "backward", breaking)
        _study(settings, tmp_path / "broken")
    assert not (tmp_path / "broken" / "results.json").exists()
    done = {path: path.stat().st_mtime_ns for path in (tmp_path / "broken").rglob("result.json")}
    assert len(done) == broken_at // 8
    resumed, said = _study(settings, tmp_path / "broken")
    assert _figures(resumed) == _figures(unbroken)
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert (f"{len(done)} of 2 runs are done already" in said) is bool(done)


@pytest.mark.parametrize("place", ["overlap", "Trial.clear"])
def test_one_that_was_killed_after_training_is_finished_and_cleared(
    tiny: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def killed(*_: object) -> None:
        raise Interrupted

    settings = _settings(tiny, schemes=("ance",), seeds=(1,))
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(f"ance_ir.paper.trial.{place}", killed)
        _study(settings, tmp_path / "study")
    assert list((tmp_path / "study").rglob("index.ance"))
    _study(settings, tmp_path / "study")
    assert not [path for name in ("index.ance", "model", "checkpoints", "negatives") for path in (tmp_path / "study").rglob(name)]


def test_what_is_kept_when_asked(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    _study(_settings(tiny, schemes=("ance",), seeds=(1,)), tmp_path / "study", keep=True)
    kept = {path.name for path in (tmp_path / "study" / "runs" / "ance" / "seed-1").rglob("*") if path.is_dir()}
    assert {"index.ance", "model", "checkpoints", "negatives"} <= kept
    assert (tmp_path / "study" / "untrained.ance").is_dir()


def test_another_study_or_something_else_is_refused(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    one = _settings(tiny, schemes=("random",), seeds=(1,))
    first, _ = _study(one, tmp_path / "study")
    with pytest.raises(TrainingError, match=r"other settings: schemes was \['random'\], is \['nce'\]; steps was 8, is 16"):
        _study(_settings(tiny, schemes=("nce",), seeds=(1,), steps=16), tmp_path / "study")
    assert _study(one, tmp_path / "study")[0] == first
    told = json.loads((tmp_path / "study" / "study.json").read_text())
    told["fingerprints"]["model"] = "another"
    (tmp_path / "study" / "study.json").write_text(json.dumps(told))
    with pytest.raises(TrainingError, match="the study's model changed since it began"):
        _study(one, tmp_path / "study")
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "thesis.tex").write_text("precious")
    with pytest.raises(TrainingError, match="something else than a study"):
        _study(one, tmp_path / "else")


def test_a_name_that_is_no_source_is_refused_before_anything_is_trained(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="bm26"):
        _study(_settings(tiny, schemes=("random", "bm26 -> ance")), tmp_path / "study")
    assert not (tmp_path / "study" / "runs").exists()


def test_the_summary_of_a_log() -> None:
    steps = range(8)
    lines = [
        {
            "step": i,
            "loss": 10.0 - i,
            "grad_norm": float(i),
            "grad_norms": {"embeddings": 1.0 * i, "head": 2.0},
            "tokens": 10 * i,
            "seconds": 0.5,
        }
        for i in steps
    ]
    found = summary(pd.DataFrame(lines[::-1]))
    assert found == {
        "loss": 3.5,
        "grad_norm": 3.5,
        "grad_norm_end": 6.5,
        "grad_norms": {"embeddings": 3.5, "head": 2.0},
        "tokens": 35.0,
        "seconds": 0.5,
    }


def test_dev_queries_of_another_dataset(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(tiny[0], other)
    for name in ("queries.train.tsv", "qrels.train.txt"):
        (other / name).unlink()
    material = Material(_settings(tiny, dev_dataset=str(other)), "cpu")
    assert material.splits == ("other, dev", "test")
    assert Material(_settings(tiny, dev_dataset=str(other), dev_split="test"), "cpu").splits == ("other, test", "test")
    assert Material(_settings(tiny), "cpu").splits == ("dev", "test")
    assert Material(_settings(tiny, test_split="dev"), "cpu").splits == ("dev",)
    _check_fingerprints(material, tmp_path)
    (other / "qrels.dev.txt").write_text("q1 0 d1 1\n")
    with pytest.raises(TrainingError, match="dev_dataset changed"):
        _check_fingerprints(Material(_settings(tiny, dev_dataset=str(other)), "cpu"), tmp_path)


def test_dev_queries_that_are_held_out_are_not_trained_on(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    settings = _settings(tiny, schemes=("random",), seeds=(1,), dev_split="train:5")
    material = Material(settings, "cpu")
    assert material.splits == ("train:5", "test")
    assert material.dev is not None
    assert set(material.dev.queries()["query"]).isdisjoint(material.queries.texts)
    results, _ = _study(settings, tmp_path / "study")
    assert results["queries"] == {"train:5": 5, "test": 26}
    trained = json.loads(next((tmp_path / "study").rglob("run.json")).read_text())["dataset"]
    assert (trained["split"], trained["held_out"]) == ("train", "train:5")


def test_a_warm_up_that_all_runs_start_from(tiny: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    backbone().save_pretrained(tmp_path / "bare")
    bert_tokenizer().save_pretrained(tmp_path / "bare")
    changes = {"fresh_head": "ance", "warm_up": ("in-batch:8:3e-2", "bm25:4:1e-2"), "dev_split": "train:5", "optimiser": "lamb"}
    changes |= {"separate_towers": True, "temperature": 0.5}
    settings = _settings((tiny[0], tmp_path / "bare"), schemes=("random",), **changes)
    results, _ = _study(settings, tmp_path / "study")
    first, second = (json.loads((tmp_path / "study" / "warm-up" / name / "run.json").read_text()) for name in ("1-in-batch", "2-bm25"))
    assert (first["loss"], second["loss"]) == ("nll", "pairwise-nll")
    assert [line["step"] for line in results["warm_up"]] == [0, 2, 4, 6, 8, 0, 1, 2, 3, 4]
    assert results["warm_up"][0]["RR@10"] != results["warm_up"][4]["RR@10"]
    start = DenseEncoder.from_pretrained(tmp_path / "study" / "warm-up" / "2-bm25", device="cpu")
    assert start.similarity == "dot" and not start.shared
    assert first["model"]["fingerprint"] != start.fingerprint() and first["settings"]["temperature"] == 0.5
    for seed in (1, 2):
        run = json.loads((tmp_path / "study" / "runs" / "random" / f"seed-{seed}" / "training" / "run.json").read_text())
        assert run["model"]["fingerprint"] == start.fingerprint()
        assert (run["settings"]["optimiser"], run["settings"]["temperature"], run["dataset"]["held_out"]) == ("lamb", 0.5, "train:5")
    assert list(results["systems"]) == ["BM25", "untrained", "warmed up", "random"]
    assert (tmp_path / "study" / "warm-up.png").exists() and not list((tmp_path / "study").rglob("checkpoints"))
    monkeypatch.setattr(DenseObjective, "backward", None)  # nothing is trained again
    assert _study(settings, tmp_path / "study")[0] == results


def test_scores_are_divided_by_what_suits_the_similarity_unless_it_is_said(tiny: tuple[Path, Path]) -> None:
    temperatures = [
        _settings(tiny, temperature=asked).training(1, similarity).temperature for asked in (None, 0.2) for similarity in ("dot", "cosine")
    ]
    assert temperatures == [1.0, 0.05, 0.2, 0.2]


def test_a_warm_up_needs_dev_queries_and_stages_that_can_be_read(tiny: tuple[Path, Path]) -> None:
    with pytest.raises(UsageError, match="name a dev split"):
        _settings(tiny, warm_up=("bm25:4:1e-3",))
    for text in ("bm25", "bm25:4", "bm25:x:1e-3", "bm25:4:fast"):
        with pytest.raises(UsageError, match="SOURCE:STEPS:RATE"):
            _settings(tiny, warm_up=(text,), dev_split="train:5")


def test_a_trial_has_fewer_steps(tiny: tuple[Path, Path]) -> None:
    trial = _settings(tiny, steps=80, refresh_every=20, warm_up=("bm25:40:1e-3",), dev_split="train:5").scaled(Fraction(1, 10))
    assert (trial.steps, trial.refresh_every, trial.until, trial.warm_up) == (8, 2, 4, ("bm25:4:0.001",))


def test_studies_of_before_are_read(tiny: tuple[Path, Path]) -> None:
    assert not {"fresh_head", "separate_towers", "warm_up", "optimiser", "temperature"} & _settings(tiny).to_json().keys()
