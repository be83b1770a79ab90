"""What dense encoders, rerankers and readers have in common: saving, settings, fingerprint, precision, cards and ``repr``."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import torch
from torch import nn
from transformers import PreTrainedModel

from ance_ir.choices import check_choice
from ance_ir.digests import digest_of
from ance_ir.errors import UsageError
from ance_ir.hub import check_upload, upload
from ance_ir.models.adapters.adaptable import Adaptable
from ance_ir.models.adapters.layers import merged
from ance_ir.models.card import PLACE, Card, Model
from ance_ir.models.compute.precision import Conversion, Precision
from ance_ir.models.export.graph import Graph
from ance_ir.models.export.writing import export_folder, write_graphs
from ance_ir.models.loading.backbones import depths, keep_layers
from ance_ir.models.loading.checkpoint import Origin
from ance_ir.models.loading.family import SETTINGS
from ance_ir.models.loading.hashing import hash_weights, while_unchanged
from ance_ir.models.loading.provenance import Training
from ance_ir.models.loading.saving import model_folder
from ance_ir.models.loading.source import hub_name
from ance_ir.models.loading.weights import some
from ance_ir.models.text.settings import Settings
from ance_ir.models.text.tokenizing import FastTokenizer
from ance_ir.notebooks import html_table

logger = logging.getLogger(__name__)

S = TypeVar("S", bound=Settings)


class Pretrained(Adaptable, Generic[S]):
    """A model of one of the families, which differ in their parts: a backbone or two with what comes after it.

    Args:
        tokenizer: makes token ids as its settings say.
        name: what the model is called in messages and manifests.
        origin: what it was opened from.
        conversion: what it was converted from, if it was.
    """

    card: ClassVar[Card]
    telling: ClassVar[tuple[str, ...]]
    """The names of those of the properties that tell models of the family apart at a glance, for ``repr``."""
    precisions: ClassVar[tuple[Precision, ...]] = ("float32", "bfloat16")
    tokenizer: FastTokenizer[S]

    def __init__(self, tokenizer: FastTokenizer[S], *, name: str, origin: Origin | None, conversion: Conversion | None) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.name = name
        self.origin = origin if origin is not None else Origin()
        self.conversion = conversion

    def _backbones(self) -> list[PreTrainedModel]:
        """The distinct backbones."""
        raise NotImplementedError

    def _parts(self) -> dict[str, Any]:
        """The family's own arguments, from which the same model is made again."""
        raise NotImplementedError

    def _facts(self) -> dict[str, str]:
        """The properties of the family's own parts, as text."""
        raise NotImplementedError

    def _write(self, folder: Path) -> None:
        """Write all but the model card, ``ance_ir.json`` last."""
        raise NotImplementedError

    def _ready(
        self, device: torch.device, layers: int | None, precision: Precision | None, changes: Mapping[str, Any], **options: Any
    ) -> Self:
        """The model, just opened, as the caller of ``from_pretrained`` asked for it."""
        asked = {**options, "layers": layers}
        self.origin = replace(self.origin, options={name: value for name, value in asked.items() if value is not None})
        if self.unused:
            logger.warning("%s: weights that have no place in the model: %s", self.name, some(self.unused))
        if layers is not None:
            had = max(keep_layers(backbone, layers) for backbone in self._backbones())
            if layers < had:
                self.origin = replace(self.origin, layout=f"{self.origin.layout}, the first {layers} of {had} layers")
        model = self.to(device)
        if precision is not None:
            model = model.at_precision(precision)
        return (model.with_settings(**changes) if changes else model).eval()

    def _opens_elsewhere(self) -> bool:
        """Whether the other library of the family's card reads texts as the model does."""
        return True

    def _described(self, place: str = PLACE, licence: str | None = None) -> Model:
        """What its card says."""
        before = self.origin.provenance
        origin = before if licence is None else replace(before, licence={"license": licence})
        facts = {"properties": self.properties(), "settings": self.settings.rows()}
        return Model(**facts, provenance=origin, place=place, elsewhere=self._opens_elsewhere())

    def was_trained(self, training: Training) -> None:
        """Have the model's card say how it was trained, and from which model."""
        before = self.origin.provenance
        base = hub_name(training.started_from) or before.base
        self.origin = replace(self.origin, provenance=replace(before, training=training, base=base))

    def save(self, folder: Path | str, *, place: str = PLACE, licence: str | None = None) -> None:
        """Write a folder, whole or not at all, that this package opens, and the library of the layout as well.

        An adapter is added to the weights; ``save_adapter`` writes it alone.

        Args:
            folder: where to.
            place: where the card's examples find the model.
            licence: for the card, as the hub writes it: ``"apache-2.0"``; by default that of the model that this one was trained from.

        Raises:
            UsageError: the model was converted to another precision than its checkpoint's.
            OSError: the folder cannot be written.
        """
        self.check_unconverted("saved")
        with merged(self, folder), model_folder(folder, SETTINGS) as target:
            self._write(target)
            self.origin.provenance.write(target)
            (target / "README.md").write_text(self.card.filled(self._described(place, licence)), encoding="utf-8")

    def push_to_hub(self, name: str, *, private: bool | None = None, licence: str | None = None) -> str:
        """Upload what ``save`` writes to the hub; see ``ance_ir.hub.upload`` for name, result and errors, and ``save`` for the licence."""
        self.check_unconverted("uploaded")
        check_upload(name)
        with tempfile.TemporaryDirectory() as folder:
            self.save(Path(folder) / "model", place=name, licence=licence)
            return upload(Path(folder) / "model", name, private=private)

    def _write_for_export(self, folder: Path) -> dict[str, Graph]:
        """Write everything but the backbones' weights; the graphs to be exported, by the folders of their towers."""
        raise NotImplementedError

    def export(self, folder: Path | str, format: str = "onnx") -> None:
        """Write the model as a graph for another runtime, with its tokeniser, as the backends of sentence-transformers open it too.

        The graph takes token ids and their mask of any size, padding on the right, and is compared with the model before the folder gets
        its name. Weights are written in float32, whatever the model has.

        Args:
            folder: where to; it must not exist.
            format: one of ``ance_ir.registries.EXPORT_FORMATS``.

        Raises:
            UsageError: there is no such format, something is at the path, or the model was converted to another precision than its
                checkpoint's.
            MissingDependencyError: the extra ``export`` is not installed.
            ModelError: the format cannot represent the model.
        """
        self.check_unconverted("exported")
        with merged(self, folder), export_folder(folder, format) as (target, form):
            graphs = self._write_for_export(target)
            part, graph = next(iter(graphs.items()))
            (target / "README.md").write_text(self.card.exported(self._described(), form, part, graph), encoding="utf-8")
            described = {"model": self.name, "fingerprint": self.fingerprint(), "settings": asdict(self.settings)}
            write_graphs(target, form, graphs, format=format, **described)

    @property
    def settings(self) -> S:
        """How the model reads text."""
        return self.tokenizer.settings

    def with_settings(self, **changes: Any) -> Self:
        """The same weights, not copied, under changed settings.

        Raises:
            UsageError: there is no such setting, or it cannot have that value.
        """
        settings = self.settings.changed(**changes)
        return self._remade(settings=settings, origin=self.origin.changed(self.settings, settings))

    def _remade(self, **parts: Any) -> Self:
        common = {"settings": self.settings, "name": self.name, "origin": self.origin, "conversion": self.conversion}
        return type(self)(**{**self._parts(), "tokenizer": self.tokenizer.tokenizer, **common, **parts})

    @property
    def unused(self) -> tuple[str, ...]:
        """Names of weights in the checkpoint that have no place in the model."""
        return self.origin.unused

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @property
    def precision(self) -> str:
        """The precision that the model computes in: ``float32``, ``bfloat16``, ``int8``, …"""
        return self.conversion.precision if self.conversion is not None else str(self._backbones()[0].dtype).removeprefix("torch.")

    def depths(self) -> list[tuple[dict[nn.Parameter, int], int]]:
        """Of each backbone, how deep its weights lie (0: embeddings, i: layer i, more: what follows), and how many layers there are.

        Raises:
            UsageError: a backbone keeps its layers at an unknown place.
        """
        return [depths(backbone) for backbone in self._backbones()]

    def at_precision(self, precision: Precision) -> Self:
        """The model at another precision, itself where that is its own. What it was made from may be changed by it.

        Raises:
            UsageError: there is no such precision, or not on the model's device.
            MissingDependencyError: ``"int8"`` without its extra.
            ModelError: the backbone does not convert.
        """
        check_choice("precision", precision, self.precisions)
        if self.precision == precision:
            return self
        self.check_unconverted("converted again")
        if precision == "int8" and self.device.type != "cpu":
            raise UsageError(f"int8 is computed on a CPU, not on {self.device}; bfloat16 is fast there")
        conversion = Conversion(precision=precision, hashes=self._hash_weights())
        return self._remade(**self._converted(precision), conversion=conversion)

    def _converted(self, precision: Precision) -> dict[str, Any]:
        """The parts that a conversion replaces; the others are converted in place."""
        self.to(getattr(torch, precision))
        if precision == "bfloat16" and self.device.type == "cpu":
            for backbone in self._backbones():
                backbone.set_attn_implementation("eager")  # torch's fused attention on a CPU makes no use of bfloat16 instructions
        return {}

    def check_unconverted(self, use: str) -> None:
        """Refuse what only a model at its checkpoint's own precision can be.

        Raises:
            UsageError: says what, and what to do.
        """
        if self.conversion is not None:
            raise UsageError(f"{self.name} was opened in {self.conversion.precision} and cannot be {use}; open it without precision=")

    def fingerprint(self) -> str:
        """Hash (128 bits, hexadecimal) of weights, vocabulary and settings as they are now; training changes it.

        A conversion to another precision keeps it: results are the same but for rounding.
        """
        return self._fingerprint(self._hashes())

    def _fingerprint(self, hashes: Mapping[str, str]) -> str:
        return digest_of([hashes["weights"], *self._hashed(), self.tokenizer.vocabulary_hash, self.settings.hashed()])

    def _hashed(self) -> list[Any]:
        """What the fingerprint depends on in addition."""
        return []

    def _hashes(self) -> Mapping[str, str]:
        """Hashes of the weights before a conversion."""
        return while_unchanged(self, self._hash_weights) if self.conversion is None else self.conversion.hashes

    def _hash_weights(self) -> dict[str, str]:
        """Hash (128 bits, hexadecimal) of the weights' names, types and values, and those of parts that the family tells apart."""
        return {"weights": hash_weights(self.state_dict())}

    def properties(self) -> dict[str, str]:
        """The model's properties as text, its fingerprint last."""
        weights = sum(parameter.numel() for parameter in self.parameters()) / 1e6
        return {
            "backbone": f"{self._backbones()[0].config.model_type}, {weights:.1f} M weights, {self.precision}",
            **self._facts(),
            "longest": f"{self.tokenizer.longest} tokens",
            "fingerprint": self.fingerprint(),
        }

    def __repr__(self) -> str:
        """One line: what tells models of the family apart, and the settings that differ from their defaults."""
        facts, settings = self._facts(), self.settings.rows(changed_only=True)
        parts = [self._backbones()[0].config.model_type, *(f"{name}={facts[name]}" for name in self.telling), self.precision]
        return f"{type(self).__name__}({', '.join([repr(self.name), *parts, *(f'{name}={value}' for name, value in settings.items())])})"

    def _repr_html_(self) -> str:
        """For notebooks: properties and lengths."""
        lengths = {name: value for name, value in self.settings.rows().items() if name.endswith("_length")}
        return html_table(f"{type(self).__name__} {self.name}", {**self.properties(), **lengths})
