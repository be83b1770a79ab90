"""What all families have in common: names, opening by name, conversions, layers, what they say of themselves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ance_ir import models
from ance_ir.errors import ModelError, UsageError
from ance_ir.models import CrossEncoder, DenseEncoder, Pretrained, Reader
from ance_ir.models.dense.layout import LAYOUTS, Choices, Files
from tests.tiny import backbone, bert_tokenizer, cross_encoder, encoder, reader

FAMILIES: dict[str, Callable[[], Any]] = {
    "encoder": lambda: encoder(shared=False, head=8),
    "reranker": cross_encoder,
    "dpr reader": lambda: reader("dpr"),
    "qa reader": lambda: reader("qa"),
}
CLASSES: tuple[type[DenseEncoder | CrossEncoder | Reader], ...] = (DenseEncoder, CrossEncoder, Reader)


def results(model: Any) -> np.ndarray:
    """What a model gives for a few texts."""
    queries, texts = ["king queen", "what is a cat"], ["the moon and the sun", "a cat sleeps"]
    if isinstance(model, DenseEncoder):
        return model.encode_passages(texts)
    return model.log_odds(queries, texts) if isinstance(model, CrossEncoder) else model.read(queries, texts).scores


@pytest.fixture(params=FAMILIES)
def model(request: pytest.FixtureRequest) -> Any:
    return FAMILIES[request.param]()


def test_open_opens_every_family(tmp_path: Path, model: Any) -> None:
    model.save(tmp_path / "x")
    again = models.open(tmp_path / "x", device="cpu")
    assert type(again) is type(model) and again.fingerprint() == model.fingerprint()
    assert again.origin.settings == "ance_ir.json" and again.unused == ()
    # On some processors the last digit of a product depends on where the weights lie in memory, and a mapped file is not aligned.
    np.testing.assert_allclose(results(again), results(model), rtol=1e-6)


def test_open_takes_a_bare_backbone_for_an_encoder(tmp_path: Path) -> None:
    backbone().save_pretrained(tmp_path / "x")
    bert_tokenizer().save_pretrained(tmp_path / "x")
    assert models.find_family(tmp_path / "x") == "encoder"
    assert isinstance(models.open(tmp_path / "x", device="cpu", pooling="cls", similarity="dot"), DenseEncoder)


def test_another_family_is_named(tmp_path: Path, model: Any) -> None:
    model.save(tmp_path / "x")
    for other in CLASSES:
        if not isinstance(model, other):
            with pytest.raises(ModelError, match=rf"{models.find_family(tmp_path / 'x')}.*{type(model).__name__}"):
                other.from_pretrained(tmp_path / "x", device="cpu")


def test_settings_are_changed_alike(model: Any) -> None:
    changed = model.with_settings(query_length=7)
    assert (type(changed), changed.settings.query_length, changed.name) == (type(model), 7, model.name)
    assert changed.fingerprint() != model.fingerprint() and "query_length" in changed.origin.settings
    with pytest.raises(UsageError, match="colour"):
        model.with_settings(colour=1)


def test_bfloat16(tmp_path: Path, model: Any) -> None:
    model.save(tmp_path / "x")
    converted = type(model).from_pretrained(tmp_path / "x", device="cpu", precision="bfloat16")
    assert (converted.precision, converted.fingerprint()) == ("bfloat16", model.fingerprint())
    found, expected = results(converted), results(model)
    assert found.dtype == np.float32 and not np.array_equal(found, expected)
    np.testing.assert_allclose(found, expected, atol=0.15 * np.abs(expected).max())
    with pytest.raises(UsageError, match="bfloat16"):
        converted.save(tmp_path / "y")
    with pytest.raises(UsageError, match="float16"):
        model.at_precision("float16")


def test_layers(tmp_path: Path, model: Any) -> None:
    model.save(tmp_path / "x")
    cut = type(model).from_pretrained(tmp_path / "x", device="cpu", layers=1)
    assert "first 1 of 2" in cut.origin.layout and not np.array_equal(results(cut), results(model))
    cut.save(tmp_path / "y")
    np.testing.assert_array_equal(results(models.open(tmp_path / "y", device="cpu")), results(cut))


def test_repr_is_one_line_with_what_differs_from_the_default(model: Any) -> None:
    changed = model.with_settings(query_length=7)
    assert repr(changed).startswith(f"{type(model).__name__}('tiny'") and "\n" not in repr(changed)
    assert "query_length=7" in repr(changed) and "max_characters" not in repr(changed)


def test_the_table_for_notebooks_is_escaped(model: Any) -> None:
    model.name = "<b>&"
    table = model._repr_html_()
    assert "&lt;b&gt;&amp;" in table and "<b>" not in table
    assert model.fingerprint() in table and "query_length" in table


@pytest.mark.parametrize(
    ("old", "kind"),
    [
        (lambda folder: DenseEncoder.from_pretrained(folder, head="ance", device="cpu"), DenseEncoder),
        (lambda folder: CrossEncoder.from_pretrained(folder, head="fresh", device="cpu"), CrossEncoder),
    ],
)
def test_old_names_of_fresh_heads_work_with_a_warning(tmp_path: Path, old: Callable[[Path], Pretrained[Any]], kind: type[Any]) -> None:
    backbone().save_pretrained(tmp_path / "x")
    bert_tokenizer().save_pretrained(tmp_path / "x")
    with pytest.warns(FutureWarning, match="fresh_head="):
        found = old(tmp_path / "x")
    new = kind.from_pretrained(tmp_path / "x", fresh_head="ance" if kind is DenseEncoder else "logit", device="cpu")
    assert found.fingerprint() == new.fingerprint()


def test_old_names_of_settings_work_with_a_warning() -> None:
    model = encoder()
    with pytest.warns(FutureWarning, match="settings"):
        assert model.text == model.settings
    with pytest.warns(FutureWarning, match="with_settings"):
        assert model.with_text(query_length=5).settings.query_length == 5


@pytest.mark.parametrize("layout", ["dpr", "qa"])
def test_logits_of_readers_in_bfloat16_are_float32(layout: Any) -> None:
    model = reader(layout).at_precision("bfloat16")
    ((window,),) = model.tokenizer.windows(["what is a cat"], [""], ["the moon and the sun"])
    with torch.no_grad():
        logits = model(*model.tokenizer.pad([window]))
    start = logits.start_BL[logits.start_BL.isfinite()]
    assert not torch.equal(start.bfloat16().float(), start)


def test_every_layout_has_its_own_place_in_the_order_and_refuses_an_empty_folder(tmp_path: Path) -> None:
    files = Files(name="x", paths=(tmp_path,))
    assert len({layout.order for layout in LAYOUTS.values()}) == len(LAYOUTS)
    assert [name for name, layout in LAYOUTS.items() if layout.recognises(files)] == []
    assert max(LAYOUTS, key=lambda name: LAYOUTS[name].order) == "backbone"
    assert all(LAYOUTS.summary(name) for name in LAYOUTS) and Choices().seed == 42


def test_parts_are_shown_in_one_line() -> None:
    model = encoder(head=8)
    assert repr(model.query_tower) == "Tower(bert, 8 dimensions, pooling='mean', dot, head=Linear → LayerNorm)"
    assert repr(model.query_tower.head) == "Head(32, 8, Linear → LayerNorm)"
    assert repr(reader().read(["king"] * 2, ["moon", "sun"])) == "Readings(2 passages)"
