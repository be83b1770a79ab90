from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import ance_ir.models.compute.inference as inference
import ance_ir.models.dense.encoding as encoding
from ance_ir.errors import ModelError, UsageError
from ance_ir.indexes import FirstP, MaxP, SlidingWindow
from ance_ir.models import DenseEncoder, Head, PassageScheme, TextSettings, Tower
from tests.tiny import WIDTH, WORDS, Kind, backbone, bert_tokenizer, encoder, tokenizer_of, tower

TEXTS = ["the cat sleeps", "a", "", " ".join(WORDS), "dense retrieval of a small dog", "日本", "who sings when the moon is red"]


def one_by_one(model: DenseEncoder, side: Tower, texts: list[str], length: int) -> np.ndarray:
    """What the Hugging Face modules and a head written out make of the texts, one at a time."""
    vectors = []
    for text in texts:
        encoded = model.tokenizer.tokenizer(text, truncation=True, max_length=length, return_tensors="pt")
        with torch.no_grad():
            hidden = side.backbone(input_ids=encoded["input_ids"]).last_hidden_state[0]
            vector = {"cls": hidden[0], "last": hidden[-1], "mean": hidden.mean(0)}[side.pooling]
            if side.head is not None:
                linear, norm = side.head.linear, side.head.norm
                vector = linear.weight @ vector + linear.bias
                vector = (vector - vector.mean()) / torch.sqrt(vector.var(unbiased=False) + 1e-5) * norm.weight + norm.bias
            if side.normalize:
                vector = vector / vector.norm()
        vectors.append(vector.numpy())
    return np.stack(vectors)


@pytest.mark.parametrize(
    ("kind", "pooling", "head", "normalize", "shared"),
    [  # any two of them together
        *(("bert", "cls", None, False, True), ("roberta", "cls", 12, True, True), ("bert", "cls", 12, False, False)),
        *(("roberta", "last", None, True, False), ("bert", "last", 12, True, True), ("roberta", "last", None, False, True)),
        *(("bert", "mean", None, True, False), ("roberta", "mean", 12, False, False), ("roberta", "mean", None, True, True)),
    ],
)
def test_vectors_are_those_of_the_modules_step_by_step(kind: Kind, pooling: str, head: int | None, normalize: bool, shared: bool) -> None:
    model = encoder(kind, pooling=pooling, head=head, normalize=normalize, shared=shared)
    assert model.shared is shared
    assert model.dimension == (head or WIDTH)
    assert model.similarity == ("cosine" if normalize else "dot")
    queries, passages = model.encode_queries(TEXTS), model.encode_passages(TEXTS)
    assert queries.dtype == passages.dtype == np.float32
    assert queries.shape == passages.shape == (len(TEXTS), model.dimension)
    np.testing.assert_allclose(queries, one_by_one(model, model.query_tower, TEXTS, 16), atol=1e-5, rtol=0)
    np.testing.assert_allclose(passages, one_by_one(model, model.passage_tower, TEXTS, 32), atol=1e-5, rtol=0)
    same = np.allclose(model.encode_queries(["cat"]), model.encode_passages(["cat"]), atol=1e-5)
    assert same is shared


def test_a_head_is_fresh_as_in_the_paper() -> None:
    head = Head(400, 300)
    assert head.linear.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert not head.linear.bias.any()
    assert head.norm.eps == 1e-5
    assert bool((head.norm.weight == 1).all())
    assert not head.norm.bias.any()


def test_the_order_of_texts_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model = encoder(head=16)
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, size=rng.integers(0, 40))) for _ in range(300)]
    vectors = model.encode_passages(texts)
    order = rng.permutation(len(texts))
    shuffled = model.encode_passages([texts[i] for i in order])
    np.testing.assert_allclose(shuffled, vectors[order], atol=1e-5)
    monkeypatch.setattr(encoding, "PIECE", 7)
    monkeypatch.setitem(encoding.WINDOW_TOKENS, "cpu", 200)
    monkeypatch.setitem(inference.TOKEN_BUDGET, "cpu", 50)
    np.testing.assert_allclose(model.encode_passages(texts), vectors, atol=1e-5)


@pytest.mark.parametrize("texts", [[], [""], ["  "]])
def test_no_texts_and_empty_texts(texts: list[str]) -> None:
    model = encoder(head=16)
    for vectors in (model.encode_queries(texts), model.encode_passages(texts)):
        assert vectors.shape == (len(texts), 16)
        assert np.isfinite(vectors).all()


@pytest.mark.parametrize("scheme", [FirstP(8), MaxP(8, 3), SlidingWindow(8, 3)], ids=repr)
def test_documents_are_encoded_passage_by_passage(scheme: PassageScheme) -> None:
    model = encoder(head=16)
    done: list[int] = []
    vectors, counts = model.encode_documents(TEXTS, scheme, done.append)
    passages = model.tokenizer.cut(TEXTS, scheme).lists()
    assert counts.tolist() == [len(parts) for parts in passages]
    assert sum(done) == len(vectors) == counts.sum()
    expected = []
    for parts in passages:
        for ids in parts:
            with torch.no_grad():
                expected.append(model.passage_tower(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.int64))[0].numpy())
    np.testing.assert_allclose(vectors, np.stack(expected), atol=1e-5)
    vectors, counts = model.encode_documents([], scheme)
    assert vectors.shape == (0, 16)
    assert counts.shape == (0,)


def test_first_p_is_the_passage_itself() -> None:
    model = encoder("roberta", text={"passage_prefix": "passage: "})
    np.testing.assert_allclose(model.encode_documents(TEXTS, FirstP())[0], model.encode_passages(TEXTS), atol=1e-5)


@pytest.mark.parametrize("mode", [True, False])
def test_encoding_leaves_every_modules_mode_alone(mode: bool) -> None:
    model = encoder(head=16).train(mode)
    model.query_tower.backbone.encoder.layer[1].train(not mode)
    before = [module.training for module in model.modules()]
    vectors = model.encode_queries(TEXTS)
    assert [module.training for module in model.modules()] == before
    np.testing.assert_array_equal(model.encode_queries(TEXTS), vectors, err_msg="dropout was on")
    np.testing.assert_allclose(vectors, model.eval().encode_queries(TEXTS), atol=1e-6)


def test_an_encoding_that_fails_leaves_the_mode_alone() -> None:
    model = encoder().train()

    def fail(done: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        model.encode_documents(["cat"], FirstP(), fail)
    assert all(module.training for module in model.modules())


def change_weight(model: DenseEncoder) -> DenseEncoder:
    with torch.no_grad():
        next(iter(model.passage_tower.backbone.encoder.parameters())).view(-1)[0] += 1e-4
    return model


def change_head(model: DenseEncoder) -> DenseEncoder:
    assert model.query_tower.head is not None and model.query_tower.head.norm is not None
    with torch.no_grad():
        model.query_tower.head.norm.bias[0] += 1e-4
    return model


def change_activation(model: DenseEncoder) -> DenseEncoder:
    old = model.query_tower.head
    assert old is not None
    new = Head(old.linear.in_features, old.linear.out_features, activation="tanh")
    new.load_state_dict(old.state_dict())
    model.query_tower.head = new
    return model


def change_pooling(model: DenseEncoder) -> DenseEncoder:
    model.query_tower.pooling = "cls"
    return model


def change_normalize(model: DenseEncoder) -> DenseEncoder:
    model.passage_tower.normalize = True
    return model


CHANGES: list[Callable[[DenseEncoder], DenseEncoder]] = [
    change_weight,
    change_head,
    change_activation,
    change_pooling,
    change_normalize,
    lambda model: model.half(),
    lambda model: model.with_settings(query_length=17),
    lambda model: model.with_settings(passage_length=31),
    lambda model: model.with_settings(fields=("text",)),
    lambda model: model.with_settings(separator="  "),
    lambda model: model.with_settings(title_pair=True),
    lambda model: model.with_settings(strip_question_mark=True),
    lambda model: model.with_settings(lower_case=True),
    lambda model: model.with_settings(max_characters=None),
    lambda model: model.with_settings(query_prefix="q"),
    lambda model: model.with_settings(passage_prefix="p"),
]


@pytest.mark.parametrize("shared", [True, False])
def test_the_fingerprint_tells_models_apart(shared: bool) -> None:
    model = encoder(head=16, shared=shared)
    fingerprints = [model.fingerprint(), *(change(copy.deepcopy(model)).fingerprint() for change in CHANGES)]
    assert len(set(fingerprints)) == len(CHANGES) + 1
    assert all(len(fingerprint) == 32 and int(fingerprint, 16) for fingerprint in fingerprints)


def test_the_fingerprint_stays_where_vectors_stay() -> None:
    model = encoder(head=16)
    fingerprint = model.fingerprint()
    model.encode_queries(["cat"])
    assert model.train().fingerprint() == fingerprint
    assert copy.deepcopy(model).fingerprint() == fingerprint
    assert encoder(head=16).fingerprint() == fingerprint
    model.name = "another"
    assert model.fingerprint() == fingerprint
    nn.init.zeros_(model.query_tower.backbone.pooler.dense.weight)  # plays no part in vectors
    assert model.fingerprint() == fingerprint


def test_changed_text_settings_share_the_towers() -> None:
    for shared in (True, False):
        model = encoder(shared=shared)
        changed = model.with_settings(query_length=5)
        assert changed.query_tower is model.query_tower
        assert changed.passage_tower is model.passage_tower
        assert changed.shared is shared
        assert (changed.settings.query_length, model.settings.query_length) == (5, 16)
        np.testing.assert_allclose(changed.encode_queries([TEXTS[3]]), one_by_one(model, model.query_tower, [TEXTS[3]], 5), atol=1e-5)


@pytest.mark.parametrize(
    ("query", "passage", "message"),
    [
        ({"head": 8}, {"head": 9}, "dimensions differ: 8 and 9"),
        ({"normalize": True}, {}, "one tower normalises its vectors, the other does not"),
    ],
)
def test_towers_that_do_not_fit_are_refused(query: dict[str, Any], passage: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        DenseEncoder(tower(**query), tower(**passage), bert_tokenizer(), TextSettings())


def test_an_unknown_pooling_is_refused() -> None:
    with pytest.raises(UsageError, match="pooling 'median'"):
        Tower(backbone(), pooling="median")  # type: ignore[arg-type]


def test_the_pooler_gets_no_gradients() -> None:
    model = tower(head=8).train()
    model(torch.tensor([[5, 6]]), torch.ones(1, 2, dtype=torch.int64)).sum().backward()
    assert all((parameter.grad is not None) is parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_padding_changes_nothing(kind: Kind) -> None:
    model = encoder(kind)
    alone = model.encode_queries(["cat"])
    together = model.encode_queries([" ".join(WORDS), "cat"])
    np.testing.assert_allclose(together[1:], alone, atol=1e-5)
    assert model.tokenizer.pad_id == tokenizer_of(kind).pad_token_id
