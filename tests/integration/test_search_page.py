"""The search page in a real browser, over a real server: what is typed and clicked does what it says, and is accessible."""

from __future__ import annotations

import contextlib
import json
import random
import threading
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("uvicorn")

from ance_ir import load_dataset
from ance_ir.indexes import MaxP, index_corpus
from ance_ir.serve.app import create_app
from ance_ir.serve.pending import Pending
from ance_ir.serve.running import address_of, listen
from ance_ir.serve.server import Server
from ance_ir.serve.systems import Served, open_systems
from tests.browser import check_quiet, click, keys, prefer, until
from tests.listening import app_at
from tests.reported import NASTY
from tests.tiny import WORDS, encoder

pytestmark = [pytest.mark.slow, pytest.mark.integration]

QUERY = "who sings in the river"
ASKED = "?q=" + QUERY.replace(" ", "+")
DOCUMENTS = 14
HITS = "[...document.querySelectorAll('#results section')].map((section) => section.querySelectorAll('.hit').length)"
FIRST, SECOND = "#results section:nth-of-type(1)", "#results section:nth-of-type(2)"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with BM25 and an index of several passages a document, whose ``d/1`` tries to break out of the page."""
    folder = tmp_path_factory.mktemp("page")
    texts = [" ".join(random.Random(number).choices(WORDS, k=40)) for number in range(DOCUMENTS)]
    documents = [{"docno": f"d/{number}", "title": f"title {number}", "text": text} for number, text in enumerate(texts)]
    documents[1] |= {"title": "<b>one</b> &amp;", "text": f"river sings 🎵 {NASTY} {texts[1]}"}
    (folder / "collection").mkdir()
    (folder / "collection" / "corpus.jsonl").write_text("".join(json.dumps(document) + "\n" for document in documents), encoding="utf-8")
    (folder / "collection" / "queries.tsv").write_text(f"q1\t{QUERY}\nq2\twho sleeps in the city\n", encoding="utf-8")
    (folder / "collection" / "qrels.txt").write_text("q1 0 d/1 2\nq1 0 d/10 1\nq1 0 d/2 0\n", encoding="utf-8")
    dataset = load_dataset(folder / "collection")
    encoder().save(folder / "model")
    index_corpus(folder / "x.ance", encoder(), dataset.store(), MaxP(12, 5))
    server = Server(dataset, open_systems(dataset, ["bm25", f"dense={folder / 'x.ance'}"], model=str(folder / "model"), device="cpu"))
    yield server
    server.close()


@pytest.fixture(scope="module")
def site(server: Server) -> Iterator[str]:
    """Its address."""
    with answering(server) as address:
        yield address


@contextlib.contextmanager
def answering(server: Server, token: str | None = None) -> Iterator[str]:
    """While entered, a server answers at an address."""
    listening = listen("127.0.0.1", 0)
    with app_at(create_app(server, token=token), listening):
        yield f"{address_of(listening)}/"


@pytest.fixture
def look(driver: Any, site: str) -> Iterator[Callable[[str], Any]]:
    """Opens the page at an address, and evaluates JavaScript there; at the end nothing went wrong and nothing else was asked for."""
    driver.get_log("performance")

    def opened(address: str) -> Callable[[str], Any]:
        driver.get(site + address)
        until(driver, "document.querySelector('#collection').textContent")
        return lambda script: driver.execute_script(f"return {script}")

    yield opened
    check_quiet(driver, site)


def shown(driver: Any) -> list[int]:
    """How many results each system shows, once all do."""
    until(driver, f"{HITS}.length && {HITS}.every(Boolean) && !document.querySelector('[aria-busy]')")
    found: list[int] = driver.execute_script(f"return {HITS}")
    return found


def test_a_query_is_suggested_and_systems_are_compared(driver: Any, look: Any) -> None:
    page = look("")
    assert page("document.activeElement.id") == "question"
    assert until(driver, "document.querySelectorAll('#start a').length") == 2
    keys(driver, "w", "h", "o", " ", "s", "i")
    until(driver, "document.querySelectorAll('[role=option]').length === 1")
    keys(driver, "ARROW_DOWN")
    assert page("document.querySelector('[aria-selected=true]').id === document.activeElement.getAttribute('aria-activedescendant')")
    keys(driver, "ENTER")
    assert shown(driver) == [10, 10]
    assert page("location.search") == ASKED
    assert page("document.title").startswith(QUERY)
    assert set(page(f"[...document.querySelectorAll('{FIRST} .snippet mark')].map((mark) => mark.textContent)")) <= {"river", "sings"}
    order = page(
        "[...document.querySelectorAll('#results section')].map((s) => [...s.querySelectorAll('.hit')].map((h) => h.dataset.docno))"
    )
    moves = page(f"[...document.querySelectorAll('{SECOND} .moved')].map((moved) => moved.firstChild.textContent)")
    expected = [
        "new" if docno not in order[0] else "=" if (by := order[0].index(docno) - rank) == 0 else f"{'↑' if by > 0 else '↓'} {abs(by)}"
        for rank, docno in enumerate(order[1])
    ]
    assert moves == expected
    assert len(set(moves)) > 2
    until(driver, "document.querySelector('.badge.good')")
    judged = page("[...document.querySelectorAll('.hit:has(.badge)')].map((h) => [h.dataset.docno, h.querySelector('.badge').textContent])")
    assert {tuple(one) for one in judged} <= {("d/1", "relevant 2"), ("d/10", "relevant"), ("d/2", "not relevant")}
    assert "ms" in page(f"document.querySelector('{SECOND} .times').textContent")
    assert "passage" in page(f"document.querySelector('{SECOND} .facts').textContent")
    click(driver, "#more button")
    until(driver, f"{HITS}[0] > 10")
    assert shown(driver)[1] == DOCUMENTS


def test_a_system_joins_when_its_index_is_built(driver: Any, server: Server) -> None:
    joining, told, may = Server(server.dataset, [server.systems["bm25"]]), threading.Event(), threading.Event()

    def opens(tell: Callable[[int, int], None]) -> Served:
        tell(3, DOCUMENTS)
        told.set()
        assert may.wait(60)
        return server.systems["dense"]

    joining.expect(Pending("dense", "dense=x.ance", opens))
    with answering(joining) as address:
        assert told.wait(60)
        driver.get(address + ASKED)
        until(driver, f"document.querySelector('{SECOND} progress')")
        assert f"3 of {DOCUMENTS} documents" in driver.execute_script(f"return document.querySelector('{SECOND}').textContent")
        assert driver.execute_script(f"return {HITS}")[1] == 0
        may.set()
        until(driver, f"{HITS}[1] > 0")
        check_quiet(driver, address)
    joining.close()


def test_a_document_opens_with_its_passages_as_text(driver: Any, site: str, look: Any) -> None:
    asked = f"{ASKED}&k=20"
    page = look(asked)
    shown(driver)
    click(driver, f"{SECOND} [data-docno='d/1'] h3 a")
    until(driver, "document.querySelectorAll('#document .piece').length > 2")
    driver.execute_script("document.querySelectorAll('.piece small').forEach((label) => label.remove())")
    assert page("document.querySelector('#document-title').textContent") == "<b>one</b> &amp;"
    assert " ".join(NASTY.split()) in " ".join(page("document.querySelector('#document .text').textContent").split())
    assert page("document.querySelectorAll('#document b, #document script, .hit b, .hit script').length") == 0
    heats = page("[...document.querySelectorAll('.piece')].map((piece) => Number(piece.style.getPropertyValue('--heat')))")
    assert max(heats) == 1 and min(heats) == 0
    assert page("Number(document.querySelector('.piece.best').style.getPropertyValue('--heat'))") == 1
    with urllib.request.urlopen(f"{site}v1/dense/documents/d%2F1") as answer:
        found = json.load(answer)
    passages = {found["text"][one["start"] : one["end"]] for one in found["passages"] if one["end"] > one["start"]}
    assert passages <= set(page("[...document.querySelectorAll('.piece')].map((piece) => piece.textContent)")), "offsets count characters"
    assert page("document.querySelector('#document .badge').textContent") == "relevant 2"
    keys(driver, "ESCAPE")
    until(driver, "!document.querySelector('#document').open")
    driver.back()
    until(driver, "document.querySelector('#document').open")
    driver.back()
    until(driver, "!document.querySelector('#document').open")
    assert page("location.search") == asked


def test_feedback_and_more_like_this_and_back(driver: Any, look: Any) -> None:
    page = look(ASKED)
    shown(driver)
    scores = f"[...document.querySelectorAll('{SECOND} .score')].map((score) => score.textContent)"
    before = page(scores)
    click(driver, f"{FIRST} .hit:nth-child(3) .doings input")
    click(driver, "#feedback [value=average]")
    until(driver, f"document.querySelector('{SECOND} .scope')")
    assert page(scores) != before
    assert "feedback=average" in page("location.search") and "from=d%2F" in page("location.search")
    assert not page(f"document.querySelector('{FIRST} .scope')")
    click(driver, f"{SECOND} .hit:nth-child(2) [data-like]")
    until(driver, "!document.querySelector('#scope').hidden && document.querySelector('section .note')")
    assert page(HITS) == [0, 10]
    driver.back()
    until(driver, f"document.querySelector('{SECOND} .scope')")
    driver.back()
    until(driver, f"!document.querySelector('{SECOND} .scope') && {HITS}[0] === 10")
    assert page(scores) == before
    assert page("document.querySelector('#feedback').hidden")


def test_keys(driver: Any, look: Any) -> None:
    page = look(ASKED)
    shown(driver)
    here = "[document.activeElement.closest('section').getAttribute('aria-label'), document.activeElement.closest('.hit').dataset.rank]"
    keys(driver, "ESCAPE", "j", "j", "j", "k")
    assert page(here) == ["bm25", "1"]
    keys(driver, "l", "j")
    assert page(here) == ["dense", "2"]
    assert page("document.querySelectorAll('.hit.same').length") in (1, 2)
    assert page("document.querySelectorAll('#lines path').length === document.querySelectorAll('.hit.same').length - 1")
    keys(driver, "x")
    assert not page("document.querySelector('#feedback').hidden")
    keys(driver, "ENTER")
    until(driver, "document.querySelector('#document').open")
    keys(driver, "ESCAPE")
    until(driver, "!document.querySelector('#document').open")
    assert page(here) == ["dense", "2"], "back where one was"
    keys(driver, "h")
    assert page(here) == ["bm25", "2"]
    keys(driver, "/")
    assert page("document.activeElement.id") == "question"
    keys(driver, "j")
    assert page("document.activeElement.value") == "j", "the question was selected, keys are letters there"


def test_a_token_is_typed_with_letters_that_are_keys_elsewhere(driver: Any, server: Server) -> None:
    with answering(server, token="jkhlxm/") as address:
        driver.get(address)
        until(driver, "document.querySelector('.unlocking input')")
        click(driver, ".unlocking input")
        keys(driver, *"jkhlxm/", "ENTER")
        until(driver, "document.querySelector('#collection').textContent")
        assert {entry["source"] for entry in driver.get_log("browser")} == {"network"}, "the 401, and nothing else"


def test_what_is_refused_is_said(driver: Any, site: str, look: Any) -> None:
    look(f"{ASKED}&open=nothing&in=dense&system=dense")
    assert "nothing" in until(driver, "document.querySelector('#document [role=alert]')?.textContent")
    assert shown(driver) == [10]
    assert {entry["source"] for entry in driver.get_log("browser")} == {"network"}, "the 404, and nothing else"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible(driver: Any, look: Any, scheme: str) -> None:
    selenium = pytest.importorskip("axe_core_python.selenium")
    prefer(driver, scheme)
    for address in ("", ASKED, f"{ASKED}&open=d/1&in=dense"):
        look(address)
        if address:
            shown(driver)
            click(driver, ".doings input") if "open" not in address else until(driver, "document.querySelector('.piece')")
        violations = selenium.Axe().run(driver)["violations"]
        assert [(one["id"], node["target"], node["failureSummary"]) for one in violations for node in one["nodes"]] == []
    prefer(driver, None)


def test_on_a_phone(driver: Any, look: Any) -> None:
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True})
    page = look(ASKED)
    shown(driver)
    assert page("document.documentElement.scrollWidth") <= 390
    assert page(f"document.querySelector('{FIRST}').getBoundingClientRect().width") > 300
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
