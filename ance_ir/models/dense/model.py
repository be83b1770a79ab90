"""The dense encoder: queries and passages to vectors whose inner product is the score."""

from __future__ import annotations

import copy
import logging
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ance_ir.digests import digest_of
from ance_ir.errors import ModelError, UsageError
from ance_ir.models.compute.device import find_device
from ance_ir.models.compute.inference import Progress
from ance_ir.models.compute.precision import Conversion, Precision
from ance_ir.models.dense.card import CARD
from ance_ir.models.dense.checkpoint import read_encoder, split_name, write_towers
from ance_ir.models.dense.graph import graph_of
from ance_ir.models.dense.int8 import Int8Tower
from ance_ir.models.dense.layout import Choices, DenseCheckpoint, longest
from ance_ir.models.dense.pooling import POOLINGS, pooling_names
from ance_ir.models.dense.sentences import SentenceEncoding
from ance_ir.models.dense.tower import Similarity, Tower
from ance_ir.models.dense.transformers import PassageEncoder, QueryEncoder
from ance_ir.models.export.graph import Graph
from ance_ir.models.loading.checkpoint import Origin, noting
from ance_ir.models.loading.family import write_ours
from ance_ir.models.loading.hashing import hash_parts
from ance_ir.models.loading.source import absolute, expanded
from ance_ir.models.text.prompts import NO_PROMPTS, Prompts, check_prompts
from ance_ir.models.text.settings import TextSettings
from ance_ir.models.text.tokenizing import TextTokenizer
from ance_ir.moved import warn_of_old_name

logger = logging.getLogger(__name__)


class DenseEncoder(SentenceEncoding):
    """A query tower and a passage tower, one and the same where they share weights.

    Args:
        query_tower: encodes queries.
        passage_tower: encodes passages; ``None`` shares the query tower.
        tokenizer: a fast Hugging Face tokeniser.
        settings: how the model reads text.
        name: what it is called in messages and manifests.
        prompts: what can be chosen by name.
        origin: what it was opened from.
        conversion: what its towers were converted from, if they were.

    Raises:
        ModelError: the towers do not fit together, or the tokeniser is not a fast one.
        UsageError: a length in the settings is more than the model takes.
    """

    card = CARD
    telling = ("vector", "pooling", "score")
    precisions: ClassVar[tuple[Precision, ...]] = ("float32", "bfloat16", "int8")

    def __init__(
        self,
        query_tower: Tower,
        passage_tower: Tower | None,
        tokenizer: PreTrainedTokenizerBase,
        settings: TextSettings,
        *,
        name: str = "unnamed",
        prompts: Prompts = NO_PROMPTS,
        origin: Origin | None = None,
        conversion: Conversion | None = None,
    ) -> None:
        towers = (query_tower, passage_tower if passage_tower is not None else query_tower)
        if towers[0].dimension != towers[1].dimension:
            raise ModelError(f"the towers' dimensions differ: {towers[0].dimension} and {towers[1].dimension}")
        if towers[0].normalize != towers[1].normalize:
            raise ModelError("one tower normalises its vectors, the other does not")
        most = longest(tokenizer, *towers)
        super().__init__(TextTokenizer(tokenizer, settings, most), name=name, origin=origin, conversion=conversion)
        separator = _separator(towers[1], tokenizer) if settings.title_types else None
        self.query_tower = query_tower.with_separator(separator)
        self.passage_tower = self.query_tower if towers[1] is query_tower else towers[1].with_separator(separator)
        self._prompts = prompts

    @classmethod
    @noting
    def from_pretrained(
        cls,
        name: str | Path | tuple[str | Path, str | Path],
        *,
        fresh_head: str | None = None,
        seed: int = 42,
        device: str | torch.device | None = None,
        precision: Precision | None = None,
        layers: int | None = None,
        pooling: str | None = None,
        similarity: Similarity | None = None,
        normalize: bool | None = None,
        query_prompt: str | None = None,
        passage_prompt: str | None = None,
        instruction: str | None = None,
        merge_adapter: bool = False,
        **settings: Any,
    ) -> DenseEncoder:
        """Open a checkpoint of any layout in ``docs/models.md``.

        Every parameter comes from the checkpoint. What it holds beyond them is in ``unused``.

        Args:
            name: a folder, a DPR file, or a hub name; with no network the Hugging Face cache is asked. Two towers that are published apart
                are a tuple of two, or one text with a comma. A folder with an adapter (PEFT) opens through its base.
            fresh_head: ``"ance"`` puts a fresh head of the paper's models (section 4) on a bare backbone, over position 0, for training.
            seed: of the fresh head's weights.
            device: where to put it; by default a GPU where there is one.
            precision: what to compute in: ``"float32"``, ``"bfloat16"``, or ``"int8"`` (CPU, needs the extra ``int8``); by default the
                checkpoint's own. Another one than that encodes only.
            layers: keep only so many first layers of the backbone, of each tower; 0: a text is the bag of its tokens' embeddings.
            pooling: of a bare backbone, one of ``registries.POOLINGS``, or several: ``"cls+mean"``; otherwise the mean, with a warning.
            similarity: ``"cosine"`` or ``"dot"``, of a checkpoint that does not say it; otherwise a warning says which is assumed.
            normalize: ``True`` scales vectors to length 1, of any checkpoint, which makes the similarity the cosine; ``False`` does not.
            query_prompt: the name of the prompt, one of ``prompts``, to put before queries.
            passage_prompt: the same for passages.
            instruction: the task, to put before queries in the form in which the model reads one.
            merge_adapter: add an adapter to its base's weights, which rounds them; by default it is computed beside them.
            **settings: fields of ``TextSettings`` to change.

        Raises:
            ModelError: it is not there, or does not load, or lacks parameters.
            UsageError: there is no such device, setting, precision, pooling, similarity or prompt, or the backbone has fewer layers, or
                the checkpoint names another pooling or similarity itself.
            MissingDependencyError: ``"int8"`` without its extra.
        """
        if "head" in settings:
            warn_of_old_name("head=", "fresh_head=")
            fresh_head = settings.pop("head")
        place = find_device("cpu" if device is None and precision == "int8" else device)
        names = [expanded(one) for one in (map(str, name) if isinstance(name, tuple) else split_name(str(name)))]
        chosen: dict[str, Any] = {"query_prompt": query_prompt, "passage_prompt": passage_prompt, "instruction": instruction}
        check_prompts(chosen, settings)
        made: dict[str, Any] = {"pooling": pooling, "similarity": similarity, "normalize": normalize, "fresh_head": fresh_head}
        made["merge_adapter"] = merge_adapter or None
        opened = read_encoder(names, Choices(seed=seed, **made | chosen))
        return cls._of(opened, ",".join(map(absolute, names)))._ready(place, layers, precision, settings, **made)

    @classmethod
    def _of(cls, opened: DenseCheckpoint, name: str) -> DenseEncoder:
        origin = opened.origin
        return cls(opened.query, opened.passage, opened.tokenizer, opened.settings, name=name, prompts=opened.prompts, origin=origin)

    @property
    def text(self) -> TextSettings:
        """Deprecated: ``settings``."""
        warn_of_old_name("DenseEncoder.text", "DenseEncoder.settings")
        return self.settings

    def with_text(self, **changes: Any) -> DenseEncoder:
        """Deprecated: ``with_settings``."""
        warn_of_old_name("DenseEncoder.with_text", "DenseEncoder.with_settings")
        return self.with_settings(**changes)

    def _towers(self) -> list[Tower]:
        return [self.query_tower] if self.shared else [self.query_tower, self.passage_tower]

    def _backbones(self) -> list[PreTrainedModel]:
        return [tower.backbone for tower in self._towers()]

    def _adaptable(self) -> dict[str, PreTrainedModel]:
        return dict(zip(["."] if self.shared else ["query", "passage"], self._backbones(), strict=True))

    def _parts(self) -> dict[str, Any]:
        return {"query_tower": self.query_tower, "passage_tower": None if self.shared else self.passage_tower, "prompts": self._prompts}

    def _facts(self) -> dict[str, str]:
        tower = self.query_tower
        return {
            "towers": "one for queries and passages" if self.shared else "separate ones for queries and passages",
            "pooling": " + ".join(POOLINGS[name].shown for name in pooling_names(tower.pooling)),
            "head": "none" if tower.head is None else str(tower.head),
            "vector": f"{self.dimension} dimensions",
            "score": "cosine" if self.similarity == "cosine" else "dot product",
        }

    def _write_towers(self, folder: Path, *, backbones: bool = True) -> dict[str, Tower]:
        prompts = replace(self._prompts, named=self.prompts)
        return write_towers(self._towers(), self.tokenizer.reader, self.settings, prompts, folder, backbones=backbones)

    def _write_for_export(self, folder: Path) -> dict[str, Graph]:
        towers = self._write_towers(folder, backbones=False)
        return {part: graph_of(tower, self.tokenizer.reader) for part, tower in towers.items()}

    def _write(self, folder: Path) -> None:
        self._write_towers(folder)
        towers = "shared" if self.shared else "separate"
        write_ours(folder, towers=towers, similarity=self.similarity, text=asdict(self.settings))

    def _converted(self, precision: Precision) -> dict[str, Any]:
        if precision != "int8":
            return super()._converted(precision)
        towers = [Int8Tower(tower) for tower in self._towers()]
        return {"query_tower": towers[0], "passage_tower": None if self.shared else towers[1]}

    def _hashed(self) -> list[Any]:
        return [[tower.unweighted for tower in (self.query_tower, self.passage_tower)]]

    def _hash_weights(self) -> dict[str, str]:
        # by the names of the first fingerprints, by which older indexes and runs know their model; without poolers, which are never used
        towers = {"passage_tower": self.passage_tower, "query_tower": self.query_tower}
        named = [{f"{part}.{name}": tensor for name, tensor in tower.state_dict().items()} for part, tower in towers.items()]
        passages, both = hash_parts([{name: one[name] for name in one if ".backbone.pooler." not in name} for one in named])
        return {"weights": both, "passages": passages}

    def fingerprints(self) -> tuple[str, str]:
        """The fingerprint, and the hash (128 bits, hexadecimal) of what vectors of passages depend on, and of all settings.

        Models that differ in nothing but the weights of their query towers have the same second one: an index of one is an index of the
        other.
        """
        hashes = self._hashes()
        passages = [hashes["passages"], self.passage_tower.unweighted, self.tokenizer.vocabulary_hash, self.settings.hashed()]
        return self._fingerprint(hashes), digest_of(passages)

    def with_separate_towers(self) -> DenseEncoder:
        """The model with a passage tower of its own, where queries and passages share one: a copy, so that one can be trained alone.

        Raises:
            UsageError: the model was converted to another precision than its checkpoint's.
        """
        if not self.shared:
            logger.warning("separate_towers: %s has separate towers already, which stay as they are", self.name)
            return self
        self.check_unconverted("given separate towers")
        origin = replace(self.origin, layout=f"{self.origin.layout}, its tower copied", separated=True)
        return self._remade(passage_tower=copy.deepcopy(self.query_tower), origin=origin)

    @property
    def shared(self) -> bool:
        """Whether queries and passages go through the same weights."""
        return self.passage_tower is self.query_tower

    @property
    def similarity(self) -> Similarity:
        """The meaning of the inner product of two vectors."""
        return self.query_tower.similarity

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.query_tower.device

    def queries(self, cache: Path | str | None = None) -> QueryEncoder:
        """A PyTerrier transformer: ``query`` to ``query_vec``; with ``cache``, a file, each query is encoded once only."""
        return QueryEncoder(self, cache)

    def passages(self, progress: Progress | None = None) -> PassageEncoder:
        """A PyTerrier transformer: documents, cut as a passage scheme before it says, to ``doc_vec``."""
        return PassageEncoder(self, progress)


def _separator(tower: Tower, tokenizer: PreTrainedTokenizerBase) -> int:
    """The token between the two texts of a pair.

    Raises:
        UsageError: the model does not tell them apart.
    """
    if int(getattr(tower.backbone.config, "type_vocab_size", None) or 0) < 2 or tokenizer.sep_token_id is None:
        raise UsageError(f"title_types: {tokenizer.name_or_path or 'the model'} has no token types by which it tells two texts apart")
    return int(tokenizer.sep_token_id)
