"""Hints for error messages: what a line or folder that cannot be read looks like, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

Wanted = Literal["documents", "documents of BEIR", "queries", "queries of BEIR", "qrels", "answers", "run", "questions"]
"""The content that was expected of a file."""

_OF_BEIR = "A folder with corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv is read as BEIR's. Do not mix the layouts: ours has "
_OF_BEIR += '"docno" for "_id", queries.tsv (qid, tab, text) and qrels.txt (qid 0 docno label)'

_QID = {"qid", "query_id", "queryid", "query", "_id", "id", "q_id", "topic", "topic_id", "topicid", "question_id", "questionid"}
_QID |= {"qno", "number"}
_OTHER = {"0", "text", "query", "question", "query_text", "title", "q0", "iter", "iteration", "docno", "docid", "doc_id", "corpus_id"}
_OTHER |= {"pid", "document_id", "passage_id", "did", "label", "rel", "relevance", "score", "rank"}
_OTHER |= {"tag", "run", "system", "answers", "answer", "description", "desc", "narrative", "narr", "utterance", "content", "body"}

_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")

_LINES: dict[Wanted, str] = {"queries": "qid, tab, text", "qrels": "qid 0 docno label", "run": "qid Q0 docno rank score tag"}

_WITHOUT_CORPUS = (
    ("qrels.*.tsv*", "MS MARCO's passages", "collection.tsv"),
    ("msmarco-doc*-queries.tsv*", "MS MARCO's documents", "msmarco-docs.tsv"),
    ("*.qa.csv*", "DPR's questions", "the passages, psgs_w100.tsv"),
)
"""Patterns of files that come with a corpus, whose they are, and the file with the corpus."""

_TREC_RUN = "a TREC run (qid Q0 docno rank score tag)"
_TREC_QRELS = "TREC judgements (qid 0 docno label)"


def is_header(columns: Sequence[str]) -> bool:
    """Whether the columns of a line are names of columns."""
    names = [column.strip().strip("\"'#\ufeff").strip().lower().replace("-", "_").replace(" ", "_") for column in columns]
    return len(names) > 1 and names[0] in _QID and all(name in _OTHER or name in _QID for name in names[1:])


def hint(text: str, wanted: Wanted) -> str:
    """A sentence on what an unexpected line looks like, and what to do; ``""`` if it looks like nothing known."""
    found = _json(text, wanted) if text.lstrip()[:1] in ("{", "[") else _columns(text, wanted)
    return f"This looks like {found}" if found else ""


def hint_folder(folder: Path) -> str:
    """The same for a folder in which a file was not found."""
    if (folder / "queries.jsonl").exists() or (folder / "qrels").is_dir():
        return f"This looks like part of a folder of BEIR's. {_OF_BEIR}"
    inner = [path.name for path in sorted(folder.iterdir()) if path.is_dir() and any(path.glob("corpus.jsonl*"))]
    if inner:
        return f"There is one in {folder / inner[0]}"
    for pattern, whose, missing in _WITHOUT_CORPUS:
        if any(folder.glob(pattern)):
            return f"This looks like {whose} without {missing}"
    if (folder / "pt_meta.json").exists() or (folder / "manifest.json").exists():
        return "This looks like an index: give the dataset that it was built from"
    if (folder / "config.json").exists() or (folder / "modules.json").exists():
        return "This looks like a model's folder"
    return ""


def _json(text: str, wanted: Wanted) -> str:
    of_documents = wanted in ("documents", "documents of BEIR")
    if of_documents and (text.strip() == "{" or text.lstrip().startswith("[")):
        return "JSON over several lines, or a list: each document is an object on a line of its own"
    if wanted in ("documents of BEIR", "queries of BEIR"):
        return ""
    if '"_id"' in text:
        return f"a line of BEIR's. {_OF_BEIR}"
    if wanted == "documents":
        if '"docno"' in text:
            return ""
        if '"contents"' in text:
            return 'a line of Pyserini\'s: write "docno" for "id" and "text" for "contents"'
        if '"id"' in text or '"doc_id"' in text or '"pid"' in text or '"docid"' in text:
            return 'a document whose keys have other names: they are "docno", "text" and, where there are any, "title" and "url"'
        return ""
    return f"JSON; lines of {_LINES[wanted]} are expected here" if wanted in _LINES else ""


def _columns(text: str, wanted: Wanted) -> str:
    tabs, columns = text.split("\t"), text.split()
    if is_header(tabs) or is_header(columns) or is_header(text.split(",")):
        return "a header line: remove it, together with columns that are not wanted"
    if wanted == "documents":
        return 'lines of columns; a line of a corpus is JSON, {"docno": "…", "text": "…"}' if len(tabs) > 1 else ""
    last = len(columns) - 1
    if len(columns) == 6 and len(tabs) != 2 and _INTEGER.fullmatch(columns[3]) and _NUMBER.fullmatch(columns[4]) and wanted != "run":
        return f"{_TREC_RUN}; `ance-ir eval` takes it with --run"
    if len(columns) == 4 and wanted in ("run", "queries") and _INTEGER.fullmatch(columns[3]):
        return f"{_TREC_QRELS}, which belong in qrels.txt"
    if wanted == "qrels":
        if len(columns) == 4 and _INTEGER.fullmatch(columns[2]):
            return "judgements with docno and label swapped: the order is qid 0 docno label"
        if len(columns) == 3 and _INTEGER.fullmatch(columns[2]):
            return "judgements in three columns, as BEIR has them: write a 0 between qid and docno"
        if last > 0 and len(tabs) == 2:
            return "queries (qid, tab, text); these belong in queries.tsv"
    if wanted == "queries" and len(tabs) == 1:
        return "columns with commas or spaces between them; a tab is expected" if last > 0 or "," in text else ""
    if wanted == "queries" and len(tabs) == 4 and _INTEGER.fullmatch(tabs[3].strip()):
        return f"{_TREC_QRELS}, which belong in qrels.txt"
    return ""
