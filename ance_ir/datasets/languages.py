"""The languages of texts: their codes, where a collection names its own, and what texts themselves tell."""

from __future__ import annotations

import itertools
import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from ance_ir.datasets.dataset import Dataset
from ance_ir.errors import DatasetError, UsageError
from ance_ir.reading import read_text

logger = logging.getLogger(__name__)

ENGLISH = "en"

_TAG = re.compile(r"([A-Za-z]{2,3})(?:[-_][A-Za-z0-9]+)*")
_FRONT = re.compile(r"---\n(.*?)\n---\s*$", re.DOTALL | re.MULTILINE)
_CARD = "README.md"

_WORD = re.compile(r"[^\W\d_]+")
_FIRST = 200
"""Documents that are looked at."""
_FEWEST = 200
"""Words; fewer tell nothing."""
_SEVERAL = 6
"""Of the words below."""
_COMMON = 0.1
"""The least share of the words below in running text of their language."""
_WORDS = {
    "English": "the of and to that is was for with are be this by it from or not which have has were their an as at",
    "Czech": "se na je že jako pro ale který jsou byl jeho ve od při také podle však nebo jsem až",
    "Danish or Norwegian": "og det er som på til af av ikke med et har ved fra om eller også blev ble mot",
    "Dutch": "de het een van en niet met zijn dat op voor aan er ook bij wordt werd naar uit maar door deze",
    "Finnish": "ja on ei se että oli myös kun joka hän mutta sen ovat tai kuin jotka niin mukaan ollut",
    "French": "le la les des et une dans pour que qui sur pas au du par avec est sont ce il aux cette ou",
    "German": "der die das und ist nicht ein eine zu den von mit dem des auch sich auf für als wird im werden oder",
    "Hungarian": "az és hogy nem egy is volt ez meg csak már mint vagy de azt ki el amely szerint",
    "Indonesian or Malay": "yang dan di ini itu dengan untuk dari pada dalam adalah tidak akan oleh juga sebagai ke atau",
    "Italian": "il di che la per una non sono con del della dei le è un nel alla da ha più anche gli",
    "Polish": "w na z się nie do jest że to jak od po przez oraz jego był są dla ale tak",
    "Portuguese": "o os um uma não para com dos das ao mais foi pelo que da do em é por na no ou também",
    "Romanian": "și în de la cu este pe din că nu un o care pentru mai fost sunt prin ca după",
    "Spanish": "el los las una y es por con para del que se su al como más de la en lo fue son pero",
    "Swedish": "och att det som en på är av för inte med den till har de ett om från eller vid kan",
    "Turkish": "ve bir bu için ile olarak da de çok daha olan gibi kadar sonra ise ancak en her veya",
}
"""Frequent words, by language."""


def language_code(text: str) -> str:
    """The code of a language, from that or a longer tag: ``de`` of ``de-AT``.

    Raises:
        UsageError: it is none.
    """
    found = _TAG.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"a language is given by its code in ISO 639, such as de, not {text!r}")
    return found[1].lower()


def card_language(folder: Path) -> str | None:
    """The language under ``language`` in the front matter of a folder's ``README.md``, a data card as the Hugging Face Hub has them;
    ``None`` where it names none or several.
    """
    try:
        front = _FRONT.match(read_text(folder / _CARD))
        about: Any = yaml.load(front[1], Loader=yaml.BaseLoader) if front else None  # scalars as written: "no" is Norwegian
    except OSError:
        return None
    except (DatasetError, yaml.YAMLError) as error:
        logger.warning("%s: what stands between its lines --- is not YAML, so the language is not known: %s", folder / _CARD, error)
        return None
    named = about.get("language") if isinstance(about, dict) else None
    named = named[0] if isinstance(named, list) and len(named) == 1 else named
    return code_or_none(named)


def code_or_none(tag: object) -> str | None:
    """The code of a language from what a catalogue or a card has there; ``None`` for what is no tag: ``simple``, ``multilingual``."""
    return language_code(tag) if isinstance(tag, str) and _TAG.fullmatch(tag) else None


def foreign_language(dataset: Dataset) -> str | None:
    """The language of a dataset's documents where it is known not to be English, from its metadata or else from its first documents."""
    if dataset.language is not None:
        return None if dataset.language == ENGLISH else f"the language {dataset.language!r}, as the dataset's metadata say"
    first = itertools.islice(dataset.usable_documents(), _FIRST)
    told = other_language(f"{document.get('title', '')} {document['text']}" for document in first)
    return told and f"{told}, as their words tell"


def other_language(texts: Iterable[str]) -> str | None:
    """What tells that texts are not English: the language of their frequent words, or the script of most letters; ``None`` for English and
    wherever neither is clear, as in short texts, in lists of names and in code.
    """
    words: Counter[str] = Counter()
    for text in texts:
        words.update(_WORD.findall(text.lower()))
    if words.total() < _FEWEST:
        return None
    script = _script(words)
    if script is not None:
        return script
    shares = {language: _share(known.split(), words) for language, known in _WORDS.items()}
    english = shares.pop("English")
    likely = max(shares, key=lambda language: shares[language])
    return likely if shares[likely] >= max(_COMMON, 2 * english) else None


def script_of(text: str) -> str | None:
    """The script of most words of a text, ``"Arabic script"``; ``None`` for the Latin one, and where there is no word."""
    return _script(Counter(_WORD.findall(text)))


def _script(words: Counter[str]) -> str | None:
    letters: Counter[str] = Counter()
    for word, count in words.items():
        letters[unicodedata.name(word[0], "").partition(" ")[0]] += count
    latin = letters.pop("LATIN", 0)
    if not letters or latin >= words.total() / 2:
        return None
    script = letters.most_common(1)[0][0]
    return f"{script if script == 'CJK' else script.capitalize()} script"


def _share(known: list[str], words: Counter[str]) -> float:
    """The share of known words among all; 0 where only a few of them occur, as in names."""
    occurring = {word for word in known if words[word]}
    return sum(words[word] for word in occurring) / words.total() if len(occurring) >= _SEVERAL else 0.0
