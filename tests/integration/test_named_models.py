"""Models of the table of published names: vectors as those who publish or reproduce them compute them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel, DistilBertConfig, DistilBertModel, LlamaConfig, LlamaModel, RobertaConfig, RobertaModel

from ance_ir.errors import ModelError, UsageError
from ance_ir.models import DenseEncoder
from ance_ir.models.dense.published import published_models
from tests.published import ance_weights, into_cache, write_ance
from tests.tiny import WORDS, backbone, bert_tokenizer, roberta_tokenizer

pytestmark = pytest.mark.integration

TEXTS = [" ".join(WORDS[start : start + length]) for start, length in zip(range(6), (1, 5, 20, 3, 12, 30), strict=True)]
SHAPE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48, "initializer_range": 0.3}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no network."""
    from huggingface_hub import constants

    cache = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return cache


def published(hub: Path, name: str, seed: int = 0, kind: str = "bert") -> None:
    """A small bare backbone in the cache as the model of a name, with the 512 positions that the models have."""
    torch.manual_seed(seed)
    words = {"vocab_size": len(bert_tokenizer()), "max_position_embeddings": 512}
    if kind == "bert":
        model: Any = BertModel(BertConfig(**SHAPE, **words))
    else:
        model = DistilBertModel(DistilBertConfig(dim=32, n_layers=2, n_heads=2, hidden_dim=48, initializer_range=0.3, **words))
    folder = hub.parent / f"model-{seed}"
    model.save_pretrained(folder)
    tokenizer = bert_tokenizer().__class__.from_pretrained(_saved_tokenizer(hub.parent), model_max_length=512)
    tokenizer.save_pretrained(folder)
    into_cache(hub, name, folder)


def _saved_tokenizer(folder: Path, tokenizer: Any = None) -> Path:
    (tokenizer or bert_tokenizer()).save_pretrained(folder / "tokenizer")
    return folder / "tokenizer"


def same(model: DenseEncoder, queries: np.ndarray, passages: np.ndarray) -> None:
    for encode, expected in ((model.encode_queries, queries), (model.encode_passages, passages)):
        np.testing.assert_allclose(encode(TEXTS), expected, atol=1e-5)
        np.testing.assert_allclose(np.concatenate([encode([text]) for text in TEXTS]), expected, atol=1e-5)


def pyterrier_dr(name: str) -> Callable[..., Any]:
    library = pytest.importorskip("pyterrier_dr")
    return getattr(library, name)  # type: ignore[no-any-return]


def test_tct_colbert_is_that_of_pyterrier_dr(tmp_path: Path, hub: Path) -> None:
    name = "castorini/tct_colbert-v2-hnp-msmarco"
    published(hub, name)
    published(hub, "bert-base-uncased", seed=1)  # whose tokeniser the library takes
    other = pyterrier_dr("TctColBert")(name, device="cpu")
    model = DenseEncoder.from_pretrained(name, device="cpu")
    assert (model.similarity, model.settings.query_length, model.settings.passage_length) == ("dot", 36, 512)
    same(model, other.encode_queries(TEXTS), other.encode_docs(TEXTS))
    model.save(tmp_path / "again")
    again = DenseEncoder.from_pretrained(tmp_path / "again", device="cpu")
    assert again.fingerprint() == model.fingerprint()
    same(again, other.encode_queries(TEXTS), other.encode_docs(TEXTS))
    with pytest.raises(UsageError, match="mean-from-4"):
        model.as_sentence_transformer()


@pytest.mark.parametrize("named", ["facebook/dragon-plus-query-encoder", "facebook/dragon-plus-context-encoder"])
def test_dragon_is_that_of_pyterrier_dr(tmp_path: Path, hub: Path, named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed, name in enumerate(("facebook/dragon-plus-query-encoder", "facebook/dragon-plus-context-encoder")):
        published(hub, name, seed)
    monkeypatch.setattr(pyterrier_dr("Dragon"), "device", "cpu", raising=False)  # which it does not set itself where it is given
    other = pyterrier_dr("Dragon")(device="cpu")
    model = DenseEncoder.from_pretrained(named, device="cpu")
    assert (model.similarity, model.shared, model.settings.query_length) == ("dot", False, 512)
    same(model, other.encode_queries(TEXTS), other.encode_docs(TEXTS))
    assert DenseEncoder.from_pretrained(model.name, device="cpu").fingerprint() == model.fingerprint()
    model.save(tmp_path / "again")
    assert DenseEncoder.from_pretrained(tmp_path / "again", device="cpu").fingerprint() == model.fingerprint()


@pytest.mark.parametrize(
    ("name", "kind", "library"),
    [
        ("sebastian-hofstaetter/distilbert-dot-tas_b-b256-msmarco", "distilbert", "TasB"),
        ("Shitao/RetroMAE_MSMARCO_distill", "bert", "RetroMAE"),
    ],
)
def test_bare_backbones_are_those_of_pyterrier_dr(hub: Path, name: str, kind: str, library: str) -> None:
    published(hub, name, kind=kind)
    other = pyterrier_dr(library)(name, device="cpu")
    model = DenseEncoder.from_pretrained(name, device="cpu")
    assert model.similarity == "dot"
    same(model, other.encode_queries(TEXTS), other.encode_docs(TEXTS))


def _folder(folder: Path, *, decoder: bool) -> Any:
    """A folder of sentence-transformers without prompts, and its model there."""
    library = pytest.importorskip("sentence_transformers")
    from sentence_transformers.sentence_transformer import modules

    start = folder.parent / f"start-of-{folder.name}"
    if decoder:
        _decoder(start)
    else:
        backbone().save_pretrained(start)
        bert_tokenizer().save_pretrained(start)
    parts = [modules.Transformer(str(start), max_seq_length=60), modules.Pooling(32, pooling_mode="lasttoken" if decoder else "mean")]
    made = library.SentenceTransformer(modules=[*parts, modules.Normalize()], device="cpu")
    made.save(str(folder))
    return made


_TASK = "Given a web search query, retrieve relevant passages that answer the query"


@pytest.mark.parametrize(
    ("name", "query", "passage"),
    [
        ("intfloat/multilingual-e5-base", "query: ", "passage: "),
        ("BAAI/bge-base-en-v1.5", "Represent this sentence for searching relevant passages: ", ""),
        ("nomic-ai/nomic-embed-text-v1.5", "search_query: ", "search_document: "),
        ("Qwen/Qwen3-Embedding-0.6B", f"Instruct: {_TASK}\nQuery:", ""),
        ("sentence-transformers/gtr-t5-base", "", ""),
    ],
)
def test_prompts_come_with_the_name(tmp_path: Path, hub: Path, name: str, query: str, passage: str) -> None:
    decoder = "Qwen" in name
    other = _folder(tmp_path / "x", decoder=decoder)
    into_cache(hub, name, tmp_path / "x")
    model = DenseEncoder.from_pretrained(name, device="cpu")
    assert (model.similarity, model.prompts) == ("cosine", {"query": query, "document": passage})
    texts = TEXTS[:4]
    np.testing.assert_allclose(model.encode_queries(texts), other.encode(texts, prompt=query), atol=1e-5)
    np.testing.assert_allclose(model.encode_passages(texts), other.encode(texts, prompt=passage), atol=1e-5)
    if decoder:
        asked = DenseEncoder.from_pretrained(name, device="cpu", instruction="Find code")
        expected = other.encode(texts, prompt=query.replace(_TASK, "Find code"))
        np.testing.assert_allclose(asked.encode_queries(texts), expected, atol=1e-5)
    own = DenseEncoder.from_pretrained(name, device="cpu", query_prefix="", passage_prefix="x ")
    np.testing.assert_allclose(own.encode_queries(texts), other.encode(texts), atol=1e-5)


@pytest.mark.slow
def test_every_name_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the settings of its entry: a bare backbone stands in for each."""
    for kind in ("bert", "roberta"):
        model = RobertaModel if kind == "roberta" else BertModel
        config = RobertaConfig if kind == "roberta" else BertConfig
        tokenizer = roberta_tokenizer() if kind == "roberta" else bert_tokenizer()
        shape = {**SHAPE, "num_hidden_layers": 1, "vocab_size": len(tokenizer), "max_position_embeddings": 514}
        model(config(**shape)).save_pretrained(tmp_path / kind)
        tokenizer.__class__.from_pretrained(_saved_tokenizer(tmp_path, tokenizer), model_max_length=512).save_pretrained(tmp_path / kind)
    added = roberta_tokenizer().__class__.from_pretrained(tmp_path / "roberta")
    added.add_special_tokens({"additional_special_tokens": ["<|endoftext|>"]})
    RobertaModel(RobertaConfig(**{**shape, "vocab_size": len(added)})).save_pretrained(tmp_path / "other")
    added.save_pretrained(tmp_path / "other")
    of_end = {"</s>": "roberta", "<|endoftext|>": "other"}
    for name, known in published_models().items():
        stand_in = tmp_path / of_end.get(known.text.get("end_token", ""), "bert")
        monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, stand_in=stand_in, **options: str(stand_in))
        opened = DenseEncoder.from_pretrained(name, device="cpu")
        assert opened.query_tower.pooling == (known.pooling or "mean"), name
        assert opened.similarity == (known.similarity or "cosine") and opened.shared == (known.partner is None), name
        found = {setting: getattr(opened.settings, setting) for setting in known.text}
        assert found == known.text, name
        assert np.isfinite(opened.encode_queries(["the king"])).all()


def test_simlm_reads_titles_as_first_texts_and_has_unit_length(tmp_path: Path, hub: Path) -> None:
    """As its card: a passage without a title has the title "-", and what the tokeniser says of the two texts goes into the model."""
    name = "intfloat/simlm-base-msmarco-finetuned"
    published(hub, name)
    model = DenseEncoder.from_pretrained(name, device="cpu")
    titles = ["the moon", "-", "-", "a queen of the river"]
    documents = [{"title": title if title != "-" else "", "text": text} for title, text in zip(titles, TEXTS[2:], strict=True)]
    pairs = bert_tokenizer()(
        titles, TEXTS[2:], truncation=True, max_length=144, padding=True, return_tensors="pt", return_token_type_ids=True
    )
    assert pairs["token_type_ids"].any()
    with torch.no_grad():
        passages = torch.nn.functional.normalize(model.query_tower.backbone(**pairs).last_hidden_state[:, 0], dim=-1)
    model.save(tmp_path / "again")
    for opened in (model, DenseEncoder.from_pretrained(tmp_path / "again", device="cpu"), model.with_settings(query_length=20)):
        assert opened.shared
        texts = [opened.settings.join(document) for document in documents]
        np.testing.assert_allclose(opened.encode_passages(texts), passages, atol=1e-5)
        np.testing.assert_allclose(np.concatenate([opened.encode_passages([text]) for text in texts]), passages, atol=1e-5)
    queries = bert_tokenizer()(TEXTS, truncation=True, max_length=32, padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = torch.nn.functional.normalize(model.query_tower.backbone(**queries).last_hidden_state[:, 0], dim=-1)
    np.testing.assert_allclose(model.encode_queries(TEXTS), expected, atol=1e-5)
    assert (model.similarity, model.settings.query_length, model.settings.passage_length) == ("cosine", 32, 144)
    plain = model.with_settings(title_types=False, untitled="")
    assert np.abs(plain.encode_passages([("the moon", TEXTS[2])]) - passages[:1].numpy()).max() > 1e-3
    np.testing.assert_allclose(model.encode_passages([("the moon", TEXTS[2])]), passages[:1], atol=1e-5)  # as before


def test_star_and_adore_are_a_pair_of_ance_folders(tmp_path: Path) -> None:
    weights = ance_weights()
    star = write_ance(tmp_path / "star", weights)
    moved = {name: tensor + 0.01 if name == "embeddingHead.bias" else tensor for name, tensor in weights.items()}
    adore = write_ance(tmp_path / "adore", moved)
    alone = {name: DenseEncoder.from_pretrained(tmp_path / name, device="cpu") for name in ("star", "adore")}
    model = DenseEncoder.from_pretrained((adore, star), device="cpu", query_length=32, passage_length=64)
    assert (model.origin.layout, model.shared, model.settings.query_length, model.settings.lower_case) == ("ANCE", False, 32, True)
    np.testing.assert_array_equal(model.encode_queries(TEXTS), alone["adore"].with_settings(query_length=32).encode_queries(TEXTS))
    np.testing.assert_array_equal(model.encode_passages(TEXTS), alone["star"].encode_passages(TEXTS))
    model.save(tmp_path / "two")
    with pytest.raises(ModelError, match="two towers"):
        DenseEncoder.from_pretrained((tmp_path / "two", star), device="cpu")


def _decoder(folder: Path) -> tuple[LlamaModel, Any]:
    torch.manual_seed(0)
    config = LlamaConfig(**SHAPE, vocab_size=len(roberta_tokenizer()), pad_token_id=1, bos_token_id=0, eos_token_id=2)
    model = LlamaModel(config).eval()
    model.save_pretrained(folder)
    roberta_tokenizer().save_pretrained(folder)
    return model, roberta_tokenizer()


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_decoder_of_the_last_token_is_as_by_hand_padded_on_either_side(tmp_path: Path, side: str) -> None:
    """As RepLLaMA: a prefix, the end of text after each text, the last token's hidden state at length 1."""
    backbone, tokenizer = _decoder(tmp_path / "x")
    settings = {"query_prefix": "query: ", "passage_prefix": "passage: ", "end_token": "</s>"}
    model = DenseEncoder.from_pretrained(tmp_path / "x", device="cpu", pooling="last", similarity="cosine", **settings)
    for prefix, encode in (("query: ", model.encode_queries), ("passage: ", model.encode_passages)):
        rows = [[0, *tokenizer(prefix + text, add_special_tokens=False)["input_ids"], 2] for text in TEXTS]
        longest = max(map(len, rows))
        padding = [[1] * (longest - len(row)) for row in rows]
        ids = torch.tensor([pads + row if side == "left" else row + pads for row, pads in zip(rows, padding, strict=True)])
        with torch.no_grad():
            hidden = backbone(input_ids=ids, attention_mask=(ids != 1).long()).last_hidden_state
        last = [longest - 1 if side == "left" else len(row) - 1 for row in rows]
        expected = torch.nn.functional.normalize(hidden[torch.arange(len(rows)), last], dim=-1)
        np.testing.assert_allclose(encode(TEXTS), expected, atol=1e-5)
        np.testing.assert_allclose(np.concatenate([encode([text]) for text in TEXTS]), expected, atol=1e-5)


def test_repllama_is_an_adapter_that_has_its_settings_from_the_table(tmp_path: Path, hub: Path) -> None:
    peft = pytest.importorskip("peft")
    backbone, tokenizer = _decoder(tmp_path / "base")
    roberta_tokenizer().__class__.from_pretrained(tmp_path / "base", model_max_length=512).save_pretrained(tmp_path / "base")
    config = peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="FEATURE_EXTRACTION")
    backbone.name_or_path = str(tmp_path / "base")
    adapted = peft.get_peft_model(backbone, config).eval()
    adapted.save_pretrained(tmp_path / "adapter")
    name = "castorini/repllama-v1-7b-lora-passage"
    into_cache(hub, name, tmp_path / "adapter")
    model = DenseEncoder.from_pretrained(name, device="cpu")
    assert (model.query_tower.pooling, model.similarity, model.settings.end_token) == ("last", "cosine", "</s>")
    for prefix, encode in (("query: ", model.encode_queries), ("passage: ", model.encode_passages)):
        for text in TEXTS[:3]:
            ids = torch.tensor([[0, *tokenizer(prefix + text, add_special_tokens=False)["input_ids"], 2]])
            with torch.no_grad():
                hidden = adapted(input_ids=ids).last_hidden_state[:, -1]
            np.testing.assert_allclose(encode([text]), torch.nn.functional.normalize(hidden, dim=-1), atol=1e-5)


@pytest.mark.parametrize("own", [False, True], ids=["nothing of its own", "own prompts"])
def test_an_adapter_over_a_published_base_keeps_what_is_known_of_the_base(tmp_path: Path, hub: Path, own: bool) -> None:
    peft = pytest.importorskip("peft")
    name = "intfloat/e5-mistral-7b-instruct"
    backbone, _ = _decoder(tmp_path / "base")
    into_cache(hub, name, tmp_path / "base")
    backbone.name_or_path = name
    config = peft.LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights=False)
    peft.get_peft_model(backbone, config).save_pretrained(tmp_path / "adapter")
    if own:
        modules = [("Transformer", ""), ("Pooling", "1_Pooling")]
        listed = [{"idx": i, "path": path, "type": f"sentence_transformers.models.{kind}"} for i, (kind, path) in enumerate(modules)]
        for file, content in {
            "modules.json": listed,
            "1_Pooling/config.json": {"word_embedding_dimension": 32, "pooling_mode_lasttoken": True},
            "config_sentence_transformers.json": {"prompts": {"query": "ask: "}},
        }.items():
            (tmp_path / "adapter" / file).parent.mkdir(exist_ok=True)
            (tmp_path / "adapter" / file).write_text(json.dumps(content))
    base, model = (DenseEncoder.from_pretrained(one, device="cpu") for one in (name, tmp_path / "adapter"))
    assert model.query_tower.pooling == base.query_tower.pooling == "last"
    assert model.settings.end_token == base.settings.end_token != ""
    assert base.settings.query_prefix.startswith("Instruct: ")
    assert model.settings.query_prefix == ("ask: " if own else base.settings.query_prefix)
