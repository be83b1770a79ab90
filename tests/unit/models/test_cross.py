"""Scores are those of Hugging Face's own modules; what is missing or damaged is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import MODEL_MAPPING, AutoModelForSequenceClassification, AutoTokenizer

from ance_ir.errors import ModelError, UsageError
from ance_ir.indexes import FirstP, MaxP
from ance_ir.models import CrossEncoder, PairSettings
from tests.tiny import WORDS, Architecture, backbone, classifier, cross_encoder, encoder, pair_tokenizer

QUERIES = ["king queen", "what is a cat", "", "the river"] * 5
TEXTS = [" ".join(np.random.default_rng(number).choice(WORDS, number)) for number in range(20)]


def write(folder: Path, architecture: Architecture = "bert", labels: int = 1, said: dict[str, Any] | None = None, **config: Any) -> Path:
    """A folder as Hugging Face's library writes it; ``said`` is added to its config.json."""
    classifier(architecture, labels, **config).save_pretrained(folder)
    pair_tokenizer(architecture).save_pretrained(folder)
    if said:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | said))
    return folder


def reference(folder: Path, queries: list[str], texts: list[str], length: int = 64) -> torch.Tensor:
    """Logits, ``[N, C]``, of Hugging Face's own model and tokeniser, a pair at a time."""
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        logits = [
            model(**tokenizer([query], [text], truncation="only_second", max_length=length, return_tensors="pt")).logits
            for query, text in zip(queries, texts, strict=True)
        ]
    return torch.cat(logits)


def close(found: np.ndarray, expected: torch.Tensor) -> None:
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-5)
    assert np.ptp(found) > 0.05, "the pairs lie apart"


@pytest.mark.parametrize("labels", [1, 2])
@pytest.mark.parametrize("architecture", get_args(Architecture))
def test_scores_are_hugging_faces(tmp_path: Path, architecture: Architecture, labels: int) -> None:
    folder = write(tmp_path / "x", architecture, labels)
    model = CrossEncoder.from_pretrained(folder, device="cpu")
    logits = reference(folder, QUERIES, TEXTS)
    close(model.score(QUERIES, TEXTS), logits[:, 0] if labels == 1 else logits[:, 1] - logits[:, 0])
    assert model.unused == ()
    assert model.settings == PairSettings(pair_length=64)


def test_a_bert_reranker_step_by_step(tmp_path: Path) -> None:
    folder = write(tmp_path / "x", labels=2)
    parts = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    expected = []
    with torch.no_grad():
        for query, text in zip(QUERIES, TEXTS, strict=True):
            ids = pair_tokenizer("bert")([query], [text], return_tensors="pt", truncation="only_second", max_length=64)
            first = parts.bert.encoder(parts.bert.embeddings(ids["input_ids"], ids["token_type_ids"])).last_hidden_state[0, 0]
            logits = parts.classifier(torch.tanh(parts.bert.pooler.dense(first)))
            expected.append(torch.log_softmax(logits, 0)[1] - torch.log_softmax(logits, 0)[0])
    close(CrossEncoder.from_pretrained(folder, device="cpu").score(QUERIES, TEXTS), torch.stack(expected))


@pytest.mark.parametrize(
    ("labels", "said", "expected"),
    [
        (1, {}, lambda logits: logits[:, 0]),
        (1, {"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}}, lambda logits: logits[:, 0]),
        (1, {"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Sigmoid"}}, lambda logits: logits[:, 0].sigmoid()),
        (1, {"sbert_ce_default_activation_function": "torch.nn.modules.activation.Sigmoid"}, lambda logits: logits[:, 0].sigmoid()),
        (2, {}, lambda logits: logits[:, 1] - logits[:, 0]),
        (2, {"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}}, lambda logits: logits[:, 1] - logits[:, 0]),
        (2, {"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Softmax"}}, lambda logits: logits.softmax(1)[:, 1]),
        (2, {"id2label": {"0": "relevant", "1": "other"}}, lambda logits: logits[:, 0] - logits[:, 1]),
        (2, {"id2label": {"0": "irrelevant", "1": "relevant"}}, lambda logits: logits[:, 1] - logits[:, 0]),
    ],
)
def test_the_score_is_what_the_checkpoint_says(
    tmp_path: Path, labels: int, said: dict[str, Any], expected: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    folder = write(tmp_path / "x", labels=labels, said=said)
    model = CrossEncoder.from_pretrained(folder, device="cpu")
    close(model.score(QUERIES, TEXTS), expected(reference(folder, QUERIES, TEXTS)))


@pytest.mark.parametrize("labels", [1, 2])
def test_log_odds_keep_apart_what_probabilities_cannot(labels: int) -> None:
    model = cross_encoder(labels=labels, score="probability")
    model.classifier.classifier.weight.data *= 100
    odds, probabilities = model.log_odds(QUERIES, TEXTS), model.score(QUERIES, TEXTS)
    np.testing.assert_allclose(probabilities, torch.sigmoid(torch.tensor(odds)).numpy(), rtol=1e-6)
    assert len(np.unique(odds)) > len(np.unique(probabilities))


def test_an_activation_that_is_no_score_is_refused_unless_one_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "x", labels=2, said={"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Sigmoid"}})
    with pytest.raises(ModelError, match=r"Sigmoid over 2 logits is none of .*; score='logit' opens"):
        CrossEncoder.from_pretrained(folder, device="cpu")
    assert CrossEncoder.from_pretrained(folder, device="cpu", score="logit").settings.score == "logit"


def test_a_score_does_not_depend_on_its_batch() -> None:
    model = cross_encoder()
    together = model.score(QUERIES, TEXTS)
    alone = [float(model.score([query], [text])[0]) for query, text in zip(QUERIES, TEXTS, strict=True)]
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-5)
    backwards = model.score(QUERIES[::-1], TEXTS[::-1])
    np.testing.assert_allclose(backwards[::-1], together, rtol=1e-5, atol=1e-5)


def test_equal_pairs_score_equally_and_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = cross_encoder()
    queries, texts = ["king", "the moon of", "king", "king"] * 5, ["star", "a cat", "star", "red fish"] * 5
    read = []
    scores = model.log_odds(queries, texts, progress=read.append)
    assert sum(read) == 3
    for query, text in set(zip(queries, texts, strict=True)):
        same = {float(score) for score, *pair in zip(scores, queries, texts, strict=True) if pair == [query, text]}
        assert len(same) == 1


def test_a_document_is_as_relevant_as_its_best_passage() -> None:
    model, scheme = cross_encoder(), MaxP(16, 3)
    documents = model.score_documents(QUERIES, TEXTS, scheme)
    for query, text, found in zip(QUERIES, TEXTS, documents, strict=True):
        ((*pairs,),) = model.tokenizer.pairs([query], [text], scheme)
        with torch.no_grad():
            best = max(float(model(*model.tokenizer.pad([pair]))) for pair in pairs)
        assert found == pytest.approx(best, rel=1e-5, abs=1e-5)
    np.testing.assert_allclose(model.score_documents(QUERIES, TEXTS, FirstP()), model.score(QUERIES, TEXTS), rtol=1e-6)
    assert (documents != model.score(QUERIES, TEXTS)).any()


def test_nothing_asked_nothing_found() -> None:
    assert cross_encoder().score([], []).shape == (0,)
    assert cross_encoder().score_documents([], [], MaxP(16, 2)).dtype == np.float32


def test_what_cannot_be_scored_is_refused() -> None:
    with pytest.raises(UsageError, match="1 and 2"):
        cross_encoder().score(["a"], ["b", "c"])
    with pytest.raises(UsageError, match="queries and texts are strings, found None"):
        cross_encoder().score(["a"], [None])  # type: ignore[list-item]


@pytest.mark.parametrize("architecture", ["bert", "roberta", "modernbert"])
@pytest.mark.parametrize("labels", [1, 2])
def test_bfloat16_orders_as_float32_does(architecture: Architecture, labels: int) -> None:
    model = cross_encoder(architecture, labels)
    exact = model.log_odds(QUERIES, TEXTS)
    rough = model.bfloat16().log_odds(QUERIES, TEXTS)
    assert rough.dtype == np.float32
    assert np.corrcoef(exact, rough)[0, 1] > 0.99
    assert (rough != torch.tensor(rough).bfloat16().float().numpy()).any(), "the last layer computes in float32"


@pytest.mark.parametrize("labels", [1, 2])
def test_what_is_saved_opens_again(tmp_path: Path, labels: int) -> None:
    model = cross_encoder(
        labels=labels, score="probability", query_prefix="q ", query_length=9, lower_case=True, fields=("text",), relevant_class=0
    )
    model.save(tmp_path / "x")
    again = CrossEncoder.from_pretrained(tmp_path / "x", device="cpu")
    assert again.settings == model.settings
    assert again.fingerprint() == model.fingerprint()
    assert again.name == str(tmp_path / "x")
    assert (again.score(QUERIES, TEXTS) == model.score(QUERIES, TEXTS)).all()
    others = AutoModelForSequenceClassification.from_pretrained(tmp_path / "x")
    assert all(torch.equal(value, others.state_dict()[name]) for name, value in model.classifier.state_dict().items())
    model.save(tmp_path / "x")
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(UsageError, match="holds something else"):
        model.save(tmp_path)


def test_opening_does_not_import_all_models_that_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(MODEL_MAPPING), "values", lambda self: pytest.fail("all of them would be imported"))
    cross_encoder().save(tmp_path / "x")
    assert CrossEncoder.from_pretrained(tmp_path / "x", device="cpu").score(["cat"], ["the cat"]).shape == (1,)


def test_the_fingerprint_knows_weights_and_settings() -> None:
    model = cross_encoder()
    assert model.fingerprint() == cross_encoder().fingerprint()
    others = [cross_encoder(seed=1), model.with_settings(pair_length=31), model.with_settings(score="probability")]
    assert len({model.fingerprint(), *(other.fingerprint() for other in others)}) == 4


def test_settings_can_be_changed_while_opening(tmp_path: Path) -> None:
    folder = write(tmp_path / "x")
    model = CrossEncoder.from_pretrained(folder, device="cpu", pair_length=20, query_length=4)
    assert (model.settings.pair_length, model.settings.query_length) == (20, 4)
    with pytest.raises(UsageError, match="pairs of 65 tokens are more than the 64"):
        CrossEncoder.from_pretrained(folder, device="cpu", pair_length=65)
    with pytest.raises(UsageError, match="unknown setting"):
        CrossEncoder.from_pretrained(folder, device="cpu", passage_length=20)
    with pytest.raises(UsageError, match="head 'new'"):
        CrossEncoder.from_pretrained(folder, device="cpu", fresh_head="new")  # type: ignore[arg-type]


@pytest.mark.parametrize("missing", ["classifier.weight", "bert.pooler.dense.bias", "bert.encoder.layer.1.output.dense.weight"])
def test_no_parameter_is_made_up(tmp_path: Path, missing: str) -> None:
    path = write(tmp_path / "x") / "model.safetensors"
    weights = load_file(path)
    del weights[missing]
    save_file(weights, path, {"format": "pt"})
    with pytest.raises(ModelError, match=rf"1 parameters of the model are not in the file: {missing}"):
        CrossEncoder.from_pretrained(tmp_path / "x", device="cpu")


@pytest.mark.parametrize("architecture", ["bert", "roberta", "distilbert"])
def test_a_folder_of_the_librarys_first_years(tmp_path: Path, architecture: Architecture) -> None:
    folder = write(tmp_path / "bert-base", architecture, labels=2)
    expected = CrossEncoder.from_pretrained(folder, device="cpu").score(QUERIES, TEXTS)
    path = folder / "model.safetensors"
    torch.save(load_file(path), folder / "pytorch_model.bin")
    path.unlink()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({key: config[key] for key in config if key not in ("model_type", "architectures")}))
    assert (CrossEncoder.from_pretrained(folder, device="cpu").score(QUERIES, TEXTS) == expected).all()


def test_leftover_weights_are_listed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "x") / "model.safetensors"
    more = {"bert.stranger": torch.zeros(2), "cls.predictions.bias": torch.zeros(2), "bert.embeddings.position_ids": torch.arange(64)}
    save_file({**load_file(path), **more}, path, {"format": "pt"})
    assert CrossEncoder.from_pretrained(tmp_path / "x", device="cpu").unused == ("bert.stranger",)
    assert caplog.messages == [f"{tmp_path / 'x'}: weights that have no place in the model: bert.stranger"]


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_a_backbone_needs_a_fresh_head_asked_for(tmp_path: Path, kind: Any) -> None:
    backbone(kind).save_pretrained(tmp_path / "x")
    pair_tokenizer(kind).save_pretrained(tmp_path / "x")
    with pytest.raises(
        ModelError, match=rf"no classification head \({kind}\), so it is no reranker; fresh_head='logit' .* gives its backbone a new"
    ):
        CrossEncoder.from_pretrained(tmp_path / "x", device="cpu")
    one, same, other = (CrossEncoder.from_pretrained(tmp_path / "x", device="cpu", fresh_head="logit", seed=seed) for seed in (1, 1, 2))
    assert one.fingerprint() == same.fingerprint() != other.fingerprint()
    inner = {name: value for name, value in one.classifier.base_model.state_dict().items() if "pooler" not in name}
    assert all(torch.equal(value, backbone(kind).state_dict()[name]) for name, value in inner.items())


def test_a_fresh_head_takes_the_place_of_another_and_of_a_dense_encoders_pooling(tmp_path: Path) -> None:
    write(tmp_path / "x", labels=3)
    with pytest.raises(ModelError, match=r"logit.*\b3\b"):
        CrossEncoder.from_pretrained(tmp_path / "x", device="cpu")
    assert CrossEncoder.from_pretrained(tmp_path / "x", device="cpu", fresh_head="logit").classifier.config.num_labels == 1
    encoder().save(tmp_path / "dense")
    with pytest.raises(ModelError, match=r"holds an encoder, not a reranker; .*DenseEncoder.*fresh_head"):
        CrossEncoder.from_pretrained(tmp_path / "dense", device="cpu")
    model = CrossEncoder.from_pretrained(tmp_path / "dense", device="cpu", fresh_head="logit")
    model.save(tmp_path / "y")
    assert CrossEncoder.from_pretrained(tmp_path / "y", device="cpu").fingerprint() == model.fingerprint()


def test_a_fresh_head_leaves_the_global_generator_alone(tmp_path: Path) -> None:
    write(tmp_path / "x")
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    CrossEncoder.from_pretrained(tmp_path / "x", device="cpu", fresh_head="logit")
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("model.safetensors", r"model\.safetensors cannot be read"),
        ("config.json", r"config\.json"),
        ("tokenizer.json", "the tokeniser does not load"),
        ("ance_ir.json", r"ance_ir\.json: expected JSON"),
        ("modules.json", r"modules\.json: expected JSON"),
    ],
)
def test_a_damaged_checkpoint_is_named(tmp_path: Path, file: str, message: str) -> None:
    cross_encoder().save(tmp_path / "x")
    path = tmp_path / "x" / file
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ModelError, match=message):
        CrossEncoder.from_pretrained(tmp_path / "x", device="cpu")


def test_a_folder_that_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"config\.json"):
        CrossEncoder.from_pretrained(tmp_path, device="cpu")
    with pytest.raises(ModelError, match="no model 'nobody/nothing'"):
        CrossEncoder.from_pretrained("nobody/nothing", device="cpu")
    cross_encoder().save(tmp_path / "x")
    path = tmp_path / "x" / "ance_ir.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 2}))
    with pytest.raises(ModelError, match="format 2 is not 1; a newer version"):
        CrossEncoder.from_pretrained(tmp_path / "x", device="cpu")


@pytest.mark.parametrize("labels", [1, 2])
def test_scores_stay_in_float32_under_autocast(labels: int) -> None:
    model = cross_encoder(labels=labels)
    seen: list[torch.dtype] = []
    linear = [module for module in model.classifier.modules() if isinstance(module, torch.nn.Linear)][-1]
    linear.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        scores = model(torch.tensor([[2, 5, 3, 6, 3]]), torch.ones((1, 5), dtype=torch.int64))
    assert scores.dtype == torch.float32
    assert seen == [torch.float32]
