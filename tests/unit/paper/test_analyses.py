"""The paper's analyses on a tiny collection with tiny models."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyterrier as pt
import pytest

from ance_ir.datasets import load_dataset
from ance_ir.errors import AnceError, UsageError
from ance_ir.eval import evaluate_on_dataset
from ance_ir.indexes import FirstP, index_corpus
from ance_ir.models import DenseEncoder
from ance_ir.paper.analyses import figure_1, figure_6, figure_7
from ance_ir.paper.analysing import ANALYSES, run_analysis
from ance_ir.paper.analysis import Asked
from tests.command import Run
from tests.legends import cut_off
from tests.tiny import WORDS, encoder
from tests.unit.paper.test_analyses_of_training import MADE as OF_TRAINING

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a collection whose queries have several relevant documents, two models, and an index of each."""
    folder = tmp_path_factory.mktemp("analyses")
    collection = folder / "collection"
    collection.mkdir()
    colours = ("red", "green", "blue", "small")
    texts = [f"the {colour} {animal} {verb}" for animal, verb, colour in itertools.product(WORDS[21:26], WORDS[-4:], colours)]
    (collection / "corpus.jsonl").write_text("".join(json.dumps({"docno": f"d{i}", "text": text}) + "\n" for i, text in enumerate(texts)))
    asked = range(0, len(texts), 4)
    (collection / "queries.tsv").write_text("".join(f"q{i}\twho {' '.join(texts[i].split()[2:])}\n" for i in asked))
    (collection / "qrels.txt").write_text("".join(f"q{i} 0 d{i + j} {1 if j < 3 else 0}\n" for i in asked for j in range(4)))
    lines = [
        {"qid": f"q{i}", "question": f"who {' '.join(texts[i].split()[2:])}", "answers": [" ".join(texts[i].split()[1:3])]} for i in asked
    ]
    (collection / "answers.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    run = folder / "run"
    run.mkdir()
    told = {"name": "collection", "fingerprint": load_dataset(collection).fingerprint}
    (run / "run.json").write_text(json.dumps({"settings": {"steps": 4, "seed": 7}, "negatives": {"name": "ance"}, "dataset": told}))
    refreshes = [{"step": step, "refresh": {"mined_at": step, "overlap_with_top_100": share}} for step, share in ((2, 0.5), (4, 0.75))]
    (run / "metrics.jsonl").write_text("".join(json.dumps({"step": line["step"], "loss": 1.0, **line}) + "\n" for line in refreshes))
    for seed, name in enumerate(("old", "new")):
        model = encoder(normalize=True, seed=seed)
        model.save(folder / name)
        index_corpus(
            folder / f"{name}.ance", DenseEncoder.from_pretrained(folder / name, device="cpu"), load_dataset(collection).store(), FirstP()
        )
    return folder


BOTH = ("old=PLACE/old.ance", "new=PLACE/new.ance")
TINY: dict[str, dict[str, tuple[str, ...]]] = {
    "figure-1": {"system": ("PLACE/old.ance",)},
    "figure-3": {"system": ("bm25", *BOTH)},
    "figure-4": {"system": BOTH},
    "figure-5": {"system": BOTH, "reader": ("nearest-name",)},
    "figure-6": {"model": ("PLACE/old",)},
    "figure-7": {"system": BOTH, "run": ("PLACE/run",)},
    "table-2": {"system": ("bm25", *BOTH)},
    "table-4": {"system": ("bm25", BOTH[0])},
}
"""What each analysis is given."""


def asked(place: Path, out: Path, given: dict[str, tuple[str, ...]], **changes: Any) -> Asked:
    texts = {option: tuple(text.replace("PLACE", str(place)) for text in of) for option, of in given.items()}
    return Asked(dataset=load_dataset(place / "collection"), folder=out, device="cpu", given=texts, **changes)


Made = Callable[[str], tuple[Path, dict[str, Any], str]]
"""From the name of an analysis to its folder, what it found, and its page."""


@pytest.fixture(scope="module")
def made(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """Makes each analysis once."""

    @functools.cache
    def make(name: str) -> tuple[Path, dict[str, Any], str]:
        said: list[str] = []
        folder = tmp_path_factory.mktemp("made") / name
        queries = 4 if "queries" in ANALYSES[name].choices else None
        found = run_analysis(name, asked(place, folder, TINY[name], queries=queries), say=said.append)
        return folder, found, said[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figure_1, "_SHOWN", 1)
        for name, value in (("_LENGTH", 16), ("_DOCUMENTS", 10), ("_ROUNDS", 1)):
            patch.setattr(figure_6, name, value)
        yield make


def model(place: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of all queries and of all documents, in their order."""
    dataset, opened = load_dataset(place / "collection"), DenseEncoder.from_pretrained(place / name, device="cpu")
    return opened.encode_queries(list(dataset.queries()["query"])), opened.encode_passages(
        [document["text"] for document in dataset.store()]
    )


def test_each_analysis_is_listed_with_its_claim_and_needs(run: Run) -> None:
    status, shown, err = run("paper")
    assert status == 0, err
    for name in ANALYSES:
        assert f"{name} ({ANALYSES[name].covers})\n  {ANALYSES.summary(name)}\n" in shown


def test_each_analysis_is_made_here_or_by_those_of_training() -> None:
    assert sorted((*TINY, *OF_TRAINING)) == sorted(ANALYSES)


def test_a_name_that_is_none_is_told_before_a_dataset_is_asked_for(run: Run) -> None:
    status, _, err = run("paper", "table-11")
    assert status == 2 and "table-11" in err and "table-1," in err and "--dataset" not in err


@pytest.mark.parametrize("name", TINY)
def test_an_analysis_is_made(name: str, made: Made) -> None:
    folder, found, page = made(name)
    assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (folder / f"{name}.svg").read_text()
    assert (folder / "results.md").read_text() == page
    assert page.startswith(f"# {name}: {ANALYSES.summary(name)}\n")
    shown = ANALYSES[name].show(found)
    assert shown.outcomes and all(f"- {outcome.expected}: **{outcome.verdict}** (" in page for outcome in shown.outcomes)
    assert cut_off(shown.picture) == []
    assert all(table.rows and len({len(row) for row in (table.header, *table.rows)}) == 1 for table in shown.tables.values())


def test_each_analysis_has_its_row_in_the_documentation() -> None:
    page = (Path(__file__).parents[3] / "docs" / "paper.md").read_text(encoding="utf-8")
    assert [name for name in ANALYSES if f"`{name}`" not in page] == []


def test_distances_of_negatives(place: Path, made: Made) -> None:
    _, documents = model(place, "old")
    found = made("figure-1")[1]
    assert len(found["distances"]) == 4 and len(found["shown"]) == 1
    qid, dense, *_ = found["distances"][0]
    first = int(qid[1:])
    relevant = [first, first + 1, first + 2]
    negatives = [number for number in range(len(documents)) if number not in relevant]
    expected = np.mean([min(np.linalg.norm(documents[number] - documents[other]) for other in relevant) for number in negatives])
    assert dense == pytest.approx(expected, abs=1e-5), "of 80 documents all are among the first 100"
    assert [len(found["shown"][0]["points"][kind]) for kind in ("query", "relevant")] == [1, 3]


def test_gains(place: Path, made: Made) -> None:
    found = made("figure-4")[1]
    queries, documents = model(place, "new")
    order = np.argsort(-(queries @ documents.T), axis=1)
    assert found["measure"] == "RR@10"
    for kept, cell in ((range(80), "80, 32, exact"), ([number for number in range(80) if number % 4 < 3], "60, 32, exact")):
        rankings = [[number for number in row.tolist() if number in kept] for row in order]
        ranks = [1 + min(row.index(4 * query + place) for place in range(3)) for query, row in enumerate(rankings)]
        expected = [1 / rank if rank <= 10 else 0 for rank in ranks]
        assert found["values"]["new"][cell] == pytest.approx(expected), "a smaller collection holds what is relevant"
    cells = [cell.split(", ") for cell in found["values"]["old"]]
    assert {documents for documents, *_ in cells} == {"60", "80"}
    assert {dimensions for _, dimensions, _ in cells} == {"32", "16"}
    assert found["values"]["old"]["80, 16, exact"] != found["values"]["old"]["80, 32, exact"]


def test_scores_by_rank(place: Path, made: Made) -> None:
    told = made("figure-7")[1]
    queries, documents = model(place, "new")
    scores = queries @ documents.T
    above = np.sort((scores - scores.mean(axis=1, keepdims=True)) / scores.std(axis=1, keepdims=True), axis=1)[:, ::-1]
    found = told["systems"]["new"]
    for row in found["above"]:
        assert np.abs(above[:, np.array(found["ranks"]) - 1] - np.array(row)).max(axis=1).min() < 1e-3
    (run,) = told["runs"]
    assert (run["name"], run["negatives"], run["seed"], run["steps"], run["shares"]) == ("run", "ance", 7, [2, 4], [0.5, 0.75])
    assert run["conditions"]["settings.steps"] == 4 and "settings.seed" not in run["conditions"]
    assert "negatives of ance are among the trained model's first 100 documents: **as in the paper** (75.0%" in made("figure-7")[2]


@pytest.mark.parametrize(
    ("steps", "seeds", "verdict"),
    [
        ((4, 4, 4), (1, 2, 3), "holds"),
        ((4, 4, 4), (1, 2, 2), "as in the paper"),
        ((4, 4, 400), (1, 2, 3), "as in the paper"),
    ],
)
def test_seeds_count_of_runs_that_differ_in_nothing_else(made: Made, steps: Sequence[int], seeds: Sequence[int], verdict: str) -> None:
    runs = [
        {"name": f"seed-{seed}", "negatives": "ance", "seed": seed, "conditions": {"steps": count}, "steps": [4], "shares": [share]}
        for share, seed, count in zip((0.55, 0.65, 0.75), seeds, steps, strict=True)
    ]
    outcome = figure_7.ANALYSIS.show({**made("figure-7")[1], "runs": runs}).outcomes[-1]
    assert (outcome.verdict, outcome.figures[:5]) == (verdict, "65.0%")


def test_wins_and_losses(place: Path, made: Made) -> None:
    _, found, page = made("table-4")
    per_query = evaluate_on_dataset(
        str(place / "collection"), ["bm25", f"old={place}/old.ance"], measures=["RR@10"], device="cpu"
    ).per_query
    differences = per_query["old"]["RR@10"] - per_query["bm25"]["RR@10"]
    assert found["differences"] == pytest.approx(sorted(differences, reverse=True))
    assert f"({(differences > 0).sum()} and {(differences < 0).sum()} of 20 queries" in page
    assert "  relevant d" in page


def test_parts_are_kept_for_the_models_that_they_are_of(place: Path, tmp_path: Path) -> None:
    told, made = asked(place, tmp_path / "out", {}), []
    old, new = (told.dense(f"{place / name}.ance")[1] for name in ("old", "new"))
    for retriever in (old, old, new, new, old):
        assert told.once("part", [retriever], lambda: made.append(1) or [0.5]) == [0.5]  # type: ignore[func-returns-value]
    assert len(made) == 2
    unknown = pt.apply.generic(lambda frame: frame)
    assert [told.once("part", [unknown], lambda given=given: given) for given in (1, 2)] == [1, 2]


def test_a_system_that_does_not_open_leaves_the_folder_free(place: Path, tmp_path: Path) -> None:
    for name in ("gone", "missing"):
        with pytest.raises(AnceError, match=r"^(?!.*other settings)"):
            run_analysis("figure-1", asked(place, tmp_path / "out", {"system": (f"ance[model=PLACE/{name}]",)}))
    assert (tmp_path / "out" / "analysis.json").exists()


def test_vectors_of_a_collection_that_leaves_documents_out_are_refused(place: Path, tmp_path: Path) -> None:
    told = asked(place, tmp_path, {})
    told.dataset.name = "arguana"
    with pytest.raises(UsageError, match="arguana: some documents do not count"):
        told.dense(f"{place}/old.ance")


def test_what_an_analysis_does_not_take_is_refused(place: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"table-2 takes --system: .*; 1 given"):
        run_analysis("table-2", asked(place, tmp_path / "out", {"system": ("bm25",)}))
    with pytest.raises(UsageError, match="table-2 takes no --run"):
        run_analysis("table-2", asked(place, tmp_path / "out", {"system": ("bm25", "x=bm25"), "run": ("x",)}))
    for changes in ({"queries": 4}, {"seed": 7}):
        with pytest.raises(UsageError, match=f"table-2 takes no --{next(iter(changes))}"):
            run_analysis("table-2", asked(place, tmp_path / "out", {"system": ("bm25", "x=bm25")}, **changes))
    with pytest.raises(UsageError, match="two systems are called 'x'"):
        run_analysis("figure-4", asked(place, tmp_path / "out", {"system": ("x=PLACE/old.ance", "x=PLACE/new.ance")}))
    with pytest.raises(UsageError, match="queries is at least 1, not 0"):
        asked(place, tmp_path, {}, queries=0)
    assert not (tmp_path / "out").exists()


def test_table_2(place: Path, tmp_path: Path, run: Run) -> None:
    systems = "--system", "bm25", "--system", f"old={place}/old.ance"
    told = "paper", "table-2", "--dataset", place / "collection", *systems, "--out", tmp_path, "--device", "cpu"
    status, shown, err = run(*told)
    assert status == 0, err
    found = json.loads((tmp_path / "table-2" / "results.json").read_text())["found"]
    dataset = load_dataset(place / "collection")
    run_of = {name: pd.read_csv(tmp_path / "table-2" / "runs" / f"{name}.txt.gz", sep=r"\s+", header=None) for name in ("bm25", "old")}
    judged = set(map(tuple, dataset.qrels()[["qid", "docno"]].to_numpy()))
    top = run_of["old"][run_of["old"][3] <= 10]
    holes = np.mean([pair not in judged for pair in zip(top[0], top[2], strict=True)])
    assert found["evaluation"]["systems"]["old"]["measures"]["Hole@10"] == pytest.approx(holes)
    assert "- more of the first 10 of old are unjudged than of those of bm25: **" in shown
    (tmp_path / "table-2" / "table-2.png").unlink()
    status, again, _ = run(*told)
    assert status == 0 and again.endswith(shown) and "is shown again" in again
    assert (tmp_path / "table-2" / "table-2.png").exists()
    status, _, err = run(*told, "--system", f"new={place}/new.ance")
    assert status == 2 and "system was ['bm25', " in err
    results = json.loads((tmp_path / "table-2" / "results.json").read_text())
    del results["found"]["evaluation"]
    (tmp_path / "table-2" / "results.json").write_text(json.dumps(results))
    status, _, err = run(*told)
    assert status == 2 and "'evaluation'" in err and "remove the file" in err
