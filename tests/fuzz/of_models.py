"""Readers of checkpoints: encoders, rerankers, readers, the files that they are made of, and the cache of query vectors."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ance_ir.models import CrossEncoder, DenseEncoder, MultiVectorEncoder, SparseEncoder
from ance_ir.models import Reader as AnswerReader
from ance_ir.models.dense.query_cache import QueryCache
from ance_ir.models.loading.weight_files import read_torch, read_weights
from tests import tiny
from tests.fuzz.reader import Kind, Reader

_TOKENIZER: dict[str, Kind] = {"tokenizer.json": "json", "tokenizer_config.json": "json"}


def _open_encoder(folder: Path) -> Any:
    encoder = DenseEncoder.from_pretrained(str(folder), device="cpu")
    return encoder.encode_queries(["cat sleeps"])


def _bare(folder: Path) -> None:
    tiny.backbone().save_pretrained(folder)
    tiny.bert_tokenizer().save_pretrained(folder)


def _sharded(folder: Path) -> None:
    tiny.backbone().save_pretrained(folder, max_shard_size=40_000)


def _torch_file(folder: Path, *, zipped: bool = True) -> None:
    torch.save({"a.weight": torch.ones(4, 4), "b.bias": torch.ones(3)}, folder / "x.bin", _use_new_zipfile_serialization=zipped)


def _dpr_file(folder: Path) -> None:
    weights = tiny.backbone().state_dict()
    named = {f"{side}.{name}": tensor for side in ("question_model", "ctx_model") for name, tensor in weights.items()}
    torch.save({"model_dict": named, "encoder_params": {"sequence_length": 32}, "offset": 0}, folder / "x.cp")
    _bare(folder / "y")
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(folder / "y" / name, folder / name)
    shutil.rmtree(folder / "y")


@functools.cache
def _encoder() -> DenseEncoder:
    return tiny.encoder()


def _cached(folder: Path) -> None:
    QueryCache(folder / "x.sqlite", _encoder()).encode(_encoder(), ["cat", "dog"])


def _read_cached(folder: Path) -> Any:
    return QueryCache(folder / "x.sqlite", _encoder()).encode(_encoder(), ["cat", "dog"])


def _written(layout: str) -> Callable[[Path], Any]:
    """What writes a folder that sentence-transformers opens; a test that needs it is skipped where the library is not installed."""
    return lambda folder: getattr(pytest.importorskip("tests.library_models"), f"write_{layout}")(folder / "x")


def _computed(kind: type[SparseEncoder] | type[MultiVectorEncoder]) -> Callable[[Path], Any]:
    def read(folder: Path) -> Any:
        model = kind.from_pretrained(folder / "x", device="cpu")
        return model.encode_queries(["cat sleeps"]), model.encode_documents(["cat sleeps", ""])

    return read


def _opened(kind: type[CrossEncoder] | type[AnswerReader]) -> Callable[[Path], Any]:
    return lambda folder: kind.from_pretrained(str(folder), device="cpu")


READERS = [
    Reader(
        name="encoder",
        make=lambda folder: tiny.encoder(head=8).save(folder / "x"),
        files={
            f"x/{file}": kind
            for file, kind in {
                **_TOKENIZER,
                "config.json": "json",
                "ance_ir.json": "json",
                "modules.json": "json",
                "1_Pooling/config.json": "json",
                "2_Dense/config.json": "json",
                "2_Dense/model.safetensors": "bytes",
            }.items()
        },
        read=lambda folder: _open_encoder(folder / "x"),
        apart=True,
    ),
    Reader(
        name="sentence-transformers",
        make=lambda folder: (tiny.encoder().save(folder / "x"), (folder / "x" / "ance_ir.json").unlink()),
        files={"x/config_sentence_transformers.json": "json", "x/sentence_bert_config.json": "json"},
        read=lambda folder: _open_encoder(folder / "x"),
        apart=True,
    ),
    Reader(name="backbone", make=_bare, files={"config.json": "json", "model.safetensors": "bytes"}, read=_open_encoder, apart=True),
    Reader(
        name="reranker",
        make=lambda folder: tiny.cross_encoder().save(folder / "x"),
        files={"x/ance_ir.json": "json", "x/config.json": "json"},
        read=lambda folder: _opened(CrossEncoder)(folder / "x"),
        apart=True,
    ),
    Reader(
        name="reranker of others",
        make=lambda folder: (tiny.cross_encoder().save(folder / "x"), (folder / "x" / "ance_ir.json").unlink()),
        files={"x/config_sentence_transformers.json": "json", "x/sentence_bert_config.json": "json", "x/modules.json": "json"},
        read=lambda folder: _opened(CrossEncoder)(folder / "x"),
        apart=True,
    ),
    Reader(
        name="reader",
        make=lambda folder: tiny.reader("qa").save(folder / "x"),
        files={"x/ance_ir.json": "json", "x/config.json": "json"},
        read=lambda folder: _opened(AnswerReader)(folder / "x"),
        apart=True,
    ),
    Reader(name="shards", make=_sharded, files={"model.safetensors.index.json": "json"}, read=read_weights),
    Reader(
        name="zipped weights", make=_torch_file, files={"x.bin": "bytes"}, read=lambda folder: read_weights(folder / "x.bin"), apart=True
    ),
    Reader(
        name="older weights",
        make=functools.partial(_torch_file, zipped=False),
        files={"x.bin": "bytes"},
        read=lambda folder: read_torch(folder / "x.bin"),
        apart=True,
    ),
    Reader(
        name="DPR in one file",
        make=_dpr_file,
        files={"x.cp": "bytes"},
        read=lambda folder: DenseEncoder.from_pretrained(str(folder / "x.cp"), device="cpu"),
        apart=True,
    ),
    Reader(
        name="sparse encoder",
        make=_written("splade"),
        files={
            "x/modules.json": "json",
            "x/config_sentence_transformers.json": "json",
            "x/sentence_bert_config.json": "json",
            "x/1_SpladePooling/config.json": "json",
        },
        read=_computed(SparseEncoder),
        apart=True,
    ),
    Reader(
        name="sparse encoder with routes",
        make=_written("two_routes"),
        files={"x/router_config.json": "json"},
        read=_computed(SparseEncoder),
        apart=True,
    ),
    Reader(
        name="multi-vector encoder",
        make=_written("multi_vector"),
        files={"x/sentence_bert_config.json": "json", "x/1_Dense/config.json": "json"},
        read=_computed(MultiVectorEncoder),
        apart=True,
    ),
    Reader(
        name="PyLate",
        make=_written("pylate"),
        files={"x/config_sentence_transformers.json": "json"},
        read=_computed(MultiVectorEncoder),
        apart=True,
    ),
    Reader(
        name="ColBERT",
        make=_written("stanford"),
        files={"x/artifact.metadata": "json", "x/model.safetensors": "bytes"},
        read=_computed(MultiVectorEncoder),
        apart=True,
    ),
    Reader(name="query vectors", make=_cached, files={"x.sqlite": "bytes"}, read=_read_cached),
]
