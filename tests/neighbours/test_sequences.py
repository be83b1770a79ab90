"""pyterrier-t5's rerankers over our retriever, and pyterrier-doc2query's queries in our indexes; tiny models made here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyterrier as pt
import pytest
import torch

from ance_ir.indexes import AnceIndex, FirstP
from ance_ir.models import CrossEncoder, DenseEncoder
from ance_ir.pipelines import BertReranker, BM25Index
from tests.answering import write_t5
from tests.neighbours.conftest import needs

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a T5."""
    return write_t5(tmp_path_factory.mktemp("t5") / "model", n_positions=64)


def test_mono_t5_scores_as_ours(t5: Path, index: AnceIndex, model: DenseEncoder, queries: pd.DataFrame, texts: pd.DataFrame) -> None:
    """Its log-probability of "true" orders documents as our difference of logits does, over the same candidates, one at a time.

    Of several at a time it leaves the end of the shorter ones and the padding before "Relevant:".
    """
    pyterrier_t5 = needs("pyterrier_t5")
    candidates = index.retriever(model, 6)(queries).merge(texts, on="docno")
    theirs = pyterrier_t5.MonoT5ReRanker(str(t5), str(t5), batch_size=1, verbose=False, device="cpu")(candidates)
    reranker = CrossEncoder.from_pretrained(t5, device="cpu")
    ours = BertReranker(reranker)(candidates)
    order = ["qid", "docno"]
    theirs, ours = theirs.sort_values(order, ignore_index=True), ours.sort_values(order, ignore_index=True)
    assert theirs[order].equals(ours[order])
    logs = torch.nn.functional.logsigmoid(torch.tensor(ours["score"].to_numpy()))
    torch.testing.assert_close(torch.tensor(theirs["score"].to_numpy()), logs, rtol=1e-4, atol=1e-4)


def test_doc2query_at_index_time(t5: Path, tmp_path: Path, model: DenseEncoder, documents: list[dict[str, str]]) -> None:
    """The generated queries are in the texts that are indexed, by BM25 and by vectors; documents keep their docnos."""
    pyterrier_doc2query = needs("pyterrier_doc2query")
    made = pyterrier_doc2query.Doc2Query(str(t5), num_samples=2, append=True, fast_tokenizer=True, device="cpu")
    seen: list[dict[str, Any]] = []

    def noted(frame: pd.DataFrame) -> pd.DataFrame:
        seen.extend(frame.to_dict("records"))
        return frame

    index = (made >> pt.apply.generic(noted) >> FirstP() >> model.passages() >> AnceIndex(tmp_path / "x.ance")).index(iter(documents))
    assert len(seen) == len(index) == len(documents)
    for before, after in zip(documents, seen, strict=True):
        assert after["docno"] == before["docno"]
        assert after["text"].startswith(before["text"] + "\n")
    torch.testing.assert_close(
        torch.tensor(index.vectors.get(np.arange(60))),
        torch.tensor(model.encode_passages([one["text"] for one in seen])),
        rtol=1e-4,
        atol=1e-5,
    )
    bm25 = BM25Index(tmp_path / "bm25").index(iter(seen)).retriever()
    assert len(bm25.search(seen[7]["text"].split("\n")[1].replace("?", "")))
