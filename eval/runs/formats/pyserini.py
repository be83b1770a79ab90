"""Pyserini: {qid: {"question", "answers", "contexts"}}.

A passage in ``contexts`` has ``docid``, ``score``, ``text`` (title, newline, text) and ``has_answer``.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd

from ance_ir.eval.runs.formats._format import Passages, RunFormat
from ance_ir.eval.runs.formats._questions import load, to_frame


def read(path: Path) -> pd.DataFrame:
    """The results with a column ``question``."""
    return to_frame(path, iter(load(path, dict).items()), "contexts", "docid")


def entry(qid: str, question: str, answers: list[str], passages: Passages) -> str:
    """A question in JSON, after its qid."""
    contexts = [
        {"docid": one["docno"], "score": score, "text": f"{one.get('title', '')}\n{one['text']}", "has_answer": holds}
        for one, score, holds in passages
    ]
    value = json.dumps({"question": question, "answers": answers, "contexts": contexts}, ensure_ascii=False)
    return f"{json.dumps(qid, ensure_ascii=False)}: {value}"


FORMAT = RunFormat(start=re.compile(rb'\{\s*(?:["}]|$)'), read=read, entry=entry, brackets="{}")
