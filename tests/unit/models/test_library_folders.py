"""Folders of sparse and multi-vector encoders, which sentence-transformers opens: nothing is left at random, and nothing passed over."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from torch import Tensor

from ance_ir.errors import ModelError
from ance_ir.models import MultiVectorEncoder, SparseEncoder

pytest.importorskip("sentence_transformers", minversion="6.2", reason="sentence-transformers 6.2 is not installed")

from tests.library_models import LAYOUTS, write_splade, write_two_routes  # they import sentence-transformers

WRITERS: dict[str, Callable[[Path], Path]] = {"splade": write_splade, "two routes": write_two_routes, **LAYOUTS}
SPARSE = ("splade", "two routes")
TRANSFORMER = {"two routes": "document_0_Transformer"}
TEXTS = ["the king sleeps", "a cat runs."]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: write(tmp_path_factory.mktemp("written") / "x") for name, write in WRITERS.items()}


@pytest.fixture(params=WRITERS)
def layout(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def folder(layout: str, written: dict[str, Path], tmp_path: Path) -> Path:
    return shutil.copytree(written[layout], tmp_path / "model")


def opened(layout: str, folder: Path) -> SparseEncoder | MultiVectorEncoder:
    return (SparseEncoder if layout in SPARSE else MultiVectorEncoder).from_pretrained(folder, device="cpu")


def vectors(model: Any) -> np.ndarray:
    found = model.encode_documents(TEXTS)
    return np.concatenate(found) if isinstance(found, list) else found.toarray()


def change(path: Path, **settings: Any) -> None:
    """Change a file of settings; of ``modules.json`` its first entry."""
    before = json.loads(path.read_text(encoding="utf-8"))
    (before[0] if isinstance(before, list) else before).update(settings)
    path.write_text(json.dumps(before), encoding="utf-8")


def rewrite(path: Path, changed: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> None:
    save_file(changed(load_file(path)), path, metadata={"format": "pt"})


def weights_of(layout: str, folder: Path) -> Path:
    return folder / TRANSFORMER.get(layout, "") / "model.safetensors"


def test_weights_that_are_missing_are_named(layout: str, folder: Path) -> None:
    rewrite(weights_of(layout, folder), lambda weights: {name: weight for name, weight in weights.items() if "layer.1." not in name})
    with pytest.raises(ModelError, match=r"layer\.1\."):
        opened(layout, folder)


@pytest.mark.parametrize("layout", SPARSE)
def test_a_head_that_is_missing_is_named(layout: str, folder: Path) -> None:
    rewrite(weights_of(layout, folder), lambda weights: {name: weight for name, weight in weights.items() if ".transform." not in name})
    with pytest.raises(ModelError, match=r"cls\.predictions\.transform"):
        opened(layout, folder)


def test_the_prefix_of_a_trainer_is_taken_off(layout: str, folder: Path) -> None:
    expected = vectors(opened(layout, folder))
    rewrite(weights_of(layout, folder), lambda weights: {f"module.{name}": weight for name, weight in weights.items()})
    if layout == "stanford":  # whose projection the library itself looks for
        with pytest.raises(ModelError, match=r"linear\.weight"):
            opened(layout, folder)
        return
    np.testing.assert_array_equal(vectors(opened(layout, folder)), expected)


@pytest.mark.parametrize("layout", ["sentence-transformers", "pylate"])
def test_a_projection_by_another_name_is_refused(layout: str, folder: Path) -> None:
    rewrite(folder / "1_Dense" / "model.safetensors", lambda weights: {f"module.{name}": weight for name, weight in weights.items()})
    with pytest.raises(ModelError, match=r"linear\.weight"):
        opened(layout, folder)


def test_half_a_folder_is_refused(layout: str, folder: Path) -> None:
    (folder / "model.safetensors.incomplete").touch()
    with pytest.raises(ModelError, match=r"model\.safetensors\.incomplete"):
        opened(layout, folder)
    (folder / "model.safetensors.incomplete").unlink()
    needed = "artifact.metadata" if layout == "stanford" else "modules.json"
    (folder / needed).unlink()
    with pytest.raises(ModelError, match=needed):
        opened(layout, folder)


def test_the_folder_of_a_module_says_that_modules_json_is_missing(written: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(written["splade"], tmp_path / "splade")
    for file in folder.glob("*sentence_*"):
        file.unlink()
    (folder / "modules.json").unlink()
    with pytest.raises(ModelError, match=r"modules\.json"):
        opened("splade", folder)


def test_an_adapter_is_refused(layout: str, folder: Path) -> None:
    file = folder / TRANSFORMER.get(layout, "") / "adapter_config.json"
    file.write_text(json.dumps({"base_model_name_or_path": "some/base", "peft_type": "LORA"}))
    with pytest.raises(ModelError, match="holds an adapter"):
        opened(layout, folder)


def test_a_setting_that_is_not_understood_is_named(layout: str, folder: Path) -> None:
    backbones = [path.parent for path in folder.rglob("config.json") if "model_type" in json.loads(path.read_text(encoding="utf-8"))]
    files = [path for path in [*folder.rglob("*.json"), *folder.rglob("artifact.metadata")] if "token" not in path.name]
    files = [path for path in files if path.name != "config.json" or path.parent not in backbones]
    assert files
    for path in files:
        before = path.read_bytes()
        change(path, foo=3)
        with pytest.raises(ModelError, match="foo"):
            opened(layout, folder)
        path.write_bytes(before)
    opened(layout, folder)


@pytest.mark.parametrize(
    ("layout", "file", "setting", "value"),
    [
        ("splade", "config_sentence_transformers.json", "similarity_fn_name", "cosine"),
        ("splade", "config_sentence_transformers.json", "max_active_dims", "ten"),
        ("pylate", "config_sentence_transformers.json", "similarity_fn_name", "euclidean"),
        ("pylate", "config_sentence_transformers.json", "query_length", "16"),
        ("pylate", "1_Dense/config.json", "activation_function", "mine.Gate"),
        ("stanford", "artifact.metadata", "similarity", "l2"),
        ("stanford", "artifact.metadata", "doc_maxlen", "32"),
        ("two routes", "router_config.json", "structure", {"query": "query_0_SparseStaticEmbedding"}),
    ],
)
def test_a_value_that_is_not_understood_is_named(layout: str, file: str, setting: str, value: Any, folder: Path) -> None:
    change(folder / file, **{setting: value})
    with pytest.raises(ModelError, match=rf"{file}.*{setting}"):
        opened(layout, folder)


@pytest.mark.parametrize("layout", ["sentence-transformers", "splade"])
def test_what_shows_only_when_a_text_is_encoded_is_seen_at_once(layout: str, folder: Path) -> None:
    change(folder / "sentence_bert_config.json", document_length="long")
    with pytest.raises(ModelError, match=str(folder)):
        opened(layout, folder)


def test_settings_of_training_and_search_are_passed_over(written: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(written["stanford"], tmp_path / "stanford")
    change(folder / "artifact.metadata", nbits=2, lr=1e-5, meta={"hostname": "x"}, similarity="cosine", query_token="[Q]", checkpoint=None)
    assert isinstance(opened("stanford", folder), MultiVectorEncoder)


@pytest.mark.parametrize("length", [0, 2**53])
def test_a_length_that_no_tokeniser_takes_is_refused(written: dict[str, Path], tmp_path: Path, length: int) -> None:
    folder = shutil.copytree(written["pylate"], tmp_path / "model")
    change(folder / "config_sentence_transformers.json", query_length=length)
    with pytest.raises(ModelError, match=f"query_length is {length}"):
        opened("pylate", folder)
