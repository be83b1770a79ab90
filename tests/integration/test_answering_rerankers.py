"""Rerankers that answer by a token: equal to sentence-transformers' cross-encoders and to probabilities computed by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, Gemma2Config, LlamaConfig

from ance_ir.errors import ModelError, UsageError
from ance_ir.indexes import MaxP
from ance_ir.models import CrossEncoder, find_family
from tests.answering import CHAT, chat_tokenizer, t5_tokenizer, write_language_model, write_t5
from tests.tiny import WORDS

sentence_transformers = pytest.importorskip("sentence_transformers")

pytestmark = pytest.mark.integration

PAIRS = [(f"what is {WORDS[number]}?", " ".join(np.random.default_rng(number).choice(WORDS, 3 * number))) for number in range(20)]
PAIRS += [("", ""), ("king", ""), ("", "queen"), ("The KING.", "日本 Queen?"), ("a star ", " moon " * 200), ("why.", "who?\n")]
QUERIES, TEXTS = zip(*PAIRS, strict=True)


def close(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert np.ptp(found) > 0.05, "the pairs lie apart"


def same(found: np.ndarray, expected: Any) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def theirs(folder: Path, **options: Any) -> Any:
    return sentence_transformers.CrossEncoder(str(folder), device="cpu", **options)


def saved(folder: Path, hf: Path, **options: Any) -> Any:
    """A folder that sentence-transformers wrote, and its model."""
    model = theirs(hf, **options)
    model.save_pretrained(str(folder))
    return model


@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("activation", ["Identity", "Sigmoid"])
def test_a_folder_that_sentence_transformers_saved(tmp_path: Path, activation: str, batch_size: int) -> None:
    other = saved(tmp_path / "x", write_language_model(tmp_path / "hf"), max_length=160, activation_fn=getattr(torch.nn, activation)())
    model = CrossEncoder.from_pretrained(tmp_path / "x", device="cpu")
    assert model.settings.answers == ("yes", "no")
    assert (model.settings.instruction, model.settings.pair_length) == ("Given a web search query", 160)
    assert find_family(tmp_path / "x") == "reranker"
    expected = other.predict(PAIRS, batch_size=batch_size)
    close(model.score(QUERIES, TEXTS), expected)
    alone = [float(model.score([query], [text])[0]) for query, text in PAIRS]
    same(np.array(alone), expected)


@pytest.mark.parametrize(
    "config",
    [
        {"tie_word_embeddings": True},
        {"config": LlamaConfig},
        {"config": Gemma2Config, "final_logit_softcapping": 0.4, "attn_logit_softcapping": None, "query_pre_attn_scalar": 16},
    ],
    ids=["tied", "llama", "gemma2"],
)
def test_other_language_models(tmp_path: Path, config: dict[str, Any]) -> None:
    hf = write_language_model(tmp_path / "hf", **config)
    close(
        CrossEncoder.from_pretrained(hf, device="cpu").score(QUERIES, TEXTS), theirs(hf, activation_fn=torch.nn.Identity()).predict(PAIRS)
    )


def test_one_answer_alone(tmp_path: Path) -> None:
    other = saved(tmp_path / "x", write_language_model(tmp_path / "hf"), activation_fn=torch.nn.Identity())
    path = tmp_path / "x" / "1_LogitScore" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"false_token_id": None}))
    other[1].false_token_id = None
    model = CrossEncoder.from_pretrained(tmp_path / "x", device="cpu")
    assert model.settings.answers == ("yes",)
    close(model.score(QUERIES, TEXTS), other.predict(PAIRS))


def test_the_instruction_is_the_prompt_and_can_be_set(tmp_path: Path) -> None:
    hf = write_language_model(tmp_path / "hf")
    other = saved(tmp_path / "x", hf, prompts={"query": "Find cats", "law": "Find law"}, default_prompt_name="query")
    model = CrossEncoder.from_pretrained(tmp_path / "x", device="cpu")
    assert model.settings.instruction == "Find cats"
    close(model.score(QUERIES, TEXTS), other.predict(PAIRS))
    close(model.with_settings(instruction="Find law").score(QUERIES, TEXTS), other.predict(PAIRS, prompt_name="law"))
    opened = CrossEncoder.from_pretrained(tmp_path / "x", device="cpu", instruction="Find law")
    assert opened.fingerprint() != model.fingerprint()
    close(opened.score(QUERIES, TEXTS), other.predict(PAIRS, prompt_name="law"))


def test_an_instruction_that_a_template_has_only_when_there_is_one(tmp_path: Path) -> None:
    chat = CHAT.replace("<Instruct>: ", '{% if messages[0].role == "system" %}<I>: ').replace(
        'first | default("Given a web search query") }}', "first }}{% endif %}"
    )
    hf = write_language_model(tmp_path / "hf", chat)
    other = theirs(hf, activation_fn=torch.nn.Identity())
    close(CrossEncoder.from_pretrained(hf, device="cpu").score(QUERIES, TEXTS), other.predict(PAIRS))
    model = CrossEncoder.from_pretrained(hf, device="cpu", instruction="Find law")
    close(model.score(QUERIES, TEXTS), other.predict(PAIRS, prompt="Find law"))


def test_a_template_that_trims_and_arguments_of_the_template(tmp_path: Path) -> None:
    chat = CHAT.replace("| first }}", "| first | trim }}").replace(
        "<think>\n\n</think>\n\n", "{% if add_generation_prompt %}<think>{% endif %}"
    )
    hf = write_language_model(tmp_path / "hf", chat)
    other = saved(tmp_path / "x", hf, activation_fn=torch.nn.Identity(), processor_kwargs={})
    path = tmp_path / "x" / "sentence_bert_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"processing_kwargs": {"chat_template": {"add_generation_prompt": True}}}))
    model = CrossEncoder.from_pretrained(tmp_path / "x", device="cpu")
    assert "{query|trim}" in model.settings.template
    assert model.settings.template.endswith("<think>")
    other = theirs(tmp_path / "x")
    close(model.score(QUERIES, TEXTS), other.predict(PAIRS))


def test_what_we_save_is_opened(tmp_path: Path) -> None:
    model = CrossEncoder.from_pretrained(
        write_language_model(tmp_path / "hf"), device="cpu", instruction='Find "law"\nnow', pair_length=150
    )
    model.save(tmp_path / "x")
    close(model.score(QUERIES, TEXTS), theirs(tmp_path / "x").predict(PAIRS))
    again = CrossEncoder.from_pretrained(tmp_path / "x", device="cpu")
    assert again.fingerprint() == model.fingerprint()
    (tmp_path / "x" / "ance_ir.json").unlink()
    close(CrossEncoder.from_pretrained(tmp_path / "x", device="cpu").score(QUERIES, TEXTS), model.score(QUERIES, TEXTS))


def test_a_pair_without_a_template(tmp_path: Path) -> None:
    hf = write_language_model(tmp_path / "hf")
    saved(tmp_path / "x", hf, activation_fn=torch.nn.Identity(), prompts={"q": "find: "}, default_prompt_name="q")
    path = tmp_path / "x" / "sentence_bert_config.json"
    said = json.loads(path.read_text())
    del said["modality_config"]["message"]
    path.write_text(json.dumps(said))
    some = [number for number, (query, text) in enumerate(PAIRS) if query and text]
    model, other = CrossEncoder.from_pretrained(tmp_path / "x", device="cpu"), theirs(tmp_path / "x")
    assert (model.settings.template, model.settings.query_prefix) == ("", "find: ")
    close(model.score([QUERIES[i] for i in some], [TEXTS[i] for i in some]), other.predict([PAIRS[i] for i in some]))


def test_a_folder_without_a_template_is_read_as_its_type_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    hf = write_language_model(tmp_path / "hf", None)
    model = CrossEncoder.from_pretrained(hf, device="cpu")
    assert "most of its type (qwen3)" in caplog.text
    # as the card of Qwen3-Reranker computes it: prefix and suffix as tokens of their own around the rest
    prefix, _, rest = model.settings.template.partition("<Instruct>")
    middle, _, suffix = ("<Instruct>" + rest).partition("<|im_end|>")
    tokenizer, expected = chat_tokenizer(), []
    for query, text in PAIRS:
        pair = middle.replace("{instruction}", model.settings.instruction).replace("{query}", query).replace("{document}", text)
        parts = [tokenizer(part, add_special_tokens=False)["input_ids"] for part in (prefix, pair, "<|im_end|>" + suffix)]
        parts[1] = parts[1][: 400 - len(parts[0]) - len(parts[2])]
        with torch.no_grad():
            logits = (
                model.classifier.lm_head.weight
                @ model.classifier.model(torch.tensor([[*parts[0], *parts[1], *parts[2]]])).last_hidden_state[0, -1]
            )
        yes, no = (logits[tokenizer.get_vocab()[answer]] for answer in ("yes", "no"))
        expected.append(float(yes - no))
    close(model.log_odds(QUERIES, TEXTS), np.array(expected))


def test_passages_of_a_long_document(tmp_path: Path) -> None:
    model = CrossEncoder.from_pretrained(write_language_model(tmp_path / "hf"), device="cpu")
    text = " ".join(WORDS * 6)
    (whole,), (parts,) = model.tokenizer.pairs(["king?"], [text]), model.tokenizer.pairs(["king?"], [text], MaxP(180, 4))
    assert len(parts) == 4 and all(len(pair.ids) <= 180 for pair in parts)
    head, tail = parts[0].ids[:80], parts[0].ids[-12:]
    assert all(pair.ids[:80] == head and pair.ids[-12:] == tail for pair in [*parts, *whole])
    best = max(model(*model.tokenizer.pad([pair])).item() for pair in parts)
    assert model.score_documents(["king?"], [text], MaxP(180, 4))[0] == pytest.approx(best, abs=1e-5)


def test_what_comes_after_a_document_stays_where_its_end_is_cut_off(tmp_path: Path) -> None:
    hf = write_language_model(tmp_path / "hf")
    model = CrossEncoder.from_pretrained(hf, device="cpu", template="{query}\n{document}: yes or no\n", pair_length=60)
    tokenizer = chat_tokenizer()
    assert ">:" in tokenizer.convert_ids_to_tokens(tokenizer("moon>: yes")["input_ids"]), "its end and what follows are one"
    ((short,),), ((cut,),) = (model.tokenizer.pairs(["king"], [text]) for text in ("moon>", "moon " * 100 + ">"))
    assert tokenizer.decode(short.ids) == "king\nmoon>: yes or no\n"
    assert len(cut.ids) == 60
    assert tokenizer.decode(cut.ids).endswith("moon: yes or no\n")
    asked = model.with_settings(template="{document} {query}: yes or no\n", query_length=8)
    for query, expected in (("king>", "moon king>: yes or no\n"), ("king " * 20 + ">", "moon" + " king" * 8 + ": yes or no\n")):
        assert tokenizer.decode(asked.tokenizer.pairs([query], ["moon"])[0][0].ids) == expected


@pytest.mark.parametrize("tied", [True, False])
def test_monot5_by_hand(tmp_path: Path, tied: bool, caplog: pytest.LogCaptureFixture) -> None:
    folder = write_t5(tmp_path / "t5", tie_word_embeddings=tied)
    model = CrossEncoder.from_pretrained(folder, device="cpu")
    assert "most of its type (t5)" in caplog.text
    t5, tokenizer = AutoModelForSeq2SeqLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    tail = tokenizer("Relevant:")["input_ids"]
    true, false = tokenizer.get_vocab()["▁true"], tokenizer.get_vocab()["▁false"]
    odds, expected = [], []
    for query, text in PAIRS:
        ids = tokenizer(f"Query: {query} Document: {text} Relevant:")["input_ids"]
        ids = ids if len(ids) <= 64 else [*ids[: 64 - len(tail)], *tail]  # the document loses its end, not the template
        with torch.no_grad():
            logits = t5(input_ids=torch.tensor([ids]), decoder_input_ids=torch.tensor([[0]])).logits[0, 0]
        odds.append((logits[true] - logits[false]).item())
        expected.append(torch.log_softmax(logits[[true, false]], 0)[0].item())
    close(model.log_odds(QUERIES, TEXTS), np.array(odds))
    same(model.score(QUERIES, TEXTS), expected)
    same(model.with_settings(score="probability").score(QUERIES, TEXTS), np.exp(expected))
    model.save(tmp_path / "saved")
    same(CrossEncoder.from_pretrained(tmp_path / "saved", device="cpu").score(QUERIES, TEXTS), expected)
    mt5 = model.with_settings(answers=("▁yes", "▁no"))
    assert np.abs(mt5.score(QUERIES, TEXTS) - expected).max() > 0.01
    same(model.score(QUERIES, TEXTS), expected)


def test_what_the_caller_says_opens_a_model_that_says_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Also where the usual answers of its type, or those of language models, would be no tokens of it."""
    said = {"template": "{query} {document} ?", "answers": ("▁yes", "▁no"), "pair_length": 60}
    folder = write_t5(tmp_path / "t5")
    model = CrossEncoder.from_pretrained(folder, device="cpu", **said)
    assert not caplog.records and "answers, pair_length, template changed by the caller" in model.origin.settings
    same(model.log_odds(QUERIES, TEXTS), CrossEncoder.from_pretrained(folder, device="cpu").with_settings(**said).log_odds(QUERIES, TEXTS))
    lm = write_language_model(tmp_path / "hf", None, config=LlamaConfig)
    t5_tokenizer().save_pretrained(lm)
    assert len(np.unique(CrossEncoder.from_pretrained(lm, device="cpu", **said).log_odds(QUERIES, TEXTS))) > 20


def test_bfloat16_weights_are_kept_and_answers_computed_in_float32(tmp_path: Path) -> None:
    folder = write_t5(tmp_path / "t5", dtype=torch.bfloat16)
    lm = write_language_model(tmp_path / "hf", dtype=torch.bfloat16)
    for path in (folder, lm):
        model = CrossEncoder.from_pretrained(path, device="cpu")
        assert model.precision == "bfloat16"
        odds = model.log_odds(QUERIES, TEXTS)
        assert len(np.unique(odds)) > 20
        wide = CrossEncoder.from_pretrained(path, device="cpu", precision="float32").log_odds(QUERIES, TEXTS)
        np.testing.assert_allclose(odds, wide, atol=0.3)


def test_answers_and_templates_that_cannot_be(tmp_path: Path) -> None:
    folder = write_t5(tmp_path / "t5")
    model = CrossEncoder.from_pretrained(folder, device="cpu")
    with pytest.raises(UsageError, match=r"'true'.*'▁true' is one"):
        model.with_settings(answers=("true", "false"))
    for template in ("Query: {query}", "{query} {query} {document}"):
        with pytest.raises(UsageError, match="each once"):
            model.with_settings(template=template)
    with pytest.raises(UsageError, match="Find law"):
        model.with_settings(instruction="Find law")
    with pytest.raises(ModelError, match=r"llama.*template="):
        CrossEncoder.from_pretrained(write_language_model(tmp_path / "llama", None, config=LlamaConfig), device="cpu")
    said = CrossEncoder.from_pretrained(tmp_path / "llama", device="cpu", template="{query}\n{document}\n", answers=("yes", "no"))
    assert np.ptp(said.score(QUERIES, TEXTS)) > 0.05


@pytest.mark.parametrize(
    ("file", "said", "named"),
    [
        ("1_LogitScore/config.json", {"true_token_id": 9999}, "true_token_id"),
        ("1_LogitScore/config.json", {"temperature": 2.0}, "temperature"),
        ("sentence_bert_config.json", {"transformer_task": "any-to-any"}, "transformer_task"),
        ("sentence_bert_config.json", {"processing_kwargs": {"text": {"max_length": 9}}}, "'text'"),
        ("config_sentence_transformers.json", {"activation_fn": "torch.nn.modules.activation.Tanh"}, "Tanh"),
    ],
)
def test_what_is_not_followed_is_refused_by_name(tmp_path: Path, file: str, said: dict[str, Any], named: str) -> None:
    saved(tmp_path / "x", write_language_model(tmp_path / "hf"))
    path = tmp_path / "x" / file
    path.write_text(json.dumps(json.loads(path.read_text()) | said))
    with pytest.raises(ModelError, match=named):
        CrossEncoder.from_pretrained(tmp_path / "x", device="cpu")


def test_a_t5_tokeniser_is_that_of_the_whole_text() -> None:
    assert t5_tokenizer()("Query: a cat Document: the river")["input_ids"][-1] == t5_tokenizer().eos_token_id
