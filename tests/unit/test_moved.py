"""Public names that have moved still work, with a warning that names the new place."""

from __future__ import annotations

import importlib

import pytest

PACKAGES = ("ance_ir.eval", "ance_ir.indexes", "ance_ir.training", "ance_ir.workflows")
MOVED = {
    ("ance_ir.eval", "NearestName"): "ance_ir.pipelines",
    ("ance_ir.eval", "train_on_dataset"): "ance_ir.workflows",
    ("ance_ir.eval", "read_training_runs"): "ance_ir.workflows",
    ("ance_ir.eval", "means"): "ance_ir.eval:mean_values",
    ("ance_ir.eval", "candidates"): "ance_ir.eval:dataset_runs",
    ("ance_ir.indexes", "AnnMiner"): "ance_ir.indexes.mining",
    ("ance_ir.eval", "LEGEND"): "ance_ir.workflows:SUMMARY_LEGEND",
    ("ance_ir.training", "LossName"): "builtins:str",
    ("ance_ir.training", "WarmUp"): "ance_ir.training:TwoStageNegatives",
    ("ance_ir.training", "World"): "ance_ir.world",
    ("ance_ir.workflows", "read_dataset"): "ance_ir.workflows:evaluate_readers",
}


@pytest.mark.parametrize(("package", "name"), MOVED)
def test_the_old_name_warns_and_is_the_new_one(package: str, name: str) -> None:
    place, _, new = MOVED[package, name].partition(":")
    with pytest.warns(FutureWarning, match=f"{place}.{new or name}") as warned:
        old = getattr(importlib.import_module(package), name)
    assert old is getattr(importlib.import_module(place), new or name)
    assert warned[0].filename == __file__


@pytest.mark.parametrize("package", PACKAGES)
def test_a_name_that_never_was_is_refused(package: str) -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        importlib.import_module(package).no_such_name  # noqa: B018
