"""Models that are trained by an adapter: it alone is trained and saved, and its base stays as it is."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self

from torch import nn
from transformers import PreTrainedModel

from ance_ir.errors import UsageError
from ance_ir.models.adapters.folders import adapter_in
from ance_ir.models.adapters.layers import is_adapted, load, put_in_new, write
from ance_ir.models.adapters.lora import Lora
from ance_ir.models.loading.checkpoint import Origin
from ance_ir.models.loading.family import SETTINGS, write_ours
from ance_ir.models.loading.hashing import hash_weights
from ance_ir.models.loading.saving import model_folder


class Adaptable(nn.Module):
    """What ``Pretrained`` has to do with adapters."""

    name: str
    origin: Origin

    @property
    def settings(self) -> Any:
        """How the model reads text, a dataclass."""
        raise NotImplementedError

    def check_unconverted(self, use: str) -> None:
        """Refuse what only a model at its checkpoint's own precision can be."""
        raise NotImplementedError

    def _adaptable(self) -> dict[str, PreTrainedModel]:
        """What gets adapters, each by the folder in which its adapter is saved."""
        raise UsageError(f"{type(self).__name__}: only encoders and rerankers are trained by adapters")

    def add_adapter(self, lora: Lora, seed: int = 42) -> None:
        """Put a new adapter beside the backbone's weights, which are frozen with all others and stay in their precision.

        Args:
            lora: its settings.
            seed: of its weights.

        Raises:
            UsageError: no layer is called like one of the targets, or the model has an adapter, a new head, or another precision.
            MissingDependencyError: peft is not installed.
        """
        self.check_unconverted("trained")
        if is_adapted(self):
            raise UsageError(f"{self.name} has an adapter; opened with merge_adapter=True, which adds it to the weights, it gets a new one")
        if "fresh_head" in self.origin.options:
            raise UsageError("an adapter is trained beside weights that stay as they are, and a fresh head would never be trained")
        if self.origin.separated:
            raise UsageError("a tower that was copied to be trained alone gets no adapter: its index would not be that of the saved base")
        parts = self._adaptable()
        hashes = {part: hash_weights(model.state_dict()) for part, model in parts.items()}
        for model in parts.values():
            put_in_new(lora, model, seed)
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(".lora_" in name)
        self.origin = replace(self.origin, adapter=asdict(lora), over=self.name, base=hashes)

    def to_train(self) -> Self:
        """The model in float32, since in half precision small updates would vanish; the base of a new adapter stays as it is.

        Raises:
            UsageError: the model was converted, or has an adapter that is not a new one.
        """
        self.check_unconverted("trained")
        if not is_adapted(self):
            return self.float()
        if not self.origin.adapter:
            raise UsageError(f"{self.name} has an adapter, which is not trained further; merge_adapter=True adds it to the weights")
        return self

    def save_adapter(self, folder: Path | str) -> None:
        """Write the new adapter alone, whole or not at all; peft opens it too, one folder a tower where there are two.

        Raises:
            UsageError: there is none.
            OSError: the folder cannot be written.
        """
        if not self.origin.adapter:
            raise UsageError(f"{self.name} has no new adapter")
        with model_folder(folder, SETTINGS) as target:
            for part, model in self._adaptable().items():
                write(model, target / part, self.origin.over)
            write_ours(
                target,
                kind="adapter",
                family=type(self).__name__,
                base=self.origin.over,
                weights=dict(self.origin.base),
                options=dict(self.origin.options),
                settings=asdict(self.settings),
            )

    def load_adapter(self, folder: Path) -> None:
        """Give the new adapter the weights that ``save_adapter`` wrote.

        Raises:
            ModelError: the folder holds no such adapter, or is damaged.
        """
        for part, model in self._adaptable().items():
            load(model, adapter_in(folder / part))
