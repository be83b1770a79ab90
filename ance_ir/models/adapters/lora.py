"""What a new adapter is to be."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from ance_ir.errors import UsageError

ALL_LINEAR = "all-linear"
"""Instead of names: all linear layers of the backbone."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lora:
    """A new adapter (Hu et al. 2022): beside a weight W, alpha/r · B A, of which B begins at 0.

    Attributes:
        r: rows of A, and columns of B.
        alpha: see above.
        targets: the ends of the names of the linear layers that get one, ``("q_proj", "v_proj")``, or all of the backbone's.
        dropout: before A, while training.
    """

    r: int = 16
    alpha: int = 32
    targets: tuple[str, ...] = (ALL_LINEAR,)
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.r < 1 or self.alpha < 1:
            raise UsageError(f"r and alpha of an adapter are at least 1, not {self.r} and {self.alpha}")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"an adapter's dropout is at least 0 and below 1, not {self.dropout}")
        if not self.targets or "" in self.targets:
            raise UsageError(f"an adapter's targets are {ALL_LINEAR} or names of layers such as q_proj+v_proj")
        if ALL_LINEAR in self.targets and len(self.targets) > 1:
            raise UsageError(f"{ALL_LINEAR} stands alone: it has all of {'+'.join(self.targets)}")

    @classmethod
    def parse(cls, text: str) -> Lora:
        """From ``r=16,alpha=32,targets=q_proj+v_proj``; what is left out has its default.

        Raises:
            UsageError: there is no such setting, or it cannot have that value.
        """
        values: dict[str, Any] = {}
        for part in text.split(","):
            name, equals, value = part.strip().partition("=")
            known = [field.name for field in dataclasses.fields(cls)]
            number = re.fullmatch(r"\d{1,6}" if name in ("r", "alpha") else r"(\d*\.)?\d+", value)
            if not equals or name not in known or name in values or (name != "targets" and not number):
                raise UsageError(f"an adapter is such as r=16,alpha=32,targets={ALL_LINEAR}, with {', '.join(known)}, not {part.strip()!r}")
            values[name] = tuple(value.split("+")) if name == "targets" else float(value) if name == "dropout" else int(value)
        return cls(**values)
