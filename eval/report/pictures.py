"""Pictures: new figures of matplotlib, and how one is written for papers, as SVG and as PNG."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ance_ir.files import atomic_path
from ance_ir.optional import optional

_STYLE = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "font.size": 9,
    "grid.alpha": 0.3,
    "grid.color": "#808080",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "svg.hashsalt": "ance_ir",
    "text.parse_math": False,
}


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture that can be drawn.

    Attributes:
        size: width and height, inches.
        draw: draws on matplotlib's figure.
    """

    size: tuple[float, float]
    draw: Callable[[Any], None]

    def save(self, path: Path) -> list[Path]:
        """Write it as SVG and as PNG.

        Args:
            path: of the files, without their ending.

        Raises:
            MissingDependencyError: matplotlib is not installed.
        """
        paths = [path.with_name(f"{path.name}.{ending}") for ending in ("svg", "png")]
        with matplotlib().rc_context(_STYLE):
            figure = new_figure(*self.size)
            self.draw(figure)
            for target in paths:
                form = target.suffix[1:]
                with atomic_path(target) as temporary:
                    figure.savefig(temporary, format=form, dpi=200, metadata={"Date": None} if form == "svg" else None)
        return paths


def matplotlib(module: str = "") -> Any:
    """Matplotlib, or a module of it.

    Raises:
        MissingDependencyError: it is not installed.
    """
    return optional(f"matplotlib{module and '.'}{module}", needed_for="a figure", remedy="pip install 'ance_ir[report]'")


def legend_below(figure: Any, handles: Mapping[str, Any], **options: Any) -> None:
    """Put one legend below all that is drawn, in as few rows as fit into the figure, which becomes higher by all but the first, and as
    wide as its longest name.

    Args:
        figure: matplotlib's.
        handles: what is explained, by name.
        **options: of matplotlib's ``legend``.
    """
    labels = [f" {name}" if name.startswith("_") else name for name in handles]  # matplotlib leaves those out
    rows: list[Any] = []
    for columns in range(len(handles), 0, -1):
        legend = figure.legend(list(handles.values()), labels, loc="outside lower center", ncols=columns, **options)
        for text in legend.get_texts():
            text.set_parse_math(False)
        rows.append(legend.get_window_extent(figure.canvas.get_renderer()))
        if rows[-1].width <= figure.bbox.width or columns == 1:
            break
        legend.remove()
    width, height = figure.get_size_inches()
    figure.set_size_inches(max(width, rows[-1].width / figure.dpi), height + (rows[-1].height - rows[0].height) / figure.dpi)


def new_figure(width: float, height: float) -> Any:
    """A new figure, outside pyplot's global state; width and height in inches."""
    backend = matplotlib("backends.backend_agg")
    figure = matplotlib("figure").Figure(figsize=(width, height), layout="constrained")
    backend.FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)
    return figure
