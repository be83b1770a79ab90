"""What sentence-transformers' cross-encoders make of logits: its activation functions, and the scores that they give here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ance_ir.errors import ModelError
from ance_ir.models.cross.pairs import Score

ACTIVATIONS: dict[Score, str] = {
    "logit": "torch.nn.modules.linear.Identity",
    "probability": "torch.nn.modules.activation.Sigmoid",
    "log-probability": "torch.nn.modules.activation.LogSigmoid",
}
"""sentence-transformers' activation functions of one logit, by the scores that they make."""


_SCORES: dict[tuple[str, int], Score] = {
    ("Identity", 1): "logit",
    ("Identity", 2): "logit",
    ("Sigmoid", 1): "probability",
    ("Softmax", 2): "probability",
    ("LogSigmoid", 1): "log-probability",
    ("LogSoftmax", 2): "log-probability",
}
"""What sentence-transformers' activation functions make of one logit and of two."""


def score_of(path: Any, logits: int, folder: Path) -> Score:
    """What an activation function of sentence-transformers makes of logits; the logit where there is none.

    Raises:
        ModelError: it is none that is known.
    """
    if path is None:
        return "logit"
    name = str(path).rsplit(".", 1)[-1]
    score = _SCORES.get((name, logits))
    if score is None and logits in (1, 2):
        raise ModelError(
            f"{folder}: the activation function {path} over {logits} logits is none of Identity, Sigmoid (of one logit) and "
            "Softmax (of two); score='logit' opens the checkpoint without it"
        )
    return score or "logit"
