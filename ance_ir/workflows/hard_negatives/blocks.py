"""What is mined for a block of queries, and the folder in which finished blocks wait until all are written.

Shapes: B queries, N negatives of each, R positives of all of them.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from ance_ir.errors import TrainingError, UsageError
from ance_ir.files import atomic_open, remove_leftovers
from ance_ir.indexes.mining.filters import FILTERS
from ance_ir.locks import held_lock
from ance_ir.training.run.manifest import write_or_compare_manifest

COUNTS = ("excluded", "skip", "considered", *FILTERS)
"""What is counted: excluded documents in the rankings, those before the window, those in it, and what each filter took of these."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Block:
    """What is mined for B queries.

    Attributes:
        drawn_BN: document numbers, int64, best first; −1 after the last.
        scores_BN: their scores, float32; −∞ after the last.
        positive_R: the scores of the queries' positives, one query after the other, float32; NaN for those that have none.
        counts: of ``COUNTS``, int64.
    """

    drawn_BN: np.ndarray
    scores_BN: np.ndarray
    positive_R: np.ndarray
    counts: np.ndarray


class Blocks:
    """Finished blocks in a folder.

    Args:
        folder: need not exist; ``None``: nothing is kept.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    @contextlib.contextmanager
    def claimed(self, settings: Mapping[str, Any]) -> Iterator[None]:
        """Hold the folder for this process, for a mining with these settings.

        Raises:
            UsageError: another process mines there.
            TrainingError: the blocks there are of other settings.
        """
        if self.folder is None:
            yield
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with held_lock(self.folder / "lock") as ours:
            if not ours:
                raise UsageError(f"{self.folder}: another process is mining there; wait for it, or choose another name")
            remove_leftovers(self.folder)
            remedy = "finish it with these, or remove that folder"
            write_or_compare_manifest(self.folder / "mining.json", settings, what="an unfinished mining", remedy=remedy)
            yield

    def find(self, number: int, make: Callable[[], Block]) -> Block:
        """A block: as it was kept, or made and kept.

        Raises:
            TrainingError: a file is damaged.
        """
        if self.folder is None:
            return make()
        path = self.folder / f"block-{number:06d}.npz"
        if path.exists():
            try:
                with np.load(path, allow_pickle=False) as arrays:
                    return Block(**{field.name: arrays[field.name] for field in fields(Block)})
            except Exception as error:  # numpy parses headers as Python, so damaged bytes can raise anything
                raise TrainingError(f"{path} is damaged ({error}); remove it, and its queries are mined again") from error
        block = make()
        with atomic_open(path, "wb") as stream:
            np.savez(stream, **{field.name: getattr(block, field.name) for field in fields(Block)})
        return block

    def kept(self, number: int) -> bool:
        """Whether a block is kept."""
        return self.folder is not None and (self.folder / f"block-{number:06d}.npz").exists()

    @property
    def begun(self) -> bool:
        """Whether any block is kept."""
        return self.folder is not None and any(self.folder.glob("block-*.npz"))

    def remove(self) -> None:
        """Remove the folder."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
