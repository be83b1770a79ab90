"""The paper's analyses on a tiny collection with tiny models."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ance_ir.datasets import load_dataset
from ance_ir.errors import UsageError
from ance_ir.indexes import FirstP, index_corpus
from ance_ir.models import DenseEncoder
from ance_ir.paper.analysing import ANALYSES, run_analysis
from ance_ir.paper.analysis import Asked
from tests.command import Run
from tests.tiny import WORDS, encoder


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
    for seed, name in enumerate(("old", "new")):
        model = encoder(normalize=True, seed=seed)
        model.save(folder / name)
        index_corpus(
            folder / f"{name}.ance", DenseEncoder.from_pretrained(folder / name, device="cpu"), load_dataset(collection).store(), FirstP()
        )
    return folder


def asked(place: Path, out: Path, *systems: str, **changes: Any) -> Asked:
    given = {"system": tuple(system.replace("PLACE", str(place)) for system in systems)}
    return Asked(dataset=load_dataset(place / "collection"), folder=out, device="cpu", **{"given": given, **changes})


def page(name: str, asked: Asked) -> tuple[dict[str, Any], str]:
    """What was found, and what was said."""
    said: list[str] = []
    found = run_analysis(name, asked, say=said.append)
    assert (asked.folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (asked.folder / f"{name}.svg").read_text()
    assert (asked.folder / "results.md").read_text() == said[-1]
    return found, said[-1]


def test_each_analysis_is_listed_with_its_claim_and_needs(run: Run) -> None:
    status, shown, err = run("paper")
    assert status == 0, err
    for name in ANALYSES:
        assert f"{name} ({ANALYSES[name].covers})\n  {ANALYSES.summary(name)}\n" in shown


def test_what_an_analysis_does_not_take_is_refused(place: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"table-2 needs --system: .*; 1 given"):
        run_analysis("table-2", asked(place, tmp_path / "out", "bm25"))
    with pytest.raises(UsageError, match="table-2 takes no --run"):
        run_analysis("table-2", asked(place, tmp_path / "out", given={"system": ("bm25", "x=bm25"), "run": ("x",)}))
    with pytest.raises(UsageError, match="queries is at least 1, not 0"):
        asked(place, tmp_path, queries=0)
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
    status, _, err = run(*told, "--seed", "7")
    assert status == 2 and "seed was 42, is 7" in err
