"""Which negatives each step of a run used, on disk, so that a resumed run repeats its steps with the negatives that it had."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from ance_ir.errors import TrainingError
from ance_ir.files import write_json
from ance_ir.typed_json import read_typed


class _Switches(TypedDict):
    reached: int
    mined_at: dict[str, int]


class Switches:
    """From which step on the negatives of which model were used, and the last step that was ever reached; in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mined_at: dict[int, int] = {}
        self.reached = -1
        """The last step whose negatives are decided; −1 before the first."""
        if path.exists():
            kept = read_typed(path, _Switches, error=TrainingError, remedy="restore it, or choose another folder")
            try:
                self._mined_at = {int(step): mined_at for step, mined_at in kept["mined_at"].items()}
            except ValueError as error:
                raise TrainingError(f"{path}: expected the number of a step ({error}); restore it, or choose another folder") from error
            self.reached = kept["reached"]

    def at(self, step: int) -> int | None:
        """The step of the model whose negatives came into use at a step; ``None`` if none did."""
        return self._mined_at.get(step)

    def before(self, step: int) -> int | None:
        """The step of the model whose negatives were in use before a step."""
        earlier = [changed for changed in self._mined_at if changed < step]
        return self._mined_at[max(earlier)] if earlier else None

    def reach(self, step: int) -> None:
        """Mark all steps up to ``step`` as decided."""
        if step > self.reached:
            self.reached = step
            self._write()

    def add(self, step: int, mined_at: int) -> None:
        """Record a change; it is on disk when this returns."""
        self._mined_at[step] = mined_at
        self.reached = max(self.reached, step)
        self._write()

    def _write(self) -> None:
        write_json(self._path, {"reached": self.reached, "mined_at": self._mined_at})
