"""The settings in the files of sentence-transformers folders: those that are followed, that change nothing, and that are refused.

A setting that is in none of the tables is refused by name, since it may change vectors or scores. The tables know those of
sentence-transformers 6.2 and of the versions before it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ance_ir.errors import ModelError
from ance_ir.notices import examples
from ance_ir.typed_json import type_fault

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Table:
    """The settings of one file.

    Attributes:
        followed: names whose value is used, and its type.
        harmless: names that change no vector.
        only: names, and the values that are understood; ``None``, ``""``, ``{}`` and ``[]`` always are.
    """

    followed: Mapping[str, Any] = field(default_factory=dict)
    harmless: frozenset[str] = frozenset()
    only: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def check(self, path: Path, settings: Mapping[str, Any]) -> None:
        """Refuse what is not understood.

        Raises:
            ModelError: names the setting, its value, and the file.
        """
        for name, value in settings.items():
            if name in self.harmless or value in (None, "", {}, []):
                continue
            if name in self.followed:
                if fault := type_fault(value, self.followed[name], name):
                    raise ModelError(f"{path}: {fault}")
                continue
            if value not in self.only.get(name, ()):
                known = f"only {', '.join(map(repr, self.only[name])) or 'nothing'} is" if name in self.only else "it is not"
                raise ModelError(
                    f"{path}: the setting {name!r} is {str(value)[:80]!r}; {known} understood, and it may change what the model computes. "
                    "Take it out of the file if it does not matter"
                )


_LIBRARY = frozenset({"__version__", "requirements"})
_ARGUMENTS = ("model_args", "model_kwargs", "tokenizer_args", "processor_kwargs", "config_args", "config_kwargs")
_MODALITIES = ({"text": {"method": "forward", "method_output_name": "last_hidden_state"}},)
_LOGITS = ({"text": {"method": "forward", "method_output_name": "logits"}},)
_IN_AND_OUT = {"module_input_name": ("sentence_embedding",), "module_output_name": ("sentence_embedding",)}
_POOLINGS = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")

_PROMPTS = {"prompts": dict[str, str | None], "default_prompt_name": str}
_TEXTS = {"max_seq_length": int, "do_lower_case": bool}

MODULE = Table(followed={"type": str, "path": str}, harmless=frozenset({"idx", "name"}), only={"kwargs": ()})
"""An entry of ``modules.json``."""

MODEL = Table(
    followed={**_PROMPTS, "truncate_dim": int},
    harmless=_LIBRARY,
    only={"similarity_fn_name": ("cosine", "dot"), "model_type": ("SentenceTransformer",)},
)
"""``config_sentence_transformers.json`` of an encoder."""

CROSS_ENCODER = Table(
    followed={**_PROMPTS, "activation_fn": str},
    harmless=_LIBRARY | {"keep_in_fp32_modules"},
    only={"model_type": ("CrossEncoder",)},
)
"""``config_sentence_transformers.json`` of a cross-encoder."""

CROSS_ENCODER_IN_CONFIG = Table(followed={"activation_fn": str}, harmless=frozenset({"version"}))
"""``sentence_transformers`` in a cross-encoder's ``config.json``."""

TRANSFORMER = Table(
    followed={**_TEXTS, "query_length": int, "document_length": int},
    harmless=frozenset({"unpad_inputs", "cache_dir"}),
    only={
        "transformer_task": ("feature-extraction",),
        "modality_config": _MODALITIES,
        "module_output_name": ("token_embeddings",),
        "query_expansion": (),
        "processing_kwargs": (),
        "tokenizer_name_or_path": (),
        **dict.fromkeys(_ARGUMENTS, ({"add_pooling_layer": False}, {"add_pooling_layer": True}, {"trust_remote_code": False})),
    },
)
"""``sentence_bert_config.json`` of an encoder, and the older names of that file."""

CROSS_TRANSFORMER = Table(
    followed=_TEXTS,
    harmless=TRANSFORMER.harmless,
    only={
        **TRANSFORMER.only,
        "transformer_task": ("sequence-classification",),
        "modality_config": _LOGITS,
        "module_output_name": ("scores",),
        "query_length": (),
        "document_length": (),
    },
)
"""``sentence_bert_config.json`` of a cross-encoder."""

_MESSAGES = tuple(
    {**modalities, "message": {**_LOGITS[0]["text"], "format": form}} for modalities in (*_LOGITS, {}) for form in ("flat", "structured")
)

CAUSAL_TRANSFORMER = Table(
    followed={**_TEXTS, "processing_kwargs": dict[str, Any]},
    harmless=TRANSFORMER.harmless,
    only={
        **{name: values for name, values in CROSS_TRANSFORMER.only.items() if name != "processing_kwargs"},
        "transformer_task": ("text-generation",),
        "modality_config": (*_LOGITS, *_MESSAGES),
        "module_output_name": ("causal_logits",),
    },
)
"""``sentence_bert_config.json`` of a cross-encoder that is a language model."""

PROCESSING = Table(followed={"chat_template": dict[str, Any]})
"""``processing_kwargs`` in it."""

LOGIT_SCORE = Table(followed={"true_token_id": int, "false_token_id": int}, only={"module_input_name": ("causal_logits",)})
"""``config.json`` of the module that makes its scores."""

MODULES: Mapping[str, Table] = {
    "Pooling": Table(
        followed={"pooling_mode": str | list[str], **{f"pooling_mode_{mode}": bool for mode in _POOLINGS}},
        harmless=frozenset({"word_embedding_dimension", "embedding_dimension"}),
        only={"include_prompt": (True,)},
    ),
    "Dense": Table(
        followed={"bias": bool, "activation_function": str, "use_residual": bool},
        harmless=frozenset({"in_features", "out_features"}),
        only=_IN_AND_OUT,
    ),
    "Dropout": Table(harmless=frozenset({"dropout"})),
    "LayerNorm": Table(harmless=frozenset({"dimension"})),
    "Normalize": Table(only=_IN_AND_OUT),
}
"""``config.json`` of a module, by its class."""


def prompts_of(path: Path, settings: Mapping[str, Any]) -> tuple[dict[str, str], str]:
    """The prompts in a ``config_sentence_transformers.json`` by their names, and the one that is put before texts of no other prompt.

    Args:
        path: of the file, for messages.
        settings: in it, checked.

    Raises:
        ModelError: the default one is not there.
    """
    prompts: dict[str, str] = {name: prompt or "" for name, prompt in (settings.get("prompts") or {}).items()}
    usual = settings.get("default_prompt_name") or None
    if usual is not None and usual not in prompts:
        raise ModelError(f"{path}: default_prompt_name is {usual!r}, and the prompts are {', '.join(map(repr, prompts)) or 'none'}")
    return prompts, prompts[usual] if usual is not None else ""


def warn_of_unused(where: Path | str, prompts: Mapping[str, str], setting: str) -> None:
    """Warn that no text gets one of the prompts, if there are any.

    Args:
        where: a file or model, for the message.
        prompts: by their names.
        setting: what to set, and the value for a prompt's name, with ``{}`` in its place.
    """
    names = [name for name, prompt in prompts.items() if prompt]
    if names:
        message = "%s: no text gets a prompt: the prompts of %s are for tasks that are chosen by name; %s sets one"
        logger.warning(message, where, examples(names), setting.format(names[0], prompt=prompts[names[0]]))
