"""Every entry of training's registries says in a line what it is, and offers what its registry promises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ance_ir import registries
from ance_ir.registry import Registry
from ance_ir.training import DISTILLATIONS, LOSSES, NEGATIVES, OPTIMISERS, SCHEDULES, NegativeSource, TrainingQueries

ENTRIES = [(registry, name) for registry in (DISTILLATIONS, LOSSES, NEGATIVES, OPTIMISERS, SCHEDULES) for name in registry]


@pytest.mark.parametrize(("registry", "name"), ENTRIES, ids=lambda value: value if isinstance(value, str) else value.kind)
def test_every_entry_has_a_summary_and_a_function(registry: Registry[Any], name: str) -> None:
    assert 5 < len(registry.summary(name)) < 110
    assert callable(registry[name])


@pytest.mark.parametrize("name", registries.NEGATIVES)
def test_every_source_is_made_for_queries(queries: TrainingQueries, name: str) -> None:
    source = NEGATIVES[name](queries, "uniform", 1.0)
    assert isinstance(source, NegativeSource)
    assert source.name == name
    if not source.mines:
        drawn = source.draw(np.arange(len(queries)), 2, np.random.default_rng(1))
        assert drawn.shape == (len(queries), 2 if source.draws else 0)
        assert not any(np.isin(row, excluded).any() for row, excluded in zip(drawn, queries.excluded, strict=True))


@pytest.mark.parametrize("name", registries.SCHEDULES)
def test_every_schedule_begins_at_the_peak_and_never_rises(name: str) -> None:
    factors = [SCHEDULES[name](left) for left in np.linspace(1, 0, 50).tolist()]
    assert factors[0] == 1
    assert factors == sorted(factors, reverse=True)
    assert factors[-1] >= 0


@pytest.mark.parametrize("name", registries.OPTIMISERS)
def test_every_optimiser_goes_downhill(name: str) -> None:
    for needing, package in (("lamb", "pytorch_optimizer"), ("adamw8bit", "bitsandbytes")):
        if name == needing:
            pytest.importorskip(package)
    weights = torch.nn.Parameter(torch.ones(3, 3))
    optimiser = OPTIMISERS[name]([{"params": [weights], "weight_decay": 0.0}], 0.1)
    weights.square().sum().backward()
    optimiser.step()
    assert weights.square().sum() < 9
