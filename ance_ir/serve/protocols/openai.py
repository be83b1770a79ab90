"""OpenAI's embeddings: the model is the name of a system."""

from __future__ import annotations

import base64
from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter
from pydantic import BaseModel, Field

from ance_ir.serve.limits import TEXT_CHARACTERS, TEXTS
from ance_ir.serve.refusals import Refusal
from ance_ir.serve.requests import Json, Serving, large_json

ROUTER = APIRouter(prefix="/v1", tags=["OpenAI"])

Text = Annotated[str, Field(max_length=TEXT_CHARACTERS)]


class Embeddings(BaseModel):
    """Texts to encode."""

    model: Annotated[str, Field(description="The name of a system.")]
    input: Text | Annotated[list[Text], Field(min_length=1, max_length=TEXTS)]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int | None, Field(description="That of the model, if it is given.")] = None
    input_type: Annotated[
        Literal["query", "passage"], Field(description="What the texts are; OpenAI's own API does not tell them apart.")
    ] = "passage"


@ROUTER.post("/embeddings")
async def embeddings(server: Serving, asked: Embeddings) -> Json:
    """Vectors of texts."""
    texts = [asked.input] if isinstance(asked.input, str) else asked.input
    vectors = await server.encode(asked.model, texts, queries=asked.input_type == "query")
    if asked.dimensions not in (None, vectors.shape[1]):
        raise Refusal(422, f"dimensions: vectors of {asked.model} have {vectors.shape[1]}, and are not cut")
    in_base64 = asked.encoding_format == "base64"
    return await large_json(
        lambda: {
            "object": "list",
            "data": [
                {"object": "embedding", "index": place, "embedding": _encoded(vector) if in_base64 else vector.tolist()}
                for place, vector in enumerate(vectors)
            ],
            "model": asked.model,
            "usage": {"prompt_tokens": 0, "total_tokens": 0},
        }
    )


@ROUTER.get("/models")
async def models(server: Serving) -> Json:
    """The systems that encode texts."""
    named = [one["name"] for one in server.described()["systems"] if "encode" in one["offers"]]
    return Json({"object": "list", "data": [{"id": name, "object": "model", "created": 0, "owned_by": "ance_ir"} for name in named]})


def _encoded(vector: np.ndarray) -> str:
    """Little-endian float32 in base64."""
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()
