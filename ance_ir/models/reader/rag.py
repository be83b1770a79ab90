"""RAG-Token (Lewis et al. 2020): writes an answer, each token of it from all of a question's passages together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase, RagConfig

from ance_ir.device_memory import enough_memory
from ance_ir.errors import ModelError, UsageError
from ance_ir.float32 import exact_float32
from ance_ir.models.compute.device import find_device
from ance_ir.models.compute.inference import evaluating
from ance_ir.models.compute.precision import Conversion, Precision
from ance_ir.models.loading.checkpoint import Origin, find_folder
from ance_ir.models.loading.source import absolute, expanded
from ance_ir.models.loading.weight_files import read_weights
from ance_ir.models.loading.weights import build, load_config, load_tokenizer, reading
from ance_ir.models.pretrained import Pretrained
from ance_ir.models.text.settings import Settings
from ance_ir.models.text.tokenizing import FastTokenizer
from ance_ir.moved import warn_of_old_name

if TYPE_CHECKING:
    from transformers import RagTokenForGeneration


@dataclass(frozen=True, kw_only=True)
class RagSettings(Settings):
    """How a RAG model writes answers.

    Attributes:
        num_beams: of the search for the most probable answer; 1 is greedy.
        max_answer_length: tokens of an answer, the one that ends it included.
    """

    num_beams: int = 4
    max_answer_length: int = 50

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise UsageError(f"{name} is at least 1, not {value}")


class RagToken(Pretrained[RagSettings]):
    """A RAG-Token model without its question encoder, which only retrieves. It is neither trained nor saved here.

    Args:
        model: as transformers has it; its question encoder is taken out.
        tokenizer: the generator's, a fast one.
        settings: how it writes.
        name: what it is called in messages.
        origin: what it was opened from.

    Raises:
        ModelError: the tokeniser is not a fast one.
    """

    telling = ()
    precisions: ClassVar[tuple[Precision, ...]] = ("float32",)

    def __init__(
        self,
        model: RagTokenForGeneration,
        tokenizer: PreTrainedTokenizerBase,
        settings: RagSettings = RagSettings(),
        *,
        name: str = "unnamed",
        origin: Origin | None = None,
        conversion: Conversion | None = None,
    ) -> None:
        longest = int(model.config.max_combined_length)
        super().__init__(FastTokenizer(tokenizer, settings, longest), name=name, origin=origin, conversion=conversion)
        model.rag.question_encoder = None
        self.model = model

    @classmethod
    def from_pretrained(cls, name: str | Path, *, device: str | torch.device | None = None, **settings: Any) -> RagToken:
        """Open a checkpoint, e.g. ``facebook/rag-token-nq``.

        Args:
            name: a folder of a ``RagTokenForGeneration`` with its generator's tokeniser in ``generator_tokenizer/``, or a hub name.
            device: where to put it; by default a GPU where there is one.
            **settings: fields of ``RagSettings`` to change.

        Raises:
            ModelError: it is not there, does not load, or lacks some of the generator's parameters.
            UsageError: there is no such device or setting.
        """
        from transformers import RagTokenForGeneration  # imports datasets, which takes a while

        place = find_device(device)
        name = expanded(str(name))
        with reading(name):
            folder = find_folder(name, "RAG model", fresh_head=False)
            config = load_config(folder)
            if not isinstance(config, RagConfig):
                raise ModelError(f"{name} is no RAG model: a folder with a config.json of the model_type rag was expected")
            model, unused = build(
                config, read_weights(folder), name, mapping={RagConfig: RagTokenForGeneration}, may_lack=r"rag\.question_encoder\..*"
            )
            generator: Any = config.generator
            tokenizer = load_tokenizer(folder / "generator_tokenizer", generator)
        assert isinstance(model, RagTokenForGeneration)
        opened = cls(model, tokenizer, name=absolute(name), origin=Origin(layout="RAG", settings="their defaults", unused=unused))
        return opened._ready(place, None, None, settings)

    @property
    def num_beams(self) -> int:
        """Deprecated: ``settings.num_beams``."""
        warn_of_old_name("RagToken.num_beams", "RagToken.settings.num_beams")
        return self.settings.num_beams

    @property
    def max_answer_length(self) -> int:
        """Deprecated: ``settings.max_answer_length``."""
        warn_of_old_name("RagToken.max_answer_length", "RagToken.settings.max_answer_length")
        return self.settings.max_answer_length

    def _backbones(self) -> list[PreTrainedModel]:
        return [self.model]

    def _parts(self) -> dict[str, Any]:
        return {"model": self.model}

    def _facts(self) -> dict[str, str]:
        return {"passages": f"{self.n_docs} a question"}

    def _write(self, folder: Path) -> None:
        raise UsageError("a RAG model has lost its question encoder here and is not saved; keep the checkpoint that it came from")

    @property
    def n_docs(self) -> int:
        """How many passages the model was made for."""
        return int(self.model.config.n_docs)

    def generate(self, question: str, titles: Sequence[str], texts: Sequence[str], scores: Sequence[float]) -> str:
        """The answer to a question.

        Args:
            question: as it was asked.
            titles: of its passages, ``""`` where there is none, ``[K]``.
            texts: of the passages, ``[K]``.
            scores: of the passages, ``[K]``; their softmax says how much each has to say. The model was trained with inner products.

        Raises:
            UsageError: there is no passage, or not as many of one as of the other.
            DeviceMemoryError: it does not fit.
        """
        if not 0 < len(texts) == len(titles) == len(scores):
            raise UsageError(f"as many titles, texts and scores, at least 1, were expected, not {len(titles)}, {len(texts)}, {len(scores)}")
        inputs = [self._input(question, title, text) for title, text in zip(titles, texts, strict=True)]
        device = self.model.device
        encoded = self.tokenizer.tokenizer(inputs, padding=True, return_tensors="pt").to(device)
        special: Any = self.model.config.generator
        less = f"An answer takes less from fewer passages than {len(texts)}, and with fewer beams than {self.settings.num_beams}"
        with torch.inference_mode(), exact_float32(), evaluating(self), enough_memory(less):
            (ids,) = self.model.generate(
                context_input_ids=encoded["input_ids"],
                context_attention_mask=encoded["attention_mask"],
                doc_scores=torch.tensor([list(scores)], dtype=torch.float32, device=device),
                n_docs=len(texts),
                num_beams=self.settings.num_beams,
                do_sample=False,
                max_length=self.settings.max_answer_length + 1,  # the token that starts the answer counts
                bos_token_id=special.bos_token_id,
                eos_token_id=special.eos_token_id,
                pad_token_id=special.pad_token_id,
                decoder_start_token_id=special.decoder_start_token_id,
            )
        return str(self.tokenizer.tokenizer.decode(ids, skip_special_tokens=True)).strip()

    def _input(self, question: str, title: str, text: str) -> str:
        """``title / text // question`` with the separators of the model; the text is cut where the whole would be too long."""
        config = self.model.config
        lead = (getattr(config.generator, "prefix", None) or "") + title.removeprefix('"').removesuffix('"') + config.title_sep
        text, tail = (
            self.tokenizer.clean((lead + text).replace("  ", " ")),
            self.tokenizer.clean((config.doc_sep + question).replace("  ", " ")),
        )
        encoded = self.tokenizer.tokenizer(text + tail, return_offsets_mapping=True, verbose=False)
        over = len(encoded["input_ids"]) - config.max_combined_length
        if over <= 0:
            return text + tail
        ends = [end for _, end in encoded["offset_mapping"] if 0 < end <= len(text)]
        return text[: ends[-over - 1] if over < len(ends) else 0] + tail
