"""Each test runs on the CPU too, wherever that says something, so that it is known to run before there is a GPU."""

from __future__ import annotations

import pytest
import torch

from tests.unit.training.conftest import collection, dataset, queries

__all__ = ["collection", "dataset", "device", "queries"]


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> torch.device:
    return torch.device(request.param)
