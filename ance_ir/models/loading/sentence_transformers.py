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
from ance_ir.models.loading.weight_files import read_value
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

LIBRARY_MODULE = Table(followed={**MODULE.followed, "kwargs": list[str]}, harmless=MODULE.harmless)
"""The same of a model that sentence-transformers computes."""

ROUTER = Table(followed={"types": dict[str, str], "structure": dict[str, list[str]], "parameters": dict[str, Any]})
"""``router_config.json`` of such a model."""

MODEL = Table(
    followed={**_PROMPTS, "truncate_dim": int},
    harmless=_LIBRARY,
    only={"similarity_fn_name": ("cosine", "dot"), "model_type": ("SentenceTransformer",)},
)
"""``config_sentence_transformers.json`` of an encoder."""

SPARSE_ENCODER = Table(
    followed={**_PROMPTS, "max_active_dims": int},
    harmless=_LIBRARY,
    only={"similarity_fn_name": ("dot",), "model_type": ("SparseEncoder",)},
)
"""``config_sentence_transformers.json`` of a sparse encoder."""

MULTI_VECTOR_ENCODER = Table(
    followed={
        **_PROMPTS,
        **dict.fromkeys(("query_prefix", "document_prefix"), str),
        **dict.fromkeys(("query_length", "document_length"), int),
        **dict.fromkeys(("do_query_expansion", "attend_to_expansion_tokens"), bool),
        "query_expansion": dict[str, Any],
        "skiplist_words": list[str],
    },
    harmless=_LIBRARY,
    only={
        "similarity_fn_name": ("maxsim", "MaxSim", "meanmaxsim", "cosine", "dot"),  # the last two compare tokens, which have length 1
        "model_type": ("MultiVectorEncoder", "ColBERT"),
    },
)
"""``config_sentence_transformers.json`` of a multi-vector encoder, PyLate's settings among them."""

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

LIBRARY_MODULES: Mapping[str, Table] = {
    name: Table(followed={**MODULES[name].followed, **dict.fromkeys(_IN_AND_OUT, str)}, harmless=MODULES[name].harmless)
    for name in ("Dense", "Normalize")
}
"""The same of a model that sentence-transformers computes, of the modules that pass over what they do not know."""


def read_modules(folder: Path, table: Table) -> list[dict[str, Any]]:
    """The entries of a folder's ``modules.json``.

    Args:
        folder: with that file.
        table: what may be in an entry.

    Raises:
        ModelError: it is something else, or an entry has a setting that is not understood.
    """
    path = folder / "modules.json"
    listed = read_value(path)
    if not isinstance(listed, list) or not all(
        isinstance(module, dict) and isinstance(module.get("type"), str) and isinstance(module.get("path"), str) for module in listed
    ):
        raise ModelError(f"{path}: expected a list of modules, each with type and path")
    for module in listed:
        table.check(path, module)
    return listed


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
