"""Folders with a peft adapter open through their base, and compute what peft computes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification, PreTrainedModel

from ance_ir.errors import ModelError
from ance_ir.models import CrossEncoder, DenseEncoder, find_family
from tests.answering import chat_tokenizer, language_model, write_language_model
from tests.tiny import WORDS, backbone, bert_tokenizer, classifier, pair_tokenizer

peft = pytest.importorskip("peft")

pytestmark = pytest.mark.integration

TEXTS = [" ".join(np.random.default_rng(number).choice(WORDS, 1 + number)) for number in range(16)]
QUERIES = [f"what is {word}" for word in WORDS[:16]]


def write_adapter(folder: Path, model: PreTrainedModel, base: Path | str, **config: Any) -> Any:
    """An adapter whose every weight counts, as peft writes it; its own model."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        made = peft.get_peft_model(model, peft.LoraConfig(**{"r": 4, "lora_alpha": 16, "target_modules": "all-linear", **config})).eval()
        for name, parameter in made.named_parameters():
            if ".lora_" in name or "modules_to_save" in name:
                parameter.data.normal_(std=0.15)
    made.peft_config["default"].base_model_name_or_path = str(base)
    made.save_pretrained(folder)
    return made


def close(found: Any, expected: torch.Tensor) -> None:
    np.testing.assert_allclose(np.asarray(found), expected.float().numpy(), rtol=1e-5, atol=1e-5)


def last_token(model: Any, texts: list[str]) -> torch.Tensor:
    """Vectors by hand, a text at a time."""
    with torch.no_grad():
        ids = [torch.tensor([chat_tokenizer()(text)["input_ids"]]) for text in texts]
        return torch.nn.functional.normalize(torch.stack([model(one).last_hidden_state[0, -1] for one in ids]).float(), dim=-1)


@pytest.mark.parametrize("variant", [{}, {"use_rslora": True}, {"use_dora": True}, {"modules_to_save": ["norm", "embed_tokens"]}])
def test_an_encoder_over_a_decoder(tmp_path: Path, variant: dict[str, Any]) -> None:
    base = write_language_model(tmp_path / "base")
    theirs = write_adapter(tmp_path / "x", AutoModel.from_pretrained(base), base, **variant)
    plain = DenseEncoder.from_pretrained(base, device="cpu", pooling="last", similarity="cosine")
    model = DenseEncoder.from_pretrained(tmp_path / "x", device="cpu", pooling="last", similarity="cosine")
    expected = last_token(theirs, TEXTS)
    close(model.encode_passages(TEXTS), expected)
    close(np.concatenate([model.encode_passages([text]) for text in TEXTS]), expected)
    assert np.abs(model.encode_passages(TEXTS) - plain.encode_passages(TEXTS)).max() > 0.01
    added = DenseEncoder.from_pretrained(tmp_path / "x", device="cpu", pooling="last", similarity="cosine", merge_adapter=True)
    close(added.encode_passages(TEXTS), expected)
    assert [name for name, _ in added.named_parameters()] == [name for name, _ in plain.named_parameters()]
    model.save(tmp_path / "whole")
    close(DenseEncoder.from_pretrained(tmp_path / "whole", device="cpu").encode_passages(TEXTS), expected)
    close(model.encode_passages(TEXTS), expected)


def test_a_base_in_bfloat16_is_kept(tmp_path: Path) -> None:
    base = write_language_model(tmp_path / "base", dtype=torch.bfloat16)
    theirs = write_adapter(tmp_path / "x", AutoModel.from_pretrained(base, dtype=torch.bfloat16), base)
    model = DenseEncoder.from_pretrained(tmp_path / "x", device="cpu", pooling="last", similarity="cosine")
    assert model.precision == "bfloat16"
    with torch.no_grad():
        ids = torch.tensor([chat_tokenizer()(TEXTS[7])["input_ids"]])
        hidden = model.query_tower.backbone(ids).last_hidden_state
        assert torch.equal(hidden, theirs(ids).last_hidden_state)
        added = DenseEncoder.from_pretrained(tmp_path / "x", device="cpu", pooling="last", similarity="cosine", merge_adapter=True)
        assert not torch.equal(hidden, added.query_tower.backbone(ids).last_hidden_state), "which rounds"


def test_a_bert_of_sentence_transformers(tmp_path: Path) -> None:
    st = pytest.importorskip("sentence_transformers")
    backbone().save_pretrained(tmp_path / "base")
    bert_tokenizer().save_pretrained(tmp_path / "base")
    whole = st.SentenceTransformer(str(tmp_path / "base"), device="cpu")
    whole.add_adapter(peft.LoraConfig(r=4, target_modules=["query", "value"]))
    for name, parameter in whole.named_parameters():
        if ".lora_" in name:
            parameter.data.normal_(std=0.2, generator=torch.Generator().manual_seed(len(name)))
    whole.save_pretrained(str(tmp_path / "x"))
    assert (tmp_path / "x" / "adapter_config.json").exists()
    model = DenseEncoder.from_pretrained(tmp_path / "x", device="cpu", similarity="cosine", normalize=True)
    close(model.encode_passages(TEXTS), torch.tensor(whole.encode(TEXTS, normalize_embeddings=True)))


@pytest.mark.parametrize("labels", [1, 2])
def test_a_reranker_whose_head_comes_with_the_adapter(tmp_path: Path, labels: int) -> None:
    base = tmp_path / "base"
    backbone().save_pretrained(base)
    pair_tokenizer("bert").save_pretrained(base)
    theirs = write_adapter(
        tmp_path / "x", AutoModelForSequenceClassification.from_pretrained(base, num_labels=labels), base, task_type="SEQ_CLS"
    )
    assert find_family(tmp_path / "x") == "reranker"
    model = CrossEncoder.from_pretrained(tmp_path / "x", device="cpu")
    with torch.no_grad():
        batch = pair_tokenizer("bert")(QUERIES, TEXTS, padding=True, return_tensors="pt")
        logits = theirs(**batch).logits
    close(model.score(QUERIES, TEXTS), logits[:, 0] if labels == 1 else logits[:, 1] - logits[:, 0])
    model.save(tmp_path / "whole")
    close(CrossEncoder.from_pretrained(tmp_path / "whole", device="cpu").score(QUERIES, TEXTS), torch.tensor(model.score(QUERIES, TEXTS)))


def test_a_reranker_that_answers(tmp_path: Path) -> None:
    base = write_language_model(tmp_path / "base")
    theirs = write_adapter(tmp_path / "x", AutoModelForCausalLM.from_pretrained(base), base, task_type="CAUSAL_LM")
    model = CrossEncoder.from_pretrained(tmp_path / "x", device="cpu")
    pairs = [pair.ids for (pair,) in model.tokenizer.pairs(QUERIES, TEXTS)]
    yes, no = chat_tokenizer().convert_tokens_to_ids(["yes", "no"])
    with torch.no_grad():
        logits = torch.stack([theirs(torch.tensor([ids])).logits[0, -1] for ids in pairs])
    close(model.score(QUERIES, TEXTS), logits[:, yes] - logits[:, no])


def test_a_classifier_of_ours_as_base(tmp_path: Path) -> None:
    classifier().save_pretrained(tmp_path / "base")
    pair_tokenizer("bert").save_pretrained(tmp_path / "base")
    theirs = write_adapter(tmp_path / "x", classifier(), "../base", target_modules=["query", "value"])
    with torch.no_grad():
        expected = theirs(**pair_tokenizer("bert")(QUERIES, TEXTS, padding=True, return_tensors="pt")).logits[:, 0]
    close(CrossEncoder.from_pretrained(tmp_path / "x", device="cpu").score(QUERIES, TEXTS), expected)


def change(folder: Path, **values: Any) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"peft_type": "PROMPT_TUNING"}, "PROMPT_TUNING"),
        ({"peft_type": "IA3"}, "IA3"),
        ({"base_model_name_or_path": None}, "base_model_name_or_path"),
        ({"base_model_name_or_path": "no/base"}, "no/base"),
    ],
)
def test_what_is_not_followed_is_refused_by_name(
    tmp_path: Path, values: dict[str, Any], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    base = write_language_model(tmp_path / "base")
    write_adapter(tmp_path / "x", language_model(), base)
    change(tmp_path / "x", **values)
    for family in (DenseEncoder, CrossEncoder):
        with pytest.raises(ModelError, match=named):
            family.from_pretrained(tmp_path / "x", device="cpu")


def test_an_adapter_of_another_base(tmp_path: Path) -> None:
    base = write_language_model(tmp_path / "base")
    write_adapter(tmp_path / "x", language_model(num_hidden_layers=3), base)
    with pytest.raises(ModelError, match=r"layers\.2"):
        CrossEncoder.from_pretrained(tmp_path / "x", device="cpu")
    write_adapter(tmp_path / "y", language_model(hidden_size=64), base)
    with pytest.raises(ModelError, match="does not fit its base"):
        CrossEncoder.from_pretrained(tmp_path / "y", device="cpu")
    (tmp_path / "y" / "adapter_model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"adapter_model\.safetensors"):
        CrossEncoder.from_pretrained(tmp_path / "y", device="cpu")


def test_without_peft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from ance_ir.errors import MissingDependencyError

    base = write_language_model(tmp_path / "base")
    write_adapter(tmp_path / "x", language_model(), base)
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'ance_ir\[lora\]'"):
        DenseEncoder.from_pretrained(tmp_path / "x", device="cpu", pooling="last", similarity="cosine")
