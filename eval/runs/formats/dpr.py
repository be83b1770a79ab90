"""DPR: [{"question", "answers", "ctxs"}].

A passage in ``ctxs`` has ``id``, ``title``, ``text``, ``score`` and ``has_answer``. A question's ``qid``, which our files have and DPR's
readers ignore, is its qid; without one, its place from 0 is.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd

from ance_ir.eval.runs.formats._format import Passages, RunFormat
from ance_ir.eval.runs.formats._questions import load, to_frame, value_of


def read(path: Path) -> pd.DataFrame:
    """The results with a column ``question``."""
    entries = load(path, list)
    keyed = ((value_of(entry, "qid", str(place)), entry) for place, entry in enumerate(entries))
    return to_frame(path, keyed, "ctxs", "id")


def entry(qid: str, question: str, answers: list[str], passages: Passages) -> str:
    """A question in JSON."""
    contexts = [
        {"id": one["docno"], "title": one.get("title", ""), "text": one["text"], "score": score, "has_answer": holds}
        for one, score, holds in passages
    ]
    return json.dumps({"qid": qid, "question": question, "answers": answers, "ctxs": contexts}, ensure_ascii=False)


FORMAT = RunFormat(start=re.compile(rb"\[\s*(?:[{\]]|$)"), read=read, entry=entry)
