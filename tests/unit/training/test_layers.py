"""Frozen layers, and layers with learning rates of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import T5ForConditionalGeneration

from ance_ir.datasets import Dataset
from ance_ir.errors import TrainingError, UsageError
from ance_ir.files import read_json, write_json
from ance_ir.indexes import FirstP
from ance_ir.models import CrossEncoder, DenseEncoder
from ance_ir.models.loading.backbones import depths
from ance_ir.training import DenseObjective, RandomNegatives, RerankerObjective, Trainer, TrainingQueries, TrainingSettings
from ance_ir.training.run.layers import layer_rates
from ance_ir.training.run.optimisation import make_optimiser, set_learning_rate
from tests.answering import write_t5
from tests.breaking import Breaking, Interrupted, timeless_lines
from tests.tiny import classifier, cross_encoder, encoder

Make = Callable[..., Trainer[Any]]


@pytest.fixture
def make(dataset: Dataset, queries: TrainingQueries) -> Make:
    def made(folder: Path, model: DenseEncoder | CrossEncoder, source: Any = None, **settings: Any) -> Trainer[Any]:
        told = {"steps": 6, "batch_size": 4, "learning_rate": 1e-2, "refresh_every": 2, **settings}
        store = dataset.store()
        objective: Any = (
            DenseObjective(model, queries, store, FirstP()) if isinstance(model, DenseEncoder) else RerankerObjective(model, queries, store)
        )
        return Trainer(objective, source or RandomNegatives(queries), TrainingSettings(**told), folder, dataset={"name": "tiny"})

    return made


def changed(one: torch.nn.Module, other: torch.nn.Module) -> set[str]:
    """The parts of a model that have changed: embeddings, layers, and the rest."""
    found = set()
    for name, before in one.state_dict().items():
        if not torch.equal(before, other.state_dict()[name]):
            parts = name.split(".")
            place = parts.index("layer") if "layer" in parts else None
            found.add(f"layer {int(parts[place + 1]) + 1}" if place is not None else "embeddings" if "embeddings" in parts else "rest")
    return found


@pytest.mark.parametrize(
    ("freeze", "expected"),
    [
        (None, {"embeddings", "layer 1", "layer 2", "rest"}),
        (0, {"layer 1", "layer 2", "rest"}),
        (1, {"layer 2", "rest"}),
        (2, {"rest"}),
    ],
)
@pytest.mark.parametrize("kind", ["shared", "separate", "reranker"])
def test_frozen_layers_stay_as_they_are(make: Make, tmp_path: Path, kind: str, freeze: int | None, expected: set[str]) -> None:
    def model() -> Any:
        return cross_encoder() if kind == "reranker" else encoder(shared=kind == "shared", head=12)

    trained = make(tmp_path / "run", model(), freeze=freeze).train()
    assert changed(model(), trained) == expected
    assert [weight.requires_grad for weight in trained.parameters()] == [weight.requires_grad for weight in model().parameters()]
    assert read_json(tmp_path / "run" / "run.json")["settings"]["freeze"] == freeze


@pytest.mark.parametrize(("freeze", "named"), [(3, "freeze 3: tiny has 2 layers"), (2, "freeze 2: tiny"), (-1, "-1")])
def test_what_cannot_be_frozen_is_refused(make: Make, tmp_path: Path, freeze: int, named: str) -> None:
    model = encoder()
    with pytest.raises(UsageError, match=named):
        make(tmp_path / "run", model, freeze=freeze)
    assert not (tmp_path / "run").exists()
    assert any(weight.requires_grad for weight in model.parameters())


@pytest.mark.parametrize("decay", [0.0, 1.1, float("nan")])
def test_a_decay_is_a_part(decay: float) -> None:
    with pytest.raises(UsageError, match=str(decay)):
        TrainingSettings(steps=1, layer_decay=decay)


@pytest.mark.parametrize("shared", [True, False])
def test_each_layer_has_a_part_of_the_rate_of_the_next(shared: bool) -> None:
    model = encoder(shared=shared, head=12)
    settings = TrainingSettings(steps=4, learning_rate=1.0, weight_decay=0.1, layer_decay=0.5)
    optimiser = make_optimiser(model, settings, layer_rates(model, 0.5))
    set_learning_rate(optimiser, 0.8)
    names = {weight: name for name, weight in model.named_parameters()}
    expected = {"embeddings": 0.2, "encoder.layer.0": 0.4, "encoder.layer.1": 0.8, "head": 0.8}
    seen = set()
    for group in optimiser.param_groups:
        for weight in group["params"]:
            part = next(part for part in expected if f".{part}." in names[weight])
            seen.add(names[weight])
            assert group["lr"] == pytest.approx(expected[part])
            assert group["weight_decay"] == (0.1 if weight.ndim > 1 else 0)
    assert seen == {name for name, weight in model.named_parameters() if weight.requires_grad}


@pytest.mark.parametrize("architecture", ["bert", "roberta", "distilbert", "mpnet", "modernbert", "electra", "xlm-roberta"])
def test_every_weight_of_every_backbone_has_its_place(architecture: Any) -> None:
    backbone = classifier(architecture).base_model
    found, count = depths(backbone)
    assert count == 2
    places = {name: found[weight] for name, weight in backbone.named_parameters()}
    assert {place for name, place in places.items() if name.startswith("embeddings.")} == {0}
    assert {1, 2} <= set(places.values())
    after = {name for name, place in places.items() if place == 3}
    assert all("norm" in name or "pooler" in name for name in after)
    assert ("final_norm.weight" in after) == (architecture == "modernbert")


def test_a_decoder_follows_the_layers_of_its_encoder(tmp_path: Path) -> None:
    model = T5ForConditionalGeneration.from_pretrained(write_t5(tmp_path / "x"))
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    found, count = depths(model)
    parts: dict[int, set[str]] = {}
    for name, weight in model.named_parameters():
        parts.setdefault(found[weight], set()).add(".".join(name.split(".")[: 3 if name.startswith("encoder.block") else 1]))
    assert count == 2
    assert parts == {0: {"shared"}, 1: {"encoder.block.0"}, 2: {"encoder.block.1"}, 3: {"encoder", "decoder", "lm_head"}}


@pytest.mark.parametrize(
    ("settings", "optimiser"),
    [({"layer_decay": 0.5}, "adafactor"), ({"freeze": 1}, "lamb"), ({"freeze": 0, "layer_decay": 0.9}, "adamw")],
)
def test_a_run_that_was_broken_off_ends_the_same(
    make: Make, tmp_path: Path, queries: TrainingQueries, settings: dict[str, Any], optimiser: str
) -> None:
    settings = {**settings, "optimiser": optimiser}
    unbroken = make(tmp_path / "a", encoder(), **settings).train()
    with pytest.raises(Interrupted):
        make(tmp_path / "b", encoder(), Breaking(queries, 5), **settings).train()
    resumed = make(tmp_path / "b", encoder(), **settings).train()
    assert timeless_lines(tmp_path / "a") == timeless_lines(tmp_path / "b")
    assert not changed(unbroken, resumed)
    assert changed(make(tmp_path / "c", encoder(), optimiser=optimiser).train(), resumed), "the settings make a difference"


@pytest.mark.parametrize("model", [encoder, cross_encoder])
def test_runs_from_before_are_resumed(make: Make, tmp_path: Path, model: Callable[[], Any]) -> None:
    make(tmp_path / "run", model())
    manifest = read_json(tmp_path / "run" / "run.json")
    for name in ("freeze", "layer_decay"):
        assert manifest["settings"].pop(name) is None
    assert not {"towers", "train_tower"} & manifest.keys()
    text = manifest["model"].get("text") or manifest["model"]["settings"]
    for name in ("end_token", "mask_padding", "template", "instruction", "answers"):
        text.pop(name, None)
    write_json(tmp_path / "run" / "run.json", manifest)
    make(tmp_path / "run", model()).train()


def test_a_run_with_a_later_text_setting_is_another(make: Make, tmp_path: Path) -> None:
    make(tmp_path / "run", encoder())
    with pytest.raises(TrainingError, match="mask_padding was None, is True"):
        make(tmp_path / "run", encoder(text={"mask_padding": True}))
