"""The page: one file, every curve that there is, every id once, nothing taken for markup."""

from __future__ import annotations

import json
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ance_ir.errors import MissingDependencyError
from ance_ir.eval.report.strokes import look
from ance_ir.workflows import read_training_runs, write_run_page
from ance_ir.workflows.runs.curves import run_panels
from tests.logged import GROUPS, logged_line, write_logged_run

pytestmark = pytest.mark.slow

pytest.importorskip("matplotlib")

VOID = {"meta", "br", "link", "img", "hr"}
PANELS = [
    "Training loss",
    "Gradient norm",
    "Dev RR@10",
    "Dev nDCG@10",
    "Learning rate",
    "Staleness of the negatives",
    "Negatives among the new top 100",
    "Speed",
    *(f"Gradient norm: {group}" for group in GROUPS),
]


class Page(HTMLParser):
    """What a page holds: cells by table, headings, figures, ids, references; each element is closed in its turn."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.headings: list[str] = []
        self.figures: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        elif tag == "figure":
            self.figures.append(told["aria-label"] or "")
        elif tag in ("h1", "h2"):
            self.headings.append("")
        self.ids += [told["id"] or ""] if "id" in told else []
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "clip-path"):
                self.targets.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += data
        elif {"h1", "h2"} & set(self.open):
            self.headings[-1] += data


def test_the_page_of_several_runs(tmp_path: Path) -> None:
    for seed, name in enumerate(("a", "b & <b>c")):
        write_logged_run(tmp_path / "runs" / name, seed=seed, learning_rate=1e-5 * (1 + seed))
    write_logged_run(tmp_path / "runs" / "new", done=0, ended=False)
    runs = read_training_runs([tmp_path / "runs"])
    written = write_run_page(runs, tmp_path / "out")
    assert written == [tmp_path / "out" / "curves.png", tmp_path / "out" / "index.html"]
    assert written[0].read_bytes().startswith(b"\x89PNG")
    page = Page(written[1].read_text(encoding="utf-8"))
    summary, differences = page.tables[:2]
    assert [row[0] for row in summary] == ["run", "a", "b & <b>c", "new"]
    assert differences == [["setting", "a", "b & <b>c", "new"], ["learning_rate", "1e-05", "2e-05", "1e-05"]]
    assert page.figures == PANELS
    assert page.headings[:3] == ["Training runs", "Settings in which they differ", "Curves"]
    assert page.headings[3:] == ["a: settings", "a: refreshes", "b & <b>c: settings", "b & <b>c: refreshes", "new: settings"]


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of seven runs, one of them long."""
    folder = tmp_path_factory.mktemp("seven")
    for name in "abcdefg":
        write_logged_run(folder / "runs" / name, steps=600 if name == "a" else 20)
    return write_run_page(read_training_runs([folder / "runs"]), folder / "out")[1].read_text(encoding="utf-8")


def test_the_page_needs_nothing_else(html: str) -> None:
    page = Page(html)
    assert len(page.ids) == len(set(page.ids)) > 100
    assert page.targets
    for target in page.targets:
        inside = target.removeprefix("url(").removesuffix(")").removeprefix("#")
        assert target.startswith("data:image/png;base64,") or inside in page.ids
    assert any(target.startswith("data:image/png") for target in page.targets), "many dots are a picture"
    assert "@import" not in html and "url(http" not in html


def test_curves_take_their_colours_from_the_page_except_the_runs_own(html: str) -> None:
    curves = html[html.index('<div class="curves">') :]
    assert "#000000" not in curves, "black ink on a dark page"
    assert look(0)[0] in curves
    assert "light-dark(" in html
    assert "@media print" in html


def test_a_page_without_steps_has_no_curves(tmp_path: Path) -> None:
    write_logged_run(tmp_path / "a", done=0, ended=False)
    (page,) = write_run_page(read_training_runs([tmp_path / "a"]), tmp_path / "out")
    assert page.name == "index.html"
    shown = Page(page.read_text(encoding="utf-8"))
    assert (shown.figures, shown.headings) == ([], ["Training runs", "a: settings"])
    assert shown.tables[0][1] == ["a", "ance", "no step yet of 40"]


def test_a_panel_holds_the_values_of_the_log(tmp_path: Path) -> None:
    ance, random = write_logged_run(tmp_path / "ance"), write_logged_run(tmp_path / "random", negatives="random")
    panels = {panel.title: panel for panel in run_panels(read_training_runs([ance, random]))}
    lines = [logged_line(step, 40) for step in range(40)]
    assert list(panels["Training loss"].lines) == ["ance", "random"]
    assert panels["Training loss"].lines["ance"].to_dict() == {line["step"]: line["loss"] for line in lines}
    assert panels["Gradient norm: head"].lines["ance"].to_dict() == {line["step"]: line["grad_norms"]["head"] for line in lines}
    assert panels["Dev RR@10"].lines["random"].to_dict() == pytest.approx({0: 0.2, 10: 0.3, 20: 0.4, 30: 0.2})
    assert list(panels["Staleness of the negatives"].lines) == ["ance"]
    assert panels["Negatives among the new top 100"].lines["ance"].to_dict() == pytest.approx({10: 0.625, 20: 0.75, 30: 0.875})
    assert set(panels["Speed"].lines["random"]) == {64.0}


def test_an_old_log_has_the_curves_that_it_has_values_for(tmp_path: Path) -> None:
    folder = write_logged_run(tmp_path / "old")
    lines = [{"step": step, "loss": 1.0, "grad_norm": 0.0, "seconds": 0.0, "pairs": 3} for step in range(40)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    page = write_run_page(read_training_runs([folder]), tmp_path / "out")[1]
    assert Page(page.read_text(encoding="utf-8")).figures == ["Training loss", "Gradient norm"]


def test_the_looks_of_28_runs_differ() -> None:
    assert len({look(number) for number in range(28)}) == 28


def test_what_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError, match=r"needs the package matplotlib: pip install 'ance_ir\[report\]'"):
        write_run_page(read_training_runs([write_logged_run(tmp_path / "a")]), tmp_path / "out")
    assert not (tmp_path / "out").exists()
