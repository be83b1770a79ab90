"""``ance-ir`` of which one process fails in its third step; started by torchrun."""

from __future__ import annotations

import os
from typing import Any

from ance_ir.cli.main import main
from ance_ir.errors import TrainingError
from ance_ir.training import DenseObjective

backward, steps = DenseObjective.backward, [0]


def failing(self: DenseObjective, *arguments: Any) -> tuple[float, int]:
    steps[0] += 1
    if os.environ["RANK"] == "1" and steps[0] == 3:
        raise TrainingError("the second process fails here")
    return backward(self, *arguments)


DenseObjective.backward = failing  # type: ignore[method-assign]
raise SystemExit(main())
