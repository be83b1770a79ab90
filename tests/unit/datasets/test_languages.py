"""The languages of datasets: as their metadata name them, and as their texts tell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ance_ir import load_dataset
from ance_ir.datasets.languages import code_or_none, foreign_language, language_code, other_language
from ance_ir.datasets.part import Part
from ance_ir.errors import UsageError

GERMAN = """
Der Zug nach München fährt um zehn Uhr vom Gleis drei ab und hält unterwegs nicht. Wer auf dem Bahnhof warten muss, findet in der Halle ein
Café, das auch am Sonntag geöffnet ist. Die Fahrkarten werden im Zug geprüft, und eine Reservierung ist für die Wagen der ersten Klasse zu
empfehlen. Mit dem Rad kommt man nicht in jeden Wagen.
"""
FRENCH = """
Le train pour Lyon part à dix heures de la voie trois et ne s'arrête pas dans les petites gares. Les voyageurs qui attendent sur le quai
peuvent acheter un café au kiosque, qui est ouvert le dimanche. Une réservation est nécessaire pour les voitures de première classe, et
les vélos ne sont pas acceptés dans tous les trains du soir.
"""
RUSSIAN = "Поезд в Москву отправляется в десять часов с третьего пути и не останавливается на маленьких станциях. "
ENGLISH = """
The train to London leaves from platform three at ten and does not stop on the way. Those who have to wait at the station find a café in
the hall, which is open on Sundays as well. Tickets are checked on the train, and a reservation is advised for the coaches of the first
class. With a bicycle one may not enter every coach of the evening trains.
"""
CODE = """
def walk(self, path, die=None):
    for name in os.listdir(path):
        if name in self.des and not self.la:
            yield name
"""
NAMES = "Johann Sebastian Bach, Karlheinz Stockhausen, Der Spiegel, Das Boot, Le Monde, La Scala, El País, Rio de Janeiro. "


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GERMAN * 5, "German"),
        (FRENCH * 5, "French"),
        (RUSSIAN * 20, "Cyrillic script"),
        ("今日は天気がいいですね 電車で 行きます " * 100, "CJK script"),
        ((GERMAN + ENGLISH * 3) * 5, None),
        (ENGLISH * 5, None),
        (CODE * 20, None),
        (NAMES * 20, None),
        (GERMAN, None),
        ("", None),
        ("12 34 !? " * 300, None),
    ],
)
def test_what_texts_tell(text: str, told: str | None) -> None:
    assert other_language([text]) == told


@pytest.mark.parametrize(("text", "code"), [("de", "de"), ("DE", "de"), ("de-AT", "de"), ("zh_Hans", "zh"), (" fil ", "fil")])
def test_codes(text: str, code: str) -> None:
    assert language_code(text) == code


@pytest.mark.parametrize("text", ["", "German", "d", "de,fr", "1"])
def test_what_is_no_code_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        language_code(text)


def test_what_a_catalogue_has_instead_of_a_code_tells_nothing() -> None:
    assert [code_or_none(tag) for tag in ("de-AT", "simple", "multilingual", None, False)] == ["de", None, None, None, None]


def collection(folder: Path, text: str, card: str | None) -> Path:
    folder.mkdir()
    (folder / "corpus.jsonl").write_text(json.dumps({"docno": "a", "text": text}) + "\n", encoding="utf-8")
    (folder / "queries.tsv").write_text("q\tZug\n", encoding="utf-8")
    if card is not None:
        (folder / "README.md").write_text(card, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("card", "language"),
    [
        ("---\nlanguage: de\n---\n# Trains\n", "de"),
        ("---\nlicense: mit\nlanguage:\n- de-AT\n---\n", "de"),
        ("---\r\nlanguage:\r\n- de\r\n---\r\n", "de"),
        ("\ufeff---\nlanguage: de\n---\n", "de"),
        ("---\nlanguage: no\n---\n", "no"),
        ("---\nlanguage: [de, fr]\n---\n", None),
        ("---\nlanguage: multilingual\n---\n", None),
        ("---\nlanguage: {\n---\n", None),
        ("---\n- de\n---\n", None),
        ("# language: de\n", None),
        (None, None),
    ],
)
def test_a_folder_names_its_language_in_its_card(tmp_path: Path, card: str | None, language: str | None) -> None:
    dataset = load_dataset(collection(tmp_path / "x", "Zug", card))
    assert dataset.language == language
    assert Part(dataset).language == language


def test_the_catalogue_names_languages() -> None:
    for name, language in (("vaswani", "en"), ("mr-tydi/ar", "ar"), ("neuclir/1/zh", "zh")):
        assert load_dataset(name).language == language


def test_metadata_are_believed_before_the_text(tmp_path: Path) -> None:
    told = {"---\nlanguage: en\n---\n": None, "---\nlanguage: fr\n---\n": "fr", None: "German"}
    for number, (card, language) in enumerate(told.items()):
        found = foreign_language(load_dataset(collection(tmp_path / str(number), GERMAN * 5, card)))
        assert (found is None) if language is None else language in (found or "")


@pytest.mark.parametrize(
    "name",
    ["vaswani", "nfcorpus", "msmarco-mini", "msmarco-doc-mini", "squad-articles", "nq-open-mini", "triviaqa-mini", "medquad", "squad-open"],
)
def test_no_english_collection_looks_foreign(name: str, data_dir: Path) -> None:
    assert foreign_language(load_dataset(str(data_dir / name))) is None


@pytest.mark.slow
def test_the_standard_library_does_not_look_foreign() -> None:
    assert foreign_language(load_dataset("python-stdlib")) is None
