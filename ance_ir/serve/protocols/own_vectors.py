"""The server's own paths, under /v1: neighbours, feedback, vectors and reranking."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ance_ir.registries import FEEDBACKS
from ance_ir.serve.limits import DOCNO_CHARACTERS, QUERY_CHARACTERS, RESULTS, TEXT_CHARACTERS, TEXTS
from ance_ir.serve.replies import Found, Scores, Vectors
from ance_ir.serve.requests import Json, Serving, large_json

ROUTER = APIRouter(prefix="/v1", tags=["vectors"])

Count = Annotated[int, Field(ge=1, le=RESULTS, description="Documents, at most.")]
Offset = Annotated[int, Field(ge=0, le=RESULTS, description="Documents before the first that is shown.")]
Query = Annotated[str, Field(max_length=QUERY_CHARACTERS, description="The query.")]
Docno = Annotated[str, Field(max_length=DOCNO_CHARACTERS)]
Text = Annotated[str, Field(max_length=TEXT_CHARACTERS)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Similar(_Strict):
    """More documents like one."""

    docno: Docno
    k: Count = 10
    offset: Offset = 0


class Feedback(_Strict):
    """A search that learns from documents."""

    query: Query
    docnos: Annotated[list[Docno], Field(min_length=1, max_length=TEXTS, description="Documents that are relevant, best first.")]
    method: Annotated[str, Field(json_schema_extra={"enum": list(FEEDBACKS)})] = "average"
    k: Count = 10
    offset: Offset = 0


class Encode(_Strict):
    """Texts to encode."""

    texts: Annotated[list[Text], Field(min_length=1, max_length=TEXTS)]
    role: Annotated[Literal["query", "passage"], Field(description="What they are; models read queries and passages differently.")] = (
        "query"
    )


class Candidate(_Strict):
    """A document to score: with its text, or one of the collection."""

    docno: Docno | None = None
    title: Text | None = None
    url: Text | None = None
    text: Text | None = None

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.docno is None and self.text is None:
            raise ValueError("a document has a docno, a text, or both")
        return self


class Rerank(_Strict):
    """Documents to score for a query, in one of three forms."""

    query: Query
    texts: Annotated[list[Text] | None, Field(max_length=TEXTS)] = None
    docnos: Annotated[list[Docno] | None, Field(max_length=TEXTS)] = None
    documents: Annotated[list[Candidate] | None, Field(max_length=TEXTS)] = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if sum(form is not None for form in (self.texts, self.docnos, self.documents)) != 1:
            raise ValueError("give texts, docnos or documents, one of them")
        return self

    def candidates(self) -> list[dict[str, str]]:
        """The documents, whatever their form."""
        if self.documents is not None:
            return [one.model_dump(exclude_none=True) for one in self.documents]
        return [{"text": text} for text in self.texts or ()] + [{"docno": docno} for docno in self.docnos or ()]


@ROUTER.post("/{system}/similar", response_model=Found)
async def similar(server: Serving, system: str, asked: Similar) -> Json:
    """The documents whose vectors are nearest to a document's, without itself."""
    return Json(await server.near(system, [asked.docno], k=asked.k, offset=asked.offset))


@ROUTER.post("/{system}/feedback", response_model=Found)
async def feedback(server: Serving, system: str, asked: Feedback) -> Json:
    """The best documents for a query whose vector has been moved towards documents."""
    return Json(await server.near(system, asked.docnos, asked.query, asked.method, asked.k, asked.offset))


@ROUTER.post("/{system}/encode", response_model=Vectors)
async def encode(server: Serving, system: str, asked: Encode) -> Json:
    """Vectors of texts, by the model of the system's index."""
    vectors = await server.encode(system, asked.texts, queries=asked.role == "query")
    similarity = server.model(system).similarity
    return await large_json(lambda: {"vectors": vectors.tolist(), "dimension": vectors.shape[1], "similarity": similarity})


@ROUTER.post("/{system}/rerank", response_model=Scores)
async def rerank(server: Serving, system: str, asked: Rerank) -> Json:
    """Scores of documents for a query, in the order in which they were given."""
    return Json({"scores": await server.rerank(system, asked.query, asked.candidates())})
