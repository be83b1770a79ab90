"""PyLate's models in our late interaction, with PyLate's scores. It needs an older sentence-transformers than ours, so it runs in a
process of its own, with the packages of ``.venv-neighbours/pylate`` before the others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from ance_ir.pipelines import LateInteractionReranker
from tests.library_models import write_backbone, write_stanford

pytestmark = pytest.mark.integration

PYLATE = Path(sys.prefix) / "pylate"
SETTINGS = {
    "as it is": {},
    "attended expansion": {"attend_to_expansion_tokens": True, "query_prefix": "[Ask]", "document_prefix": "[Say]"},
    "no expansion": {"do_query_expansion": False, "skiplist_words": ["the", "."]},
}
"""Of models that PyLate makes and saves."""

THEIRS = """
import json, sys
from pathlib import Path
import torch
from pylate import models, scores
folder, told = Path(sys.argv[1]), json.loads(sys.stdin.read())
found = {}
lengths = {"query_length": 16, "document_length": 32}
for name, settings in [*told["settings"].items(), ("stanford", None)]:
    torch.manual_seed(0)
    given = {} if settings is None else {"embedding_size": 8, **lengths, **settings}
    model = models.ColBERT(str(folder / ("backbone" if given else "stanford")), device="cpu", **given)
    if given:
        model.save(str(folder / name))
    queries = model.encode(told["queries"], is_query=True)
    documents = model.encode(told["documents"], is_query=False)
    # one pair at a time: its rerank() fills shorter documents up with zeros, which are more than negative similarities
    found[name] = [[float(scores.colbert_scores([query], [document])) for document in documents] for query in queries]
(folder / "scores.json").write_text(json.dumps(found))
"""


@pytest.mark.slow
def test_scores_are_those_of_pylate(tmp_path: Path, documents: list[dict[str, str]], queries: pd.DataFrame) -> None:
    """Of folders that it saves, and of one in the layout of Stanford's ColBERT, which both open."""
    if not PYLATE.is_dir():
        pytest.skip("pylate is not installed: make neighbours")
    write_backbone(tmp_path / "backbone")
    write_stanford(tmp_path / "stanford")
    texts = [*(one["text"] for one in documents[:9]), "the king, the queen.", "moon! (star)", "red " * 40]
    told = {"settings": SETTINGS, "queries": [*queries["query"], "who is the king?"], "documents": texts}
    process = [sys.executable, "-c", THEIRS, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(PYLATE)}
    subprocess.run(process, input=json.dumps(told), env=environment, encoding="utf-8", check=True, capture_output=True)
    pairs = [
        {"qid": f"{query}", "query": words, "docno": f"{place:02d}", "text": text}
        for query, words in enumerate(told["queries"])
        for place, text in enumerate(texts)
    ]
    for name, theirs in json.loads((tmp_path / "scores.json").read_text(encoding="utf-8")).items():
        ours = LateInteractionReranker.from_pretrained(tmp_path / name, device="cpu")(pd.DataFrame(pairs))
        wanted = [score for of_query in theirs for score in of_query]
        assert ours.sort_values(["qid", "docno"])["score"].to_list() == pytest.approx(wanted, rel=1e-5, abs=1e-5), name
