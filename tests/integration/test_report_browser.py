"""The report in a real browser: what is clicked and typed does what it says, in light and dark, with no error and no network."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ance_ir.eval import diagnose, write_report
from tests.browser import check_quiet, click, keys, prefer
from tests.reported import NASTY, reported

pytestmark = [pytest.mark.slow, pytest.mark.integration]

ROWS = "#list tbody tr[data-place]"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    evaluation, queries, store = reported(folder)
    write_report(folder / "x.html", evaluation, queries, title="a report", store=store, findings=diagnose(evaluation, queries))
    return folder / "x.html"


@pytest.fixture
def look(driver: Any, page: Path) -> Iterator[Callable[[str], Any]]:
    """Evaluates JavaScript on the page, opened anew; at the end the browser must have nothing to complain of, nor have asked for more."""
    driver.get(page.as_uri())
    yield lambda script: driver.execute_script(f"return {script}")
    check_quiet(driver, page.as_uri())


def rows(driver: Any) -> list[list[str]]:
    found: list[list[str]] = driver.execute_script(
        f"return [...document.querySelectorAll('{ROWS}')].map((row) => [...row.cells].map((cell) => cell.textContent))"
    )
    return found


def choose(driver: Any, name: str, told: str) -> None:
    from selenium.webdriver.support.select import Select

    Select(driver.find_element("id", name)).select_by_visible_text(told)


def test_the_best_system_stands_beside_the_baseline(driver: Any, look: Callable[[str], Any]) -> None:
    assert look("document.title") == "a report: evaluation", "no text broke out"
    assert look("[at('system'), at('other')].map((box) => box.selectedOptions[0].text)") == ["better <b>", "base"]
    shown = rows(driver)
    assert len(shown) == 30
    differences = [float(row[4].replace("−", "-").replace("±", "")) for row in shown]
    assert differences == sorted(differences, reverse=True)
    assert differences[0] > 0
    assert look("document.querySelector('#differences svg').getAttribute('aria-label')").startswith("RR@10, better <b> less base: 14 wins")


def test_systems_and_measures_can_be_chosen(driver: Any, look: Callable[[str], Any]) -> None:
    before = rows(driver)
    choose(driver, "measure", "nDCG@10")
    after = rows(driver)
    assert {row[0] for row in after} == {row[0] for row in before}
    assert sorted(after) != sorted(before)
    choose(driver, "system", "base")
    choose(driver, "other", "better <b>")
    assert [row[4].replace("−", "+") for row in reversed(rows(driver))][:5] == [row[4] for row in after][:5]


def test_sorting(driver: Any, look: Callable[[str], Any]) -> None:
    click(driver, "[data-sort=qid]")
    assert [row[0] for row in rows(driver)] == [f"q{i}" for i in range(30)], "numbers in their order"
    assert look("document.querySelector('[aria-sort]').textContent") == "qid ↑"
    click(driver, "[data-sort=qid]")
    assert [row[0] for row in rows(driver)] == [f"q{i}" for i in reversed(range(30))]
    click(driver, "[data-sort=text]")
    texts = [row[1].lower() for row in rows(driver)]
    assert texts[1].startswith("query 1 ") and texts[2].startswith("query 2 ")
    click(driver, "[data-sort=theirs]")
    values = [float(row[3]) for row in rows(driver)]
    assert values == sorted(values, reverse=True)


def test_filters(driver: Any, look: Callable[[str], Any]) -> None:
    click(driver, "#filter")
    keys(driver, "D", "ogs")
    assert len(rows(driver)) == 9, "q0 has another text"
    assert "All 9" in look("document.querySelector('.segments').textContent")
    click(driver, "[data-outcome=wins]")
    assert rows(driver)
    assert all(row[4].startswith("+") for row in rows(driver))
    click(driver, "[data-outcome=losses]")
    assert look("document.querySelector('#list tbody').textContent") == "No query is like that."
    click(driver, "[data-outcome=ties]")
    assert all(row[4] == "±0.0000" for row in rows(driver))
    driver.find_element("id", "filter").clear()
    keys(driver, "ESCAPE")


def test_a_query_is_opened_by_click_with_both_rankings(driver: Any, look: Callable[[str], Any]) -> None:
    click(driver, "[data-sort=qid]")
    click(driver, f"{ROWS}:nth-child(2)")
    assert look("at('query').open")
    assert look("at('asked').textContent") == "query 1 about cats"
    sides = look("[...document.querySelectorAll('.sides ol')].map((list) => [...list.children].map((item) => item.innerText))")
    better, base = sides
    assert (len(better), len(base)) == (10, 10 + 2), "the baseline's first relevant one stands below its ten"
    assert base[11].startswith("17\n")
    assert better[1].split("\n")[:1] == ["2"]
    assert "d2" in better[1] and "label 2" in better[1] and "not found" not in better[1]
    assert "not judged" in better[0]
    assert "label 0" in better[3]
    assert "(there 17)" in better[1], "movement beyond the ten shown"
    assert look("document.querySelectorAll('.sides .hit.good').length") == 2 + 1


def test_the_first_relevant_document_stands_below_the_ten(driver: Any, look: Callable[[str], Any]) -> None:
    choose(driver, "system", "worse")
    click(driver, "[data-sort=qid]")
    click(driver, f"{ROWS}:nth-child(2)")
    last = look("[...document.querySelectorAll('.sides ol')].map((list) => [...list.children].slice(-2).map((item) => item.innerText))")
    assert last[0][0] == "first relevant, of 20 results"
    assert last[0][1].startswith("15\n")
    keys(driver, "j", "j", "j", "j")
    assert look("at('asked').textContent") == "query 5 about cats"
    assert look("[...document.querySelectorAll('.sides .gap')].map((item) => item.textContent)") == ["no results", "no results"]


def test_texts_are_not_taken_for_markup(driver: Any, look: Callable[[str], Any]) -> None:
    click(driver, "[data-sort=qid]")
    click(driver, f"{ROWS}:nth-child(1)")
    assert look("at('asked').textContent") == f"query 0 {NASTY}"
    assert look("document.querySelectorAll('#query b, #query script').length") == 2, "our own, beside the systems' names"
    assert " ".join(NASTY.split()) in look("[...document.querySelectorAll('.hit .body')].map((text) => text.textContent)")


def test_keys(driver: Any, look: Callable[[str], Any]) -> None:
    keys(driver, "j")
    assert look("document.activeElement.dataset.place") == "0"
    assert look("document.activeElement.matches(':focus-visible')")
    keys(driver, "j", "ARROW_DOWN", "k")
    assert look("document.activeElement.dataset.place") == "1"
    keys(driver, "ENTER")
    assert look("at('query').open && opened") == 1
    keys(driver, "j", "ARROW_RIGHT", "k")
    assert look("opened") == 2
    keys(driver, "ESCAPE")
    assert not look("at('query').open")
    assert look("document.activeElement.dataset.place") == "2", "back where one was"
    keys(driver, "/")
    assert look("document.activeElement.id") == "filter"
    keys(driver, "j")
    assert look("at('filter').value") == "j"
    keys(driver, "ESCAPE", "BACK_SPACE")
    assert look("document.activeElement.tagName") == "BODY"


def test_a_bar_opens_its_query(driver: Any, look: Callable[[str], Any]) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    svg = driver.find_element("css selector", "#differences svg")
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", svg)
    width = look("document.querySelector('#differences svg').getBoundingClientRect().width")
    step = (width - 44) / 30
    ActionChains(driver).move_to_element_with_offset(svg, int(44 + 3.5 * step - width / 2), -50).perform()
    fourth = rows(driver)[3]
    assert look("at('tip').textContent") == f"{fourth[4]}  {fourth[1]}"
    ActionChains(driver).click().perform()
    assert look("at('asked').textContent") == fourth[1]


def test_light_and_dark(driver: Any, look: Callable[[str], Any]) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    for scheme, other in (("light", "dark"), ("dark", "light")):
        prefer(driver, scheme)
        colours = {"light": "rgb(253, 253, 252)", "dark": "rgb(21, 23, 27)"}
        driver.refresh()
        assert look(ground) == colours[scheme]
        assert look("at('theme').getAttribute('aria-pressed')") == str(scheme == "dark").lower()
        click(driver, "#theme")
        assert look(ground) == colours[other]
        assert look("at('theme').getAttribute('aria-pressed')") == str(other == "dark").lower()
    prefer(driver, None)


def test_printing(driver: Any, look: Callable[[str], Any]) -> None:
    def printed() -> str:
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        text: str = look("document.body.innerText")
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
        return text

    assert base64.b64decode(driver.execute_cdp_cmd("Page.printToPDF", {})["data"]).startswith(b"%PDF")
    click(driver, "#theme")
    whole = printed()
    assert "Summary" in whole and "query 29" in whole
    assert "Filter" not in whole and "Curves\n" in whole
    keys(driver, "j", "ENTER")
    one = printed()
    assert "Summary" not in one and "not judged" in one and "Whole texts" not in one


def test_a_thousand_queries(driver: Any, tmp_path: Path) -> None:
    evaluation, queries, store = reported(tmp_path, queries=1000, documents=20_000)
    write_report(tmp_path / "x.html", evaluation, queries, title="many", store=store)
    assert (tmp_path / "x.html").stat().st_size < 12_000_000
    driver.get((tmp_path / "x.html").as_uri())
    assert len(rows(driver)) == 500
    click(driver, "#more button")
    assert len(rows(driver)) == 1000
    typed = "at('filter').value = 'query 7'; at('filter').dispatchEvent(new Event('input'))"
    took = driver.execute_script(f"const start = performance.now(); {typed}; return performance.now() - start")
    assert took < 2000, "milliseconds for a keystroke"
    assert driver.get_log("browser") == []
