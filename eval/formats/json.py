"""All figures in JSON, with intervals and comparisons."""

from __future__ import annotations

import json

from ance_ir.eval.grid import Tabular


def to_json(evaluation: Tabular) -> str:
    """An indented object."""
    return json.dumps(evaluation.to_json(), indent=2, ensure_ascii=False)


FORM = to_json
