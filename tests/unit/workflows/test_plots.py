from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest

from ance_ir.errors import EvaluationError, MissingDependencyError
from ance_ir.workflows import plot_training

SERIES = pd.DataFrame({"step": [3, 1, 2], "loss": [0.5, 1.0, 0.0], "grad_norm": [0.0, 2.0, 1.0]})


def test_a_figure_is_written(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    modules = set(sys.modules)
    plot_training({"ance": SERIES, "bm25": SERIES.head(1)}, tmp_path / "out" / "loss.png")
    assert (tmp_path / "out" / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert "matplotlib.pyplot" not in set(sys.modules) - modules


def test_nothing_to_plot_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="no training run to plot"):
        plot_training({}, tmp_path / "loss.png")
    with pytest.raises(EvaluationError, match=r"ance.*step loss grad_norm.* 3 .*step loss"):
        plot_training({"ance": SERIES[["step", "loss"]]}, tmp_path / "loss.png")
    with pytest.raises(EvaluationError, match=r"ance.*step loss grad_norm.* 0"):
        plot_training({"ance": SERIES.head(0)}, tmp_path / "loss.png")


def test_without_matplotlib_the_command_that_installs_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError, match=r"a figure needs the package matplotlib: pip install 'ance_ir\[report\]'"):
        plot_training({"ance": SERIES}, tmp_path / "loss.png")
