"""The demo's whole way, on a tiny collection with a tiny model."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from ance_ir.errors import TrainingError
from ance_ir.eval import read_run
from ance_ir.indexes import AnceIndex
from ance_ir.workflows import DemoSettings, demo, run_demo
from tests.tiny import WORDS, encoder

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A collection and a model in the place of the demo's."""
    folder = tmp_path_factory.mktemp("tiny")
    collection = folder / "collection"
    collection.mkdir()
    texts = [
        f"the {colour} {animal} {verb}" for animal, verb, colour in itertools.product(WORDS[21:26], WORDS[-4:], ("red", "green", "blue"))
    ]
    (collection / "corpus.jsonl").write_text("".join(json.dumps({"docno": f"d{i}", "text": text}) + "\n" for i, text in enumerate(texts)))
    for split, numbers in (("", range(0, 60, 3)), (".train", range(1, 60, 3)), (".dev", range(2, 60, 6))):
        (collection / f"queries{split}.tsv").write_text("".join(f"q{i}\twho {texts[i][4:]}\n" for i in numbers))
        (collection / f"qrels{split}.txt").write_text("".join(f"q{i} 0 d{i} 1\n" for i in numbers))
    encoder(normalize=True).save(folder / "model")
    return str(collection), str(folder / "model")


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch, tiny: tuple[str, str]) -> Any:
    """Run the demo in a folder: its results, and what it said."""
    monkeypatch.setattr(demo, "DATASET", tiny[0])
    monkeypatch.setattr(demo, "MODEL", tiny[1])
    monkeypatch.setattr(demo, "_TEXT", {"query_length": 16, "passage_length": 16})

    def ran(out: Path, *, draws: bool = False, **settings: Any) -> tuple[dict[str, Any], str]:
        said: list[str] = []
        with monkeypatch.context() as patch:
            if not draws:  # it takes as long as the training
                patch.setattr(demo, "plot_training", lambda series, path: None)
            results = run_demo(DemoSettings(**{"steps": 4, **settings}), out, device="cpu", say=said.append)
        return results, "\n".join(said)

    return ran


def _figures(results: dict[str, Any]) -> dict[str, dict[str, float]]:
    return {system: values["measures"] for system, values in results["systems"].items()}


def test_what_the_demo_shows_and_leaves(show: Any, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    results, said = show(out, draws=True)
    assert list(results["systems"]) == ["BM25", "zero-shot", "random negatives", "ANCE", "BM25 >> ANCE"]
    assert results["baseline"] == "random negatives"
    for expected in (
        "60 documents, 20 test queries",
        "refresh at step 2",
        "dev RR@10",
        "difference from random negatives",
        "ms/query",
        "## Where BM25 wins",
        "ance-ir search",
    ):
        assert expected in said
    assert json.loads((out / "results.json").read_text()) == results
    assert {"training", "seed", "fingerprint", "environment", "seconds"} <= results["settings"].keys()
    assert (out / "report.md").read_text().endswith(said.split("\n\n", 1)[1][-200:] + "\n")
    assert (out / "training.png").read_bytes().startswith(b"\x89PNG")
    assert len(read_run(out / "runs" / "ANCE.txt.gz")) == 20 * 60
    opened = AnceIndex(out / "ance.ance")
    assert opened.model(device="cpu").fingerprint() == opened.manifest["encoding"]["fingerprint"], "the commands to try next open it"


def test_the_same_seed_gives_the_same_figures(show: Any, tmp_path: Path) -> None:
    first, second, other = (show(tmp_path / str(i), seed=seed)[0] for i, seed in enumerate((1, 1, 2)))
    assert _figures(first) == _figures(second)
    assert _figures(first) != _figures(other)


def test_compare_adds_maxp(show: Any, tmp_path: Path) -> None:
    results, _ = show(tmp_path / "demo", compare=True)
    assert list(results["systems"])[5:] == ["ANCE, MaxP"]


def test_a_finished_demo_is_shown_again(show: Any, tmp_path: Path) -> None:
    first, _ = show(tmp_path / "demo")
    written = (tmp_path / "demo" / "results.json").stat().st_mtime_ns
    again, said = show(tmp_path / "demo")
    assert again == first
    assert "has been run in" in said
    assert "BM25 >> ANCE" in said
    assert (tmp_path / "demo" / "results.json").stat().st_mtime_ns == written


def test_a_demo_that_was_broken_off_goes_on_and_finds_the_same(show: Any, tmp_path: Path, tiny: tuple[str, str]) -> None:
    unbroken, _ = show(tmp_path / "unbroken")

    def interrupt(line: str) -> None:
        if line.startswith("refresh at step 2"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_demo(DemoSettings(steps=4), tmp_path / "broken", device="cpu", say=interrupt)
    resumed, said = show(tmp_path / "broken")
    assert _figures(resumed) == _figures(unbroken)
    assert "refresh at step 0" not in said


def test_a_folder_with_other_settings_or_something_else_is_refused(show: Any, tmp_path: Path) -> None:
    show(tmp_path / "demo")
    with pytest.raises(TrainingError, match="holds a demo with other settings"):
        show(tmp_path / "demo", seed=3)
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "thesis.tex").write_text("precious")
    with pytest.raises(TrainingError, match="holds something else than a demo"):
        show(tmp_path / "else")
