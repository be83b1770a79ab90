"""The paths of Hugging Face's text-embeddings-inference, at the top for the first system that can, and under /tei/SYSTEM for each."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter
from pydantic import BaseModel, Field

from ance_ir import __version__
from ance_ir.models import CrossEncoder, DenseEncoder
from ance_ir.pipelines import BertReranker
from ance_ir.serve.limits import QUERY_CHARACTERS, TEXT_CHARACTERS, TEXTS
from ance_ir.serve.requests import Json, Serving, large_json
from ance_ir.serve.server import Server

ROUTER = APIRouter(tags=["text-embeddings-inference"])

_POOLINGS = {"last": "last_token"}
"""Its names of poolings, where ours are others."""

Text = Annotated[str, Field(max_length=TEXT_CHARACTERS)]
Texts = Annotated[list[Text], Field(min_length=1, max_length=TEXTS)]


class Embed(BaseModel):
    """Texts to encode; those that are too long are cut, whatever ``truncate`` says."""

    inputs: Text | Texts
    normalize: bool = True
    prompt_name: Annotated[Literal["query", "document", "passage"] | None, Field(description="query: read them as queries.")] = None
    truncate: bool | None = False


class Ranked(BaseModel):
    """Texts to rank for a query."""

    query: Annotated[str, Field(max_length=QUERY_CHARACTERS)]
    texts: Texts
    raw_scores: Annotated[bool, Field(description="The scores as they are, not their logistic function.")] = False
    return_text: bool = False
    truncate: bool | None = False


@ROUTER.post("/embed")
@ROUTER.post("/tei/{system}/embed")
async def embed(server: Serving, asked: Embed, system: str | None = None) -> Json:
    """Vectors of texts."""
    texts = [asked.inputs] if isinstance(asked.inputs, str) else asked.inputs
    vectors = await server.encode(system or server.first("encode"), texts, queries=asked.prompt_name == "query")
    if asked.normalize:
        vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return await large_json(vectors.tolist)


@ROUTER.post("/rerank")
@ROUTER.post("/tei/{system}/rerank")
async def rerank(server: Serving, asked: Ranked, system: str | None = None) -> Json:
    """The texts, best first."""
    scores = await server.rerank(system or server.first("rerank"), asked.query, [{"text": text} for text in asked.texts])
    shown = scores if asked.raw_scores else _logistic(np.array(scores)).tolist()
    order = sorted(range(len(scores)), key=lambda place: -scores[place])
    return Json([{"index": place, **({"text": asked.texts[place]} if asked.return_text else {}), "score": shown[place]} for place in order])


@ROUTER.get("/info")
async def info(server: Serving) -> Json:
    """What encodes here."""
    return Json(_of_encoder(server, server.first("encode")))


@ROUTER.get("/tei/{system}/info")
async def info_of(server: Serving, system: str) -> Json:
    """What a system reranks with, if it has a reranker, or else encodes with."""
    scorer = server.system(system).reranker
    return Json(_of_reranker(server, scorer.model) if isinstance(scorer, BertReranker) else _of_encoder(server, system))


def _of_encoder(server: Server, system: str) -> dict[str, Any]:
    model = server.model(system)
    pooling = model.query_tower.pooling
    return _described(server, model, model.settings.passage_length, {"embedding": {"pooling": _POOLINGS.get(pooling, pooling)}})


def _of_reranker(server: Server, model: CrossEncoder) -> dict[str, Any]:
    return _described(server, model, model.settings.pair_length, {"reranker": {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}})


def _described(server: Server, model: DenseEncoder | CrossEncoder, length: int, kind: dict[str, Any]) -> dict[str, Any]:
    return {
        "model_id": model.name,
        "model_sha": None,
        "model_dtype": model.precision,
        "model_type": kind,
        "max_concurrent_requests": server.limits.waiting,
        "max_input_length": length,
        "max_batch_tokens": server.limits.together * length,
        "max_batch_requests": server.limits.together,
        "max_client_batch_size": TEXTS,
        "auto_truncate": True,
        "tokenization_workers": 1,
        "version": __version__,
        "sha": None,
        "docker_label": None,
    }


def _logistic(scores: np.ndarray) -> np.ndarray:
    shown: np.ndarray = 0.5 * (1 + np.tanh(scores / 2))
    return shown
