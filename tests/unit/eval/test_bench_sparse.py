"""The benchmark of rounded weights at a small size, next to what sentence-transformers and ir_measures say."""

from __future__ import annotations

import json
from pathlib import Path

import ir_measures
import numpy as np
import pandas as pd
import pytest

from ance_ir.datasets import Dataset, load_dataset
from ance_ir.eval.bench import bench_sparse
from tests.command import Run
from tests.engines import missing
from tests.tiny import WORDS, bert_tokenizer, encoder

library = pytest.importorskip("sentence_transformers")
pytestmark = pytest.mark.skipif(bool(missing("pisa")), reason=missing("pisa"))


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    rng, folder = np.random.default_rng(0), tmp_path / "c"
    folder.mkdir()
    texts = {f"d{number}": " ".join(rng.choice(WORDS, 3 + number % 9)) for number in range(80)}
    (folder / "corpus.jsonl").write_text("".join(json.dumps({"docno": docno, "text": text}) + "\n" for docno, text in texts.items()))
    (folder / "queries.dev.tsv").write_text("".join(f"q{number}\t{' '.join(rng.choice(WORDS, 3))}\n" for number in range(40)))
    (folder / "qrels.dev.txt").write_text("".join(f"q{number} 0 d{number} 1\n" for number in range(40)))
    return load_dataset(folder)


def measured(queries: pd.DataFrame, dataset: Dataset, scores: np.ndarray, docnos: list[str], measure: str) -> float:
    rows = []
    for qid, row in zip(queries["qid"], scores, strict=True):
        ranked = sorted(((float(score), docno) for docno, score in zip(docnos, row, strict=True) if score > 0), reverse=True)
        rows += [(qid, docno, float(-rank)) for rank, (_, docno) in enumerate(ranked)]
    qrels = dataset.qrels("dev").rename(columns={"qid": "query_id", "docno": "doc_id", "label": "relevance"})
    run = pd.DataFrame(rows, columns=["query_id", "doc_id", "score"])
    return float(ir_measures.calc_aggregate([ir_measures.parse_measure(measure)], qrels, run)[ir_measures.parse_measure(measure)])


def test_a_sparse_encoder(dataset: Dataset, tmp_path: Path) -> None:
    from tests.library_models import write_splade

    folder = write_splade(tmp_path / "splade")
    table = bench_sparse(dataset, str(folder), bits=(8, 2)).set_index("weights")
    model, queries, documents = library.SparseEncoder(str(folder), device="cpu"), dataset.queries("dev"), list(dataset.documents())
    # a title stands before the text, of which these have none
    vectors = model.encode_document([f" {document['text']}".strip() for document in documents]).to_dense().numpy()
    scores = model.encode_query(queries["query"].tolist()).to_dense().numpy() @ vectors.T
    for measure in table.columns[:-2]:
        assert table.loc["float32", measure] == pytest.approx(
            measured(queries, dataset, scores, [document["docno"] for document in documents], measure), abs=1e-6
        )
    assert table.loc["float32", "MB"] == pytest.approx(8e-6 * np.count_nonzero(vectors))
    assert table["same first 10"].tolist() == sorted(table["same first 10"], reverse=True)
    assert table.loc["float32", "same first 10"] == 1
    assert table.loc["8 bits", "same first 10"] > 0.9
    assert table.loc["8 bits", "MB"] >= table.loc["2 bits", "MB"]


def test_any_other_model_gives_tokens_with_the_weights_of_bm25(dataset: Dataset, tmp_path: Path, run: Run) -> None:
    encoder().save(tmp_path / "dense")
    status, out, err = run("bench", "sparse", "--dataset", tmp_path / "c", "--model", tmp_path / "dense", "--format", "json")
    assert status == 0, err
    rows = json.loads(out)
    assert [row["weights"] for row in rows] == ["float32", "8 bits", "6 bits", "4 bits", "3 bits", "2 bits"]
    tokens = [bert_tokenizer()(document["text"], add_special_tokens=False)["input_ids"] for document in dataset.documents()]
    queries, mean = dataset.queries("dev"), np.mean([*map(len, tokens)])
    scores = np.zeros((len(queries), len(tokens)))
    for row, query in enumerate(queries["query"]):
        for token in bert_tokenizer()(query, add_special_tokens=False)["input_ids"]:
            holding = sum(token in document for document in tokens)
            for column, document in enumerate(tokens):
                frequency, idf = document.count(token), np.log(1 + (len(tokens) - holding + 0.5) / (holding + 0.5))
                scores[row, column] += idf * frequency * 1.9 / (frequency + 0.9 * (0.6 + 0.4 * len(document) / mean))
    for measure in rows[0].keys() - {"weights", "MB", "same first 10"}:
        expected = measured(queries, dataset, scores, [f"d{number}" for number in range(80)], measure)
        assert rows[0][measure] == pytest.approx(expected, abs=1e-6), measure
    status, out, err = run("bench", "sparse", "--dataset", tmp_path / "c", "--model", tmp_path / "dense", "--format", "markdown")
    assert status == 0, err
    (exactly,) = (line for line in out.splitlines() if line.startswith("| float32"))
    assert {f"{rows[0][measure]:.4f}" for measure in rows[0] if "@" in measure} <= set(exactly.replace("|", " ").split())
