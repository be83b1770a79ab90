"""The benchmark of mining at a small size: every contender runs, and what is said of their negatives is true."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from ance_ir import load_dataset
from ance_ir.eval.bench.rounds import OURS
from ance_ir.workflows.hard_negatives import bench
from ance_ir.workflows.hard_negatives.bench import bench_mine
from tests.tiny import WORDS, encoder

SCRIPT = '''
import json
from FlagEmbedding import FlagAutoModel
from FlagEmbedding.abc.inference import AbsEmbedder

def find_knn_neg(model, input_file, output_file, candidate_pool, sample_range, negative_number):
    """A miner that takes the positives."""
    assert sample_range == [0, 10] and model.encode(candidate_pool).shape == (len(candidate_pool), model.get_embedding_dimension())
    rows = [json.loads(line) for line in open(input_file)]
    assert model.encode_queries([row["query"] for row in rows]).shape[0] == len(rows)
    with open(output_file, "w") as stream:
        for row in rows:
            stream.write(json.dumps({**row, "neg": row["pos"]}) + chr(10))
'''


def test_all_miners_draw_from_the_same_rankings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "collection"
    folder.mkdir()
    texts = [" ".join(words) for words in itertools.permutations(WORDS[20:26], 2)]
    (folder / "corpus.jsonl").write_text("".join(json.dumps({"docno": f"d{n}", "text": text}) + "\n" for n, text in enumerate(texts)))
    (folder / "queries.train.tsv").write_text("".join(f"q{n}\t{text.split()[0]} {WORDS[n]}\n" for n, text in enumerate(texts[:12])))
    (folder / "qrels.train.txt").write_text("".join(f"q{n} 0 d{n} 1\nq{n} 0 d{n + 1} 1\n" for n in range(12)))
    encoder(normalize=True).save(tmp_path / "model")
    (tmp_path / "hn_mine.py").write_text(SCRIPT)
    monkeypatch.setattr(bench, "_peak", lambda task, name: bench._mine_alone(task, name, torch.get_num_threads()))
    dataset = load_dataset(folder)
    told: dict[str, Any] = {"model": str(tmp_path / "model"), "negatives": 3, "depth": 10, "length": 16, "rounds": 1}
    found = bench_mine(dataset, script=tmp_path / "hn_mine.py", **told).set_index("contender")
    assert list(found.index) == [OURS, "sentence-transformers", "sentence-transformers, Faiss", "FlagEmbedding"]
    assert found["positives"].tolist() == [0, 0, 0, 1]
    assert found["negatives"].tolist() == [3, 3, 3, 2]
    assert (found["seconds"] > 0).all()
    assert found.loc[OURS, "ours ×"] == 1
    assert "FlagEmbedding" not in set(bench_mine(dataset, **told)["contender"])
