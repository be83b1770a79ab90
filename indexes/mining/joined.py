"""Mining for training queries of several corpora: each corpus is encoded and searched with its own queries alone.

A refresh has a folder ``corpus-N`` for each corpus, which holds what ``AnnMiner`` leaves; the numbers of documents are those within the
corpus there, and those over all corpora in what is published.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ance_ir.indexes.mining.ann_miner import AnnMiner
from ance_ir.indexes.mining.candidates import without_candidates
from ance_ir.models import DenseEncoder
from ance_ir.training import MinedNegatives

_SUMS = ("encode_seconds", "build_seconds", "search_seconds", "mine_seconds", "queries_without_candidates", "documents_encoded")
_MEANS = ("candidates", "suspected_false_negatives", "mean_negative_score", "overlap_with_previous", "recall_of_exact")


class JoinedMiner:
    """Mines with the miner of each corpus in turn, and publishes what they found as one.

    Args:
        miners: of the corpora, with the same settings.
        rows: for each the numbers of its queries among all, int64.
        firsts: for each the number of its first document among all.
    """

    def __init__(self, miners: Sequence[AnnMiner], rows: Sequence[np.ndarray], firsts: Sequence[int]) -> None:
        self._miners = miners
        self._rows = rows
        self._firsts = firsts
        self.settings: Mapping[str, Any] = miners[0].settings
        self.evaluates = any(miner.evaluates for miner in miners)

    def help(self, model: DenseEncoder, folder: Path) -> None:
        """Encode parts of each corpus; see ``Miner.help``."""
        for number, miner in enumerate(self._miners):
            miner.help(model, _of_corpus(folder, number))

    def mine(self, model: DenseEncoder, folder: Path, step: int, previous: MinedNegatives | None) -> None:
        """Encode, search and publish; see ``Miner.mine``."""
        if MinedNegatives.available(folder):
            return
        found = []
        for number, miner in enumerate(self._miners):
            own = _of_corpus(folder, number)
            miner.mine(model, own, step, None if previous is None else self._part(previous, number))
            found.append(MinedNegatives.read(own))
        self._joined(found, folder).publish(folder)
        if not self.settings["keep_indexes"]:
            for old in folder.parent.glob("step-*/corpus-*"):
                if old.parent != folder:
                    shutil.rmtree(old, ignore_errors=True)

    def measure(self, model: DenseEncoder, folder: Path, *, leads: bool) -> Mapping[str, float]:
        """Encode the corpus of the dev queries, and evaluate; see ``Miner.measure``."""
        number, miner = next((number, miner) for number, miner in enumerate(self._miners) if miner.evaluates)
        return miner.measure(model, _of_corpus(folder, number), leads=leads)

    def _part(self, mined: MinedNegatives, number: int) -> MinedNegatives:
        """What was mined for the queries of a corpus, in its own numbers."""
        candidates_QK = np.asarray(mined.candidates_QK[self._rows[number]])
        candidates_QK = np.where(candidates_QK < 0, -1, candidates_QK - self._firsts[number])
        return replace(mined, candidates_QK=candidates_QK, scores_QK=np.asarray(mined.scores_QK[self._rows[number]]))

    def _joined(self, parts: Sequence[MinedNegatives], folder: Path) -> MinedNegatives:
        total, depth = sum(map(len, self._rows)), max(part.candidates_QK.shape[1] for part in parts)
        candidates_QK, scores_QK = without_candidates(folder, total, depth)
        tops = []
        for part, rows, first in zip(parts, self._rows, self._firsts, strict=True):
            width = part.candidates_QK.shape[1]
            candidates_QK[rows, :width] = np.where(part.candidates_QK < 0, -1, part.candidates_QK + first)
            scores_QK[rows, :width] = part.scores_QK
            tops.append(np.where(part.top_SN < 0, -1, part.top_SN + first).astype(np.int32))
        return MinedNegatives(
            candidates_QK=candidates_QK,
            scores_QK=scores_QK,
            top_SN=np.concatenate(tops),
            sample_S=np.concatenate([rows[part.sample_S] for part, rows in zip(parts, self._rows, strict=True)]),
            report=_report([part.report for part in parts], [len(rows) for rows in self._rows]),
        )


def _of_corpus(folder: Path, number: int) -> Path:
    return folder / f"corpus-{number}"


def _report(reports: Sequence[Mapping[str, Any]], queries: Sequence[int]) -> dict[str, Any]:
    """Figures over all corpora: sums, means over queries, and the dev measures of the corpus that has them."""
    joined: dict[str, Any] = {}
    for name in dict.fromkeys(name for report in reports for name in report):
        known = [(report[name], count) for report, count in zip(reports, queries, strict=True) if report.get(name) is not None]
        if name in _SUMS:
            joined[name] = round(sum(value for value, _ in known), 2)
        elif name in _MEANS:
            joined[name] = round(sum(value * count for value, count in known) / sum(count for _, count in known), 4) if known else None
        else:
            joined[name] = known[0][0] if known else None
    return joined
