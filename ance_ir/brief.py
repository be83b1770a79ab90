"""Representations of settings in one line."""

from __future__ import annotations

import dataclasses
from typing import Any


class Brief:
    """A dataclass (with ``repr=False``) whose ``repr`` shows the fields that differ from their defaults."""

    def __repr__(self) -> str:
        shown = []
        fields: Any = dataclasses.fields(self)  # type: ignore[arg-type]
        for field in fields:
            made = field.default_factory is not dataclasses.MISSING
            default, value = field.default_factory() if made else field.default, getattr(self, field.name)
            if value != default:
                shown.append(f"{field.name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"
