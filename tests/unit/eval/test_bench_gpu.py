"""The figures of a GPU, on a CPU at a small size: all of them come, they are written as they come, and a bar is a bar."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import ance_ir.eval.bench.gpu as gpu
import ance_ir.eval.bench.rounds as rounds
from ance_ir.eval.bench import bench_gpu
from ance_ir.eval.bench.figures import Figure
from ance_ir.eval.bench.gpu import ceilings, encoding
from ance_ir.eval.bench.gpu.material import encoder, texts, tokenizer
from ance_ir.eval.bench.gpu.plain import Plain


@pytest.fixture
def one_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each kind."""
    monkeypatch.setattr(encoding, "_CASES", {("base", encoding.RAGGED): (0, 0.55)})
    monkeypatch.setattr(rounds, "_REST", 0)
    monkeypatch.setattr(rounds, "_TURN", 0.001)


@pytest.mark.slow
def test_all_figures_come_and_are_written(one_case: None, tmp_path: Path) -> None:
    seen: list[Figure] = []
    found = bench_gpu("cpu", out=tmp_path / "figures", report=seen.append)
    assert not (found["case"] == "failed").any(), found["what"].tolist()
    lines = [json.loads(line) for line in (tmp_path / "figures").read_text().splitlines()]
    assert [line["what"] for line in lines] == found["what"].tolist() == [figure.what for figure in seen]
    assert (found["value"] > 0).all(), "each of them was measured"
    assert found.groupby("table").size().to_dict() == {"card": 4, "encoding": 5, "search": 12, "training": 2}
    assert found.loc[found["to"] != "", "ratio"].gt(0).all()
    assert (found["bar"] == "").all(), "no CPU is judged"


def test_a_part_that_fails_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(place: object) -> None:
        raise ZeroDivisionError("in the middle")

    monkeypatch.setattr(gpu, "_PARTS", (encoding, ceilings))
    monkeypatch.setattr(encoding, "measured", fails)
    found = bench_gpu("cpu")
    assert found["table"].tolist()[0] == "encoding" and "in the middle" in found["what"][0]
    assert (found["table"][1:] == "card").all() and len(found) > 3


@pytest.mark.parametrize(
    ("ratio", "bar", "met"), [(0.6, {"least": 0.5}, "yes"), (0.4, {"least": 0.5}, "no"), (1.6, {"most": 1.5}, "no"), (9.0, {}, "")]
)
def test_a_bar_is_met_or_not(ratio: float, bar: dict[str, float], met: str) -> None:
    assert Figure(table="t", case="c", what="w", value=1.0, ratio=ratio, **bar).met == met


def test_texts_are_as_long_as_wanted() -> None:
    lengths = [len(ids) for ids in tokenizer(True)(texts([60] * 200, small=True))["input_ids"]]
    assert np.mean(np.array(lengths) >= 60) > 0.75 and np.median(lengths) < 110


def test_the_plain_loop_encodes_and_learns() -> None:
    model = encoder("base", torch.device("cpu"), 40, small=True, dtype=torch.float32)
    plain, some = Plain(model), texts([5, 40, 9, 20, 60], small=True)
    np.testing.assert_allclose(plain.encode(some, 40, 2).numpy(), model.encode_passages(some), atol=1e-5)
    losses = [plain.step(some[:2], some[:2], some[2:4], query=32, passage=40) for _ in range(20)]
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
