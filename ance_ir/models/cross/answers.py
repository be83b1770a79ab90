"""Language models that score a pair by the token that they would write next: "yes" or "no".

Shapes: B pairs, L tokens, H dimensions, C answers (the relevant one first).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ance_ir.errors import ModelError, UsageError


class AnswerLogits(nn.Linear):
    """An output layer that computes, in float32, the logits of some tokens at one position of each sequence, and no others."""

    tokens: list[int]
    positions_B: Tensor | None

    def forward(self, input: Tensor) -> Tensor:
        """Logits, float32 ``[B, 1, C]``, of hidden states ``[B, L, H]``."""
        hidden_BLH = input
        if self.positions_B is not None:
            hidden_BLH = hidden_BLH.gather(1, self.positions_B[:, None, None].expand(-1, 1, hidden_BLH.shape[2]))
        bias = None if self.bias is None else self.bias[self.tokens].float()
        with torch.autocast(hidden_BLH.device.type, enabled=False):
            return nn.functional.linear(hidden_BLH.float(), self.weight[self.tokens].float(), bias)


def keep_answers_alone(model: PreTrainedModel) -> None:
    """Have a language model's output layer compute the logits of answers alone; its weights and their names stay.

    Raises:
        ModelError: the model has no output layer that is linear.
    """
    layer = model.get_output_embeddings()
    if type(layer) is nn.Linear:
        layer.__class__ = AnswerLogits
    if not isinstance(layer, AnswerLogits):
        raise ModelError(f"{type(model).__name__} has no linear output layer, so its answers cannot be scored")


def answer_log_odds(model: PreTrainedModel, tokens: list[int], positions_B: Tensor | None, **inputs: Tensor) -> Tensor:
    """The logit of the first token less that of the second, if there are two, float32 ``[B]``.

    Args:
        model: a language model after ``keep_answers_alone``; its own code changes the logits after the output layer, if it does.
        tokens: ids of one token or two.
        positions_B: of each sequence the position after which the answer comes, int64; ``None`` where there is one alone.
        inputs: the model's.
    """
    layer = model.get_output_embeddings()
    assert isinstance(layer, AnswerLogits)
    layer.tokens, layer.positions_B = tokens, positions_B
    logits_BC: Tensor = model(**inputs, use_cache=False).logits[:, 0].float()
    return logits_BC[:, 0] if len(tokens) == 1 else logits_BC[:, 0] - logits_BC[:, 1]


def answer_tokens(tokenizer: PreTrainedTokenizerBase, answers: tuple[str, ...]) -> list[int]:
    """Ids of answers.

    Raises:
        UsageError: one is no token of the vocabulary, or there is none.
    """
    if not answers:
        raise UsageError("a language model is a reranker by its answers, such as answers=('yes', 'no'); it has none")
    ids = [_id(tokenizer, answer) for answer in answers]
    for answer, found in zip(answers, ids, strict=True):
        if found is None:
            near = [token for token in ("▁" + answer, "Ġ" + answer) if _id(tokenizer, token) is not None]
            hint = f"; {' and '.join(map(repr, near))} is one" if near else ""
            raise UsageError(f"the answer {answer!r} is no token of {tokenizer.name_or_path or 'the tokeniser'}{hint}")
    return [found for found in ids if found is not None]


def _id(tokenizer: PreTrainedTokenizerBase, token: str) -> int | None:
    found = tokenizer.convert_tokens_to_ids(token)
    if not isinstance(found, int) or (found == tokenizer.unk_token_id and token != tokenizer.unk_token):
        return None
    return found


def facts(answers: tuple[str, ...]) -> dict[str, str]:
    """Properties, as text."""
    return {"logits": f"of the next token: {' against '.join(map(repr, answers))}"}
