"""Models of sentence-transformers: how they are opened, and what identifies them."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ance_ir.device_memory import BatchSize
from ance_ir.digests import digest_of
from ance_ir.errors import AnceError, MissingDependencyError, ModelError
from ance_ir.models.compute.device import find_device
from ance_ir.models.library.folder import check_settings, fill
from ance_ir.models.loading.family import Family
from ance_ir.models.loading.hashing import hash_weights, while_unchanged
from ance_ir.models.loading.source import absolute, expanded
from ance_ir.models.loading.weights import reading
from ance_ir.optional import optional

_PACKAGE = "sentence-transformers"

_LEARNED = ("embedding_dimension",)
"""Settings that a module may find out from the first text, and that follow from the weights."""


class Wrapped:
    """A model of sentence-transformers and its name; base of the classes for its families.

    Args:
        model: sentence-transformers' own object.
        name: the folder or hub name that opens it again.
    """

    def __init__(self, model: Any, name: str) -> None:
        self.model = model
        self.name = name

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        device: torch.device = self.model.device
        return device

    def fingerprint(self) -> str:
        """Hash (128 bits, hexadecimal) of the weights and of all that decides what is read of a text, as they are now."""
        weights = while_unchanged(self.model, lambda: {"weights": hash_weights(self.model.state_dict())})["weights"]
        return digest_of([weights, json.dumps(self._settings(), sort_keys=True, default=str)])

    def properties(self) -> dict[str, str]:
        """The model's properties as text, its fingerprint last."""
        weights = sum(parameter.numel() for parameter in self.model.parameters()) / 1e6
        first, longest = self.model[0], getattr(self.model, "max_seq_length", None)
        lengths = [getattr(first, f"{text}_length", None) or longest or "any number of" for text in ("query", "document")]
        expansion = getattr(first, "query_expansion", None) or {}
        if expansion.get("strategy") == "fixed":  # ColBERT's queries, filled up with mask tokens
            lengths[0] = expansion["length"]
        return {
            "modules": f"{', '.join(type(module).__name__ for module in self.model)}; {weights:.1f} M weights",
            **self._facts(),
            "lengths": f"queries {lengths[0]}, documents {lengths[1]} tokens",
            "fingerprint": self.fingerprint(),
        }

    def _in_batches(self, encode: Callable[..., Any], texts: Sequence[str], most: int, **options: bool) -> Any:
        """What a method of the library makes of texts, in batches of so many at most.

        Raises:
            DeviceMemoryError: smaller batches do not fit either.
        """
        return BatchSize(most, "texts").run(lambda size: encode(list(texts), batch_size=size, show_progress_bar=False, **options))

    def _facts(self) -> dict[str, str]:
        """What only models of the family have."""
        return {}

    def _settings(self) -> list[Any]:
        model = self.model
        modules = [module for module in model.modules() if hasattr(module, "get_config_dict")]
        tokenizers = {id(module.tokenizer): module.tokenizer for module in modules if getattr(module, "tokenizer", None) is not None}
        return [
            [[type(module).__name__, _without(module.get_config_dict(), _LEARNED)] for module in modules],
            list(map(_reading, tokenizers.values())),
            [model.prompts, model.default_prompt_name, model.similarity_fn_name, getattr(model, "max_active_dims", None)],
        ]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


def _reading(tokenizer: Any) -> list[Any]:
    """What a tokeniser does, how far it reads and from which end; the backend's own cut and padding differ from batch to batch."""
    read = [getattr(tokenizer, name, None) for name in ("model_max_length", "truncation_side")]
    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
    if not hasattr(backend, "to_str"):
        return [repr(tokenizer), *read]
    return [_without(json.loads(backend.to_str()), ("truncation", "padding")), *read]


def _without(settings: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in names}


def open_library(
    name: str | Path, folder: Path, kind: str, family: Family, extra: str, device: str | torch.device | None
) -> tuple[Any, str]:
    """A model and its name.

    Args:
        name: a folder or hub name.
        folder: where it is.
        kind: the class of sentence-transformers that opens it.
        family: of the model.
        extra: which of our extras installs the library.
        device: where it computes; by default the GPU if there is one.

    Raises:
        ModelError: it does not load, or has a setting that is not understood.
        MissingDependencyError: sentence-transformers is not installed, or is too old.
    """
    remedy = f"pip install 'ance_ir[{extra}]'"
    library = optional("sentence_transformers", package=_PACKAGE, needed_for=f"a {family}", remedy=remedy)
    if not hasattr(library, kind):
        raise MissingDependencyError(f"{_PACKAGE} in a newer version than {library.__version__}", f"a {family}", remedy)
    with reading(str(name)):
        homes = check_settings(folder, family)
    try:
        model = getattr(library, kind)(str(folder), device=str(find_device(device)), local_files_only=True).eval()
        fill(model, homes)
        for encode in (model.encode_query, model.encode_document):  # some settings that cannot be show only here
            encode("a text")
    except AnceError:
        raise
    except Exception as error:  # of its files: JSON, weights, tokenisers, classes that are not there
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{name}: sentence-transformers does not open it as a {family} ({type(error).__name__}: {reason})") from error
    return model, absolute(expanded(str(name)))
