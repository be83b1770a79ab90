"""What a model is trained on, as an object or as keyword arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ance_ir import load_dataset
from ance_ir.errors import UsageError
from ance_ir.files import read_json
from ance_ir.indexes import FirstP, MaxP
from ance_ir.training import TrainingSettings
from ance_ir.workflows import DenseTraining, ReaderTraining, RerankerTraining, train_on_dataset
from ance_ir.workflows.training import DatasetTraining, settings_of
from tests.tiny import encoder


def test_keyword_arguments_make_an_object_or_change_one() -> None:
    how = DenseTraining(negatives="random", passages=MaxP(4))
    assert settings_of(DenseTraining, None, {"negatives": "random", "passages": MaxP(4)}) == how
    assert settings_of(DenseTraining, how, {}) == how
    assert settings_of(DenseTraining, how, {"negatives": "bm25"}) == DenseTraining(negatives="bm25", passages=MaxP(4))
    with pytest.raises(TypeError, match="temperature"):
        settings_of(DenseTraining, None, {"temperature": 1.0})


@pytest.mark.parametrize("kind", [DenseTraining, ReaderTraining, RerankerTraining])
def test_no_model_draws_from_less_than_a_document(kind: type[DatasetTraining]) -> None:
    with pytest.raises(UsageError, match="not 0"):
        kind(depth=0)


def test_when_initial_negatives_end_takes_initial_negatives() -> None:
    with pytest.raises(UsageError, match="warm_up_until 4"):
        DenseTraining(warm_up_until=4)


@pytest.mark.parametrize(("name", "value"), [("in_batch_margin", 0.1), ("symmetric", True)])
def test_what_is_for_negatives_of_the_batch_takes_some(collection: Path, tmp_path: Path, name: str, value: Any) -> None:
    told: dict[str, Any] = {"settings": TrainingSettings(steps=2, batch_size=2), "passages": FirstP(), name: value}
    with pytest.raises(UsageError, match=name):
        train_on_dataset(load_dataset(collection), encoder(), tmp_path / "run", negatives="random", **told)
    assert not (tmp_path / "run").exists()
    train_on_dataset(load_dataset(collection), encoder(), tmp_path / "run", negatives="in-batch", **told)
    assert read_json(tmp_path / "run" / "run.json")[name] == value


def test_scheme_is_the_old_name_of_negatives(collection: Path, tmp_path: Path) -> None:
    settings = TrainingSettings(steps=2, batch_size=2)
    with pytest.warns(FutureWarning, match="scheme.*negatives") as warned:
        train_on_dataset(load_dataset(collection), encoder(), tmp_path / "run", settings, scheme="random", passages=FirstP())
    assert warned[0].filename == __file__
    assert (tmp_path / "run" / "model").exists()


def test_settings_show_what_is_not_the_default() -> None:
    assert repr(TrainingSettings(steps=8, optimiser="lamb")) == "TrainingSettings(steps=8, optimiser='lamb')"
    assert repr(DenseTraining(passages=MaxP(4, 4), warm_up="bm25")) == "DenseTraining(passages=MaxP(4, 4), warm_up='bm25')"
    assert repr(DenseTraining()) == "DenseTraining()"
    assert repr(RerankerTraining(loss="hinge")) == "RerankerTraining(loss='hinge')"
