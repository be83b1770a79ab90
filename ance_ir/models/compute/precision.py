"""The precisions that models compute in."""

from __future__ import annotations

from typing import Literal

Precision = Literal["float32", "bfloat16", "int8"]
