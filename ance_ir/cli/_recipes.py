"""``--recipe`` and ``--scale``: the settings of published models, and a trial of them."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ance_ir.cli._options import F, with_options
from ance_ir.registries import RECIPES

if TYPE_CHECKING:
    from ance_ir.workflows.recipes import Recipe

_TEXT = "text"
"""The option of which a recipe's values stand before those that are given, and not in their place."""


def recipe_options(command: F) -> F:
    """``--recipe``, whose values are the defaults of the command's other options, and ``--scale``, which changes their values."""
    return with_options(
        command,
        click.option(
            "--recipe",
            type=click.Choice(list(RECIPES)),
            is_eager=True,  # so that the other options have its values for defaults
            callback=_read,
            help="Settings with which a published model was trained; see above. Options that are given as well replace them.",
        ),
        scale_option,
    )


def scale_option(command: F) -> F:
    """``--scale``."""
    return click.option(
        "--scale",
        metavar="1/N",
        callback=lambda ctx, param, value: value and _scale(value),
        help="Multiply all numbers of steps by this, for a trial: --steps, --warm-up-steps, --refresh-every, …",
    )(command)


def _read(ctx: click.Context, param: click.Parameter, value: str | None) -> Recipe | None:
    if value is None:
        return None
    from ance_ir.workflows.recipes import read_recipe

    recipe = read_recipe(value)
    options = {name.replace("-", "_"): given for name, given in recipe.options.items() if name != _TEXT}
    ctx.default_map = {**(ctx.default_map or {}), **options}
    return recipe


def _scale(text: str) -> Fraction:
    try:
        scale = Fraction(text)
    except (ValueError, ZeroDivisionError):
        scale = Fraction(0)
    if not 0 < scale <= 1:
        raise click.UsageError(f"--scale is above 0 and at most 1, such as 1/1000 or 0.01, not {text!r}")
    return scale


def completed(recipe: Recipe, text: tuple[str, ...]) -> tuple[str, ...]:
    """Text settings of a recipe, followed by those that were given, which replace them.

    Raises:
        UsageError: an option is missing that the recipe has no value for.
    """
    source = click.get_current_context().get_parameter_source
    for name, reason in recipe.requires.items():
        if source(name.replace("-", "_")) is ParameterSource.DEFAULT:
            raise click.UsageError(f"--recipe {recipe.name} needs --{name}: {reason}")
    return (*recipe.options.get(_TEXT, ()), *text)


def announcement(recipe: Recipe) -> str:
    """What is trained by, and which of its values were replaced."""
    source = click.get_current_context().get_parameter_source
    replaced = [f"--{name}" for name in recipe.options if source(name.replace("-", "_")) is ParameterSource.COMMANDLINE]
    changed = f"; given here: {', '.join(replaced)}" if replaced else ""
    return f"recipe {recipe.name}, from {recipe.source}{changed}"


def scaled(options: dict[str, Any], scale: Fraction) -> None:
    """Multiply the numbers of steps among options; what has to be at least 1 stays so, and initial negatives end with the same refresh."""
    every = options["refresh_every"]
    for name in ("steps", "warm_up_steps", "refresh_every", "checkpoint_every"):
        if options[name] is not None:
            options[name] = max(int(name != "warm_up_steps"), round(options[name] * scale))
    if options["warm_up_until"] is not None:
        options["warm_up_until"] = round(Fraction(options["warm_up_until"], every) * options["refresh_every"])
