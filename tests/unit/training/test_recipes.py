"""``ance-ir train --recipe``: settings of published models, replaced and scaled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ance_ir.cli.train import command
from ance_ir.errors import UsageError
from ance_ir.models.text.settings import parse_settings
from ance_ir.registries import RECIPES
from ance_ir.workflows.recipes import read_recipe
from tests.command import Run
from tests.tiny import encoder

PUBLISHED: dict[str, dict[str, Any]] = {
    "ance-warm-up": {"queries": 32, "learning_rate": 2e-4, "warm_up_steps": 1000, "passage_length": 128, "clip": 1, "negatives": "dataset"},
    "ance-passage": {
        "queries": 64,
        "learning_rate": 1e-6,
        "warm_up_steps": 5000,
        "passage_length": 512,
        "clip": 1,
        "refresh_every": 10_000,
    },
    "ance-doc-firstp": {"queries": 64, "learning_rate": 5e-6, "warm_up_steps": 3000, "passage_length": 512, "refresh_every": 10_000},
    "ance-doc-maxp": {"queries": 128, "learning_rate": 1e-5, "warm_up_steps": 500, "passage_length": 512, "refresh_every": 10_000},
    "ance-openqa": {"queries": 128, "learning_rate": 1e-5, "warm_up_steps": 1000, "passage_length": 256, "clip": 2, "refresh_every": 1000},
    "dpr": {"queries": 128, "learning_rate": 2e-5, "warm_up_steps": 1237, "passage_length": 256, "clip": 2, "optimiser": "adamw"},
}
"""What the paper and the code of the models say; of queries how many a step has."""


def parsed(*arguments: Any) -> dict[str, Any]:
    """The values of the command's options."""
    given = ["--dataset", "x", "--out", "y", *map(str, arguments)]
    return command.make_context("train", given).params


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_sets_the_commands_options(name: str) -> None:
    recipe = read_recipe(name)
    assert recipe.describes == RECIPES.summary(name) and recipe.source and recipe.options.keys() == recipe.sources.keys()
    known = {option for parameter in command.params for option in parameter.opts}
    assert {f"--{option}" for option in (*recipe.options, *recipe.requires)} <= known
    assert all(recipe.sources.values()) and all(recipe.requires.values())
    assert ("model" in recipe.options) != ("model" in recipe.requires)
    parse_settings(recipe.options.get("text", ()))
    values = parsed("--recipe", name)
    found = {option: values[option.replace("-", "_")] for option in recipe.options if option != "text"}
    assert found == {option: value for option, value in recipe.options.items() if option != "text"}


@pytest.mark.parametrize("name", RECIPES)
def test_the_values_are_the_published_ones(name: str) -> None:
    values, expected = parsed("--recipe", name), PUBLISHED[name].copy()
    assert values["batch_size"] * values["accumulation"] == expected.pop("queries")
    assert {option: values[option] for option in expected} == expected
    if name.startswith("ance"):
        assert values["optimiser"] == "lamb" and values["loss"] == "pairwise-nll" and values["temperature"] == 1
        assert values["negatives"] == "dataset" or (values["negatives"], values["depth"]) == ("ance", 200)
    assert values["schedule"] == "linear" and values["negatives_per_query"] == 1


def test_options_that_are_given_replace_those_of_a_recipe() -> None:
    values = parsed("--recipe", "ance-passage", "--learning-rate", 3e-6, "--optimiser", "adamw")
    assert (values["learning_rate"], values["optimiser"], values["warm_up_steps"]) == (3e-6, "adamw", 5000)


def test_a_trial_of_a_recipe(collection: Path, tmp_path: Path, run: Run) -> None:
    encoder(head=8).save(tmp_path / "tiny")
    start = ["train", "--dataset", collection, "--recipe", "ance-doc-firstp", "--out", tmp_path / "run"]
    more = ["--model", tmp_path / "tiny", "--scale", "1/250000", "--batch-size", 4, "--passage-length", 32, "--query-length", 16]
    status, out, err = run(*start, *more, "--text", "lower_case=no")
    assert status == 0, err
    assert "recipe ance-doc-firstp, from https://github.com/microsoft/ANCE" in out
    assert "given here: --model, --batch-size, --query-length, --passage-length, --text" in out
    manifest = json.loads((tmp_path / "run" / "run.json").read_text())
    wanted = {"steps": 4, "warm_up_steps": 0, "refresh_every": 1, "batch_size": 4, "accumulation": 2, "optimiser": "lamb"}
    assert manifest["settings"].items() >= {**wanted, "learning_rate": 5e-6}.items()
    text = json.loads((tmp_path / "run" / "model" / "ance_ir.json").read_text())["text"]
    assert (text["fields"], text["separator"], text["lower_case"]) == (["url", "title", "text"], "<sep>", False)


def test_initial_negatives_end_with_the_same_refresh_in_a_trial(collection: Path, tmp_path: Path, run: Run) -> None:
    encoder().save(tmp_path / "tiny")
    options = ["--steps", 400, "--refresh-every", 100, "--warm-up", "random", "--warm-up-until", 200, "--warm-up-steps", 40]
    command = ["train", "--dataset", collection, "--model", tmp_path / "tiny", "--batch-size", 4, *options]
    status, _, err = run(*command, "--scale", "0.01", "--out", tmp_path / "run")
    assert status == 0, err
    manifest = json.loads((tmp_path / "run" / "run.json").read_text())
    assert manifest["settings"].items() >= {"steps": 4, "refresh_every": 1, "warm_up_steps": 0}.items()
    assert manifest["negatives"]["until"] == 2


def test_what_a_recipe_needs(collection: Path, tmp_path: Path, run: Run) -> None:
    start = ["train", "--dataset", collection, "--out", tmp_path / "run"]
    for name in ("ance-passage", "ance-doc-maxp"):
        status, _, err = run(*start, "--recipe", name)
        assert status == 2 and f"{name} needs --model" in err
    status, _, err = run(*start, "--recipe", "ance")
    assert status == 2 and "ance-passage" in err
    for scale in ("0", "2", "a", "1/0", "-1/2"):
        status, _, err = run(*start, "--recipe", "dpr", "--scale", scale)
        assert status == 2 and repr(scale) in err
    assert not (tmp_path / "run").exists()


def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.toml"
    path.write_text('describes = "x"\nsource = "y"\n[options]\nsteps = 3\n', encoding="utf-8")
    monkeypatch.setattr(RECIPES, "find", lambda name: path)
    with pytest.raises(UsageError, match=r"x\.toml.*steps"):
        read_recipe("x")


@pytest.mark.parametrize("name", RECIPES)
def test_the_documentation_has_each_recipe(name: str) -> None:
    values = parsed("--recipe", name)
    rows = [line for line in Path("docs/training.md").read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    (row,) = [row for row in rows if row.startswith(f"| `{name}`")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:] == [
        f"{values['batch_size']} × {values['accumulation']}",
        f"{values['learning_rate']:.0e}".replace("e-0", "e-"),
        f"{values['warm_up_steps']:,}",
        f"{values['query_length']}, {values['passage_length']}",
        f"{values['refresh_every']:,}",
        f"{values['clip']:g}",
        f"{values['steps']:,}",
    ]
