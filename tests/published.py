"""Small checkpoints in the layouts in which models are published, written by the library that publishes them or by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import (
    BartConfig,
    DPRConfig,
    DPRContextEncoder,
    DPRQuestionEncoder,
    PreTrainedModel,
    RagConfig,
    RagTokenForGeneration,
    RagTokenizer,
)

from tests.tiny import POSITIONS, WIDTH, backbone, bert_tokenizer, roberta_tokenizer

Stored = Literal["bin", "safetensors", "shards of bin", "shards of safetensors"]
DIMENSION = 24
MICROSOFT = "RobertaDot_NLL_LN"


def write_weights(folder: Path, weights: dict[str, Tensor], stored: Stored) -> None:
    """Write weights in one of the ways in which the hub holds them."""
    weights = {name: tensor.detach().clone().contiguous() for name, tensor in weights.items()}
    write = torch.save if "bin" in stored else save_file
    whole = "pytorch_model.bin" if "bin" in stored else "model.safetensors"
    if "shards" not in stored:
        write(weights, folder / whole)
        return
    names = sorted(weights)
    stem, suffix = whole.split(".")
    parts = {f"{stem}-0000{part + 1}-of-00002.{suffix}": names[part::2] for part in range(2)}
    for file, members in parts.items():
        write({name: weights[name] for name in members}, folder / file)
    places = {name: file for file, members in parts.items() for name in members}
    (folder / f"{whole}.index.json").write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}))


def ance_weights(prefix: str = "") -> dict[str, Tensor]:
    """A RoBERTa, the head, and the parts that the published files hold beside them."""
    generator = torch.Generator().manual_seed(7)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    weights = {f"roberta.{name}": tensor for name, tensor in backbone("roberta").state_dict().items()}
    weights |= {"embeddingHead.weight": normal(DIMENSION, WIDTH), "embeddingHead.bias": normal(DIMENSION)}
    weights |= {"norm.weight": normal(DIMENSION), "norm.bias": normal(DIMENSION)}
    weights |= {"classifier.dense.weight": normal(WIDTH, WIDTH), "classifier.out_proj.bias": normal(2)}
    return {prefix + name: tensor for name, tensor in weights.items()}


def write_ance(folder: Path, weights: dict[str, Tensor], architecture: str = MICROSOFT, stored: Stored = "bin") -> Path:
    """A folder as Microsoft's and castorini's: the tokeniser in RoBERTa's two files.

    Microsoft's were written by transformers 2.3, which named no model type.
    """
    folder.mkdir(parents=True)
    config = {**backbone("roberta").config.to_dict(), "architectures": [architecture]}
    if architecture == MICROSOFT:
        of_old = {"finetuning_task": "MSMarco", "output_past": True, "pruned_heads": {}, "torchscript": False, "use_bfloat16": False}
        unknown = ("model_type", "transformers_version", "dtype")
        config = {**{name: value for name, value in config.items() if name not in unknown}, **of_old}
    (folder / "config.json").write_text(json.dumps(config))
    roberta_tokenizer().backend_tokenizer.model.save(str(folder))
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": POSITIONS, "do_lower_case": True}))
    (folder / "special_tokens_map.json").write_text(json.dumps({"mask_token": "<mask>"}))
    write_weights(folder, weights, stored)
    return folder


def dpr_encoders(projection: int = 0) -> tuple[PreTrainedModel, PreTrainedModel]:
    """A DPRQuestionEncoder and a DPRContextEncoder with weights of their own."""
    config = DPRConfig(
        vocab_size=len(bert_tokenizer()),
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=POSITIONS,
        initializer_range=0.3,
        projection_dim=projection,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        return DPRQuestionEncoder(config).eval(), DPRContextEncoder(config).eval()


def write_dpr(folder: Path, encoders: tuple[PreTrainedModel, PreTrainedModel]) -> tuple[Path, Path]:
    """Two folders as on the hub."""
    paths = folder / "question", folder / "context"
    for path, encoder in zip(paths, encoders, strict=True):
        encoder.save_pretrained(path)
        bert_tokenizer().save_pretrained(path)
    return paths


def write_dpr_file(path: Path, encoders: tuple[PreTrainedModel, PreTrainedModel], *, told: dict[str, Any], zipped: bool = True) -> Path:
    """The one file of the original code: the fields of its tuple by name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = {}
    for prefix, inner, encoder in zip(("question_model.", "ctx_model."), ("question_encoder.", "ctx_encoder."), encoders, strict=True):
        for name, tensor in encoder.state_dict().items():
            weights[prefix + name.removeprefix(inner).removeprefix("bert_model.")] = tensor
        weights[f"{prefix}pooler.dense.weight"] = torch.zeros(WIDTH, WIDTH)
    state = {
        "model_dict": weights,
        "optimizer_dict": {"state": {0: {"step": 3, "exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 1e-5, "betas": (0.9, 0.999)}]},
        "scheduler_dict": {"base_lrs": [1e-5], "last_epoch": 3, "lr_lambdas": [None]},
        "offset": 0,
        "epoch": 3,
        "encoder_params": told,
    }
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    return path


def write_rag(folder: Path) -> Path:
    """A RAG-Token model as on the hub: a DPR question encoder and a BART, with a tokeniser of each in a folder of its own."""
    shape = {"hidden_size": WIDTH, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48}
    question = DPRConfig(vocab_size=len(bert_tokenizer()), max_position_embeddings=POSITIONS, **shape)
    stacks = {
        f"{side}_{name}": value
        for side in ("encoder", "decoder")
        for name, value in (("layers", 2), ("attention_heads", 2), ("ffn_dim", 48))
    }
    generator = BartConfig(
        vocab_size=len(roberta_tokenizer()),
        d_model=WIDTH,
        max_position_embeddings=POSITIONS,
        init_std=0.2,
        decoder_start_token_id=2,
        **stacks,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        config = RagConfig.from_question_encoder_generator_configs(question, generator, n_docs=3, max_combined_length=POSITIONS)
        model = RagTokenForGeneration(config).eval()
    signs = [token for token, number in roberta_tokenizer().get_vocab().items() if not token.isascii() and "Ġ" not in token]
    model.rag.generator.final_logits_bias[:, roberta_tokenizer().convert_tokens_to_ids(signs)] = -100  # for answers in letters
    model.save_pretrained(folder)
    RagTokenizer(bert_tokenizer(), roberta_tokenizer()).save_pretrained(folder)
    return folder


def write_bert(folder: Path) -> Path:
    """A bare BERT, for its configuration and tokeniser."""
    backbone().save_pretrained(folder)
    bert_tokenizer().save_pretrained(folder)
    return folder


def into_cache(cache: Path, name: str, folder: Path) -> Path:
    """Put a folder into a Hugging Face cache as the model ``name``."""
    place = cache / f"models--{name.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("0123abcd")
    (place / "snapshots").mkdir()
    folder.rename(place / "snapshots" / "0123abcd")
    return place
