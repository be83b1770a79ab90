"""Whether the legends of pictures lie within them."""

from __future__ import annotations

from ance_ir.eval.report.pictures import Picture, matplotlib, new_figure

_ROUNDED = 0.01


def cut_off(picture: Picture) -> list[str]:
    """The legends of a picture that do not lie within it, with their place and the picture's size, pixels."""
    with matplotlib().rc_context({"text.parse_math": False}):
        figure = new_figure(*picture.size)
        picture.draw(figure)
        figure.draw_without_rendering()
    legends = [*figure.legends, *(axes.legend_ for axes in figure.axes if axes.legend_ is not None)]
    width, height = figure.bbox.size
    found = []
    for legend in legends:
        box = legend.get_window_extent()
        if box.x0 < -_ROUNDED or box.y0 < -_ROUNDED or box.x1 > width + _ROUNDED or box.y1 > height + _ROUNDED:
            found.append(f"{[text.get_text() for text in legend.get_texts()]}: {box.extents} in {figure.bbox.size}")
    return found
