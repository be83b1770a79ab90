"""Legends lie within their pictures, however many names there are and however long they are."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from ance_ir.eval.report.pictures import Picture, legend_below
from tests.legends import cut_off

NAMES = {
    "few": ["random", "ance"],
    "long": ["refresh 10,000, 1e-5", "refresh 10,000, 5e-6", "refresh 5,000, 1e-5", "refresh 5,000, 5e-6"],
    "many": [f"bm25 -> ance, seed {seed}" for seed in range(11)],
    "wide": ["a/folder/of/which/the/name/is/wider/than/the/picture/itself/is/in/inches" * 2, "b"],
    "odd": ["_hidden", "$x", "a_b$c"],
}


def _draw(figure: Any, names: list[str]) -> None:
    axes = figure.subplots()
    legend_below(figure, {name: axes.plot(np.arange(3), np.arange(3) + place)[0] for place, name in enumerate(names)})


@pytest.mark.parametrize("names", NAMES.values(), ids=list(NAMES))
def test_a_legend_below_lies_within_the_figure_and_leaves_the_axes_their_height(names: list[str]) -> None:
    figures: list[Any] = []
    picture = Picture(size=(4.0, 3.3), draw=lambda figure: (_draw(figure, names), figures.append(figure)))
    assert cut_off(picture) == []
    (figure,) = figures
    (legend,) = figure.legends
    assert [text.get_text().strip() for text in legend.get_texts()] == names
    assert figure.axes[0].get_window_extent().height > 170, "of 330 pixels, a row of the legend and the axis's numbers taken off"


def test_a_legend_that_fits_is_one_row_and_changes_no_size() -> None:
    sizes: list[Any] = []
    picture = Picture(size=(4.0, 3.3), draw=lambda figure: (_draw(figure, NAMES["few"]), sizes.append(tuple(figure.get_size_inches()))))
    assert cut_off(picture) == [] and sizes == [(4.0, 3.3)]


def test_what_is_cut_off_is_seen() -> None:
    def draw(figure: Any) -> None:
        axes = figure.subplots()
        handles = [axes.plot([0, 1])[0] for _ in NAMES["long"]]
        figure.legend(handles, NAMES["long"], loc="outside lower center", ncols=4)

    assert len(cut_off(Picture(size=(4.0, 3.3), draw=partial(draw)))) == 1
