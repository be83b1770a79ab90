"""What a training step takes of memory, next to what was predicted, for a model of the size of MiniLM; each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tiny import WORDS

BAR = 0.15
CASES: dict[str, dict[str, Any]] = {
    "float32": {},
    "a larger batch": {"batch_size": 16},
    "checkpointed": {"gradient_checkpointing": True},
    "checkpointed, a larger batch": {"gradient_checkpointing": True, "batch_size": 16},
    "grad cache": {"grad_cache": True, "batch_size": 16},
    "bfloat16": {"bfloat16": True},
    "weights in bfloat16": {"weights": "bfloat16"},
    "lora": {"lora": True},
    "frozen layers": {"freeze": 3},
    "accumulation": {"accumulation": 3},
}
SLOW = {"float32", "checkpointed", "grad cache", "lora"}
"""The others are variations of these, or slow where a processor has no bfloat16, and large."""


def job(folder: Path, grad_cache: bool = False, lora: bool = False, **settings: Any) -> None:
    """Train a few steps, all texts as long as the model reads, and print what run.json says of memory."""
    from ance_ir.datasets import load_dataset
    from ance_ir.indexes import FirstP
    from ance_ir.models import DenseEncoder
    from ance_ir.models.adapters.lora import Lora
    from ance_ir.training import DenseObjective, RandomNegatives, Trainer, TrainingQueries, TrainingSettings

    dataset = load_dataset(folder / "collection")
    model = DenseEncoder.from_pretrained("all-MiniLM-L6-v2", device="cpu", passage_length=128)
    if lora:
        model.add_adapter(Lora(r=8))
    queries = TrainingQueries.load(dataset, dataset.store())
    trainer = Trainer(
        DenseObjective(model, queries, dataset.store(), FirstP(128), grad_cache=grad_cache),
        RandomNegatives(queries),
        TrainingSettings(**{"steps": 2, "batch_size": 8, **settings}),
        folder / "run",
        dataset={"name": "words"},
        verbose=True,
    )
    trainer.train()
    weights = sum(weight.nbytes for weight in model.parameters()) / 2**30
    print(json.dumps({**trainer.run.manifest["memory"], "weights": weights}))


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    folder = tmp_path / "collection"
    folder.mkdir()
    generator = np.random.default_rng(0)
    texts = [" ".join(generator.choice(WORDS, size=200)) for _ in range(64)]
    (folder / "corpus.jsonl").write_text("".join(json.dumps({"docno": f"d{i}", "text": text}) + "\n" for i, text in enumerate(texts)))
    (folder / "queries.train.tsv").write_text("".join(f"q{i}\t{' '.join(text.split()[:6])}\n" for i, text in enumerate(texts)))
    (folder / "qrels.train.txt").write_text("".join(f"q{i} 0 d{i} 1\n" for i in range(64)))
    return tmp_path


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else pytest.mark.large) for name in CASES])
def test_the_growth_of_memory_is_predicted(collection: Path, name: str) -> None:
    """Growth: without the weights, which are there before the first step."""
    code = "import sys, json, pathlib; from tests.integration.test_training_memory import job; "
    code += "job(pathlib.Path(sys.argv[1]), **json.loads(sys.argv[2]))"
    told = [str(collection), json.dumps(CASES[name])]
    found = subprocess.run([sys.executable, "-c", code, *told], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    memory = json.loads(found.stdout.splitlines()[-1])
    predicted, used = (value - memory["weights"] for value in (memory["predicted"]["total"], memory["used"]))
    print(f"{name}: growth {used:.3f} GiB, predicted {predicted:.3f}, {predicted / used - 1:+.1%}")
    assert used > 0.05
    assert abs(predicted / used - 1) <= BAR, memory
