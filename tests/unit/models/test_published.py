"""The table of published models: each file is whole, and each entry is one that a checkpoint can be opened with."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from ance_ir.errors import ModelError
from ance_ir.indexes import parse_passages
from ance_ir.models import TextSettings, find_family
from ance_ir.models.cross.published import PUBLISHED, published_settings
from ance_ir.models.dense.pooling import pooling_names
from ance_ir.models.dense.published import find_published, pair_of, published_models, read_family
from ance_ir.models.dense.tower import Similarity
from ance_ir.models.text.prompts import INSTRUCTION, form_in
from ance_ir.registries import MODEL_FAMILIES


@pytest.mark.parametrize("family", list(MODEL_FAMILIES))
def test_every_entry_can_be_used(family: str) -> None:
    models = read_family(MODEL_FAMILIES[family])
    assert models
    for name, one in models.items():
        assert one.family == family and one.source and one.describes == MODEL_FAMILIES.summary(family), name
        assert (one.similarity is None or one.similarity in get_args(Similarity)) and parse_passages(one.passages)
        settings = TextSettings().changed(**one.text)
        assert one.pooling is None or pooling_names(one.pooling)
        if one.instruction is not None:
            assert one.instruction.count(INSTRUCTION) == 1
            assert form_in({"query": settings.query_prefix}) == one.instruction, "the default prompt has the same form"
        if one.partner is not None:
            other = models[one.partner]
            assert (other.partner, {one.tower, other.tower}) == (name, {"query", "passage"})


def test_a_name_is_in_one_family_only() -> None:
    assert len(published_models()) == sum(len(read_family(path)) for path in MODEL_FAMILIES.values())


def test_half_of_a_pair_brings_the_other_in_the_right_order() -> None:
    question, context = "facebook/dragon-plus-query-encoder", "facebook/dragon-plus-context-encoder"
    for names in ([question], [context], [question, context], [context, question]):
        assert pair_of(names) == [question, context]
    for names in ([f"hf:{context}@v1", question], [question, f"hf:{context}@v1"]):
        assert pair_of(names) == [question, f"hf:{context}@v1"], "as it was written"
    for names in (["a/b"], ["a/b", question], [question, "a/b"], [question, context, context]):
        assert pair_of(names) == names
    assert find_published("a/b").family == ""


@pytest.mark.parametrize("written", ["hf:{}", "{}@main", "hf:{}@v1.0"])
def test_a_name_is_known_however_it_is_written(written: str) -> None:
    for name, known in published_models().items():
        assert find_published(written.format(name)) == known
    for name, known_of in PUBLISHED.items():
        assert published_settings(written.format(name), "t5", {}) is known_of
        assert find_family(written.format(name)) == "reranker"


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ('describes = "x"\n[models."a/b"]', "source"),
        ('describes = "x"\nsource = "y"\ndimensions = 3\n[models."a/b"]', r"a/b.*dimensions"),
        ('describes = "x"\nsource = "y"\n[models."a/b"]\ndimension = "3"', r"a/b.*dimension.*'3'"),
        ('describes = "x"\nsource = "y"\n[models."a/b"]\ntower = "left"', r"a/b.*tower.*left"),
        ('describes = "x"\nsource = ', "TOML"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, content: str, named: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ModelError, match=f"x.toml.*{named}"):
        read_family(path)


@pytest.mark.parametrize(
    ("name", "answers"),
    [
        ("castorini/monot5-base-msmarco", ("▁true", "▁false")),
        ("unicamp-dl/mt5-base-mmarco-v2", ("▁yes", "▁no")),
        ("unicamp-dl/mt5-13b-mmarco-100k", ("▁true", "▁")),
        ("unicamp-dl/mt5-3B-mmarco-en-pt", ("▁true", "▁")),
    ],
)
def test_answers_of_rerankers(name: str, answers: tuple[str, str]) -> None:
    """As in the table of castorini/rank_llm, src/rank_llm/rerank/pointwise/monot5.py."""
    assert PUBLISHED[name]["answers"] == answers
