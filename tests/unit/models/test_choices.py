"""What the caller of ``from_pretrained`` chooses beyond text settings: pooling, similarity, length, prompts, instructions."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

from ance_ir.cli.main import main
from ance_ir.datasets import load_dataset
from ance_ir.errors import PointedError, UsageError
from ance_ir.indexes import AnceIndex, FirstP
from ance_ir.models import CrossEncoder, DenseEncoder, Tower
from ance_ir.models.dense.transformers import Encoding
from ance_ir.models.loading.hashing import hash_parts
from ance_ir.models.text.settings import TextSettings, parse_settings
from ance_ir.models.text.tokenizing import TextTokenizer
from ance_ir.pipelines import systems
from tests.tiny import backbone, bert_tokenizer, cross_encoder, encoder, roberta_tokenizer

TEXTS = ["the king", "moon and star of the river", ""]
PROMPTS = {"web": "Instruct: Find it\nQuery: ", "sts": "the same: ", "document": "passage: "}


def saved(folder: Path, prompts: dict[str, str] | None = None, **options: Any) -> Path:
    """A folder as another library would have written it."""
    encoder(**options).save(folder)
    (folder / "ance_ir.json").unlink()
    if prompts is not None:
        path = folder / "config_sentence_transformers.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "prompts": prompts}), encoding="utf-8")
    return folder


def test_normalize_scales_vectors_of_any_checkpoint(tmp_path: Path) -> None:
    folder = saved(tmp_path / "x", head=12)
    plain, unit = (DenseEncoder.from_pretrained(folder, device="cpu", normalize=normalize) for normalize in (None, True))
    assert (plain.similarity, unit.similarity) == ("dot", "cosine")
    vectors = plain.encode_passages(TEXTS)
    np.testing.assert_allclose(unit.encode_passages(TEXTS), vectors / np.linalg.norm(vectors, axis=1, keepdims=True), atol=1e-6)
    assert DenseEncoder.from_pretrained(folder, device="cpu", normalize=True, similarity="dot").fingerprint() == unit.fingerprint()
    unit.save(tmp_path / "again")
    assert DenseEncoder.from_pretrained(tmp_path / "again", device="cpu").fingerprint() == unit.fingerprint()
    two = DenseEncoder.from_pretrained(saved(tmp_path / "two", shared=False), device="cpu", normalize=True)
    np.testing.assert_allclose(np.linalg.norm(two.encode_queries(TEXTS), axis=1), 1, atol=1e-6)


def test_normalize_of_a_bare_backbone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    backbone().save_pretrained(tmp_path / "x")
    bert_tokenizer().save_pretrained(tmp_path / "x")
    for normalize, similarity in ((True, "cosine"), (False, "dot")):
        model = DenseEncoder.from_pretrained(tmp_path / "x", device="cpu", pooling="cls", normalize=normalize)
        assert model.similarity == similarity and not caplog.records, "nothing is left to assume"
    with pytest.raises(UsageError, match="normalize"):
        DenseEncoder.from_pretrained(tmp_path / "x", device="cpu", similarity="cosine", normalize=False)


def test_vectors_of_length_1_stay_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"normalize=False.*length 1"):
        DenseEncoder.from_pretrained(saved(tmp_path / "x", normalize=True), device="cpu", normalize=False)


def test_an_adapter_that_is_not_there_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number, (kind, model) in enumerate(((DenseEncoder, encoder()), (CrossEncoder, cross_encoder()))):
        model.save(tmp_path / str(number))
        caplog.clear()
        kind.from_pretrained(tmp_path / str(number), device="cpu", merge_adapter=True)
        assert f"merge_adapter: {tmp_path / str(number)}" in caplog.text


def test_an_index_opens_a_normalised_model_again(tmp_path: Path) -> None:
    model = DenseEncoder.from_pretrained(saved(tmp_path / "x"), device="cpu", normalize=True)
    frame = [{"docno": f"d{number}", "text": text} for number, text in enumerate(TEXTS[:2])]
    index = (FirstP() >> model.passages() >> AnceIndex(tmp_path / "x.ance")).index(frame)
    assert AnceIndex(index.path).model(device="cpu").fingerprint() == model.fingerprint()


def test_all_three_places_take_all_choices(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "bare"
    backbone().save_pretrained(folder)
    bert_tokenizer().save_pretrained(folder)
    assert parse_settings(["pooling=cls", "similarity=dot", "normalize=true"]) == {"pooling": "cls", "similarity": "dot", "normalize": True}
    model = DenseEncoder.from_pretrained(folder, device="cpu", pooling="cls", normalize=True)
    assert main(["info", str(folder), "--text", "pooling=cls", "--text", "normalize=true"]) == 0
    assert model.fingerprint() in capsys.readouterr().out
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "corpus.jsonl").write_text(
        "".join(json.dumps({"docno": f"d{n}", "text": text}) + "\n" for n, text in enumerate(TEXTS))
    )
    dataset = load_dataset(tmp_path / "data")
    found = systems.get(f"ance[model={folder}; pooling=cls; normalize=true]", dataset, device="cpu").search("the king")
    hits = model.encode_passages(TEXTS) @ model.encode_queries(["the king"])[0]
    assert found.iloc[0]["docno"] == f"d{hits.argmax()}"
    np.testing.assert_allclose(found.iloc[0]["score"], hits.max(), atol=1e-3)
    with pytest.raises(PointedError, match="; normalize=true"):
        systems.get(f"ance[model={folder}, normalize=true]", dataset, device="cpu")
    with pytest.raises(PointedError, match="normalize"):
        systems.get(f"ance[model={folder}; normalize=perhaps]", dataset, device="cpu")


def test_prompts_are_chosen_by_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = saved(tmp_path / "x", PROMPTS)
    model = DenseEncoder.from_pretrained(folder, device="cpu", query_prompt="sts", passage_prompt="web")
    assert (model.settings.query_prefix, model.settings.passage_prefix) == ("the same: ", PROMPTS["web"])
    assert "query_prefix" in model.origin.settings and not caplog.records
    plain = DenseEncoder.from_pretrained(folder, device="cpu")
    assert (plain.settings.query_prefix, plain.settings.passage_prefix) == ("", "passage: ")
    assert plain.prompts == {**PROMPTS, "query": ""}
    np.testing.assert_array_equal(plain.encode(TEXTS, prompt_name="sts"), plain.encode([PROMPTS["sts"] + text for text in TEXTS]))
    np.testing.assert_array_equal(plain.encode_query(TEXTS, prompt_name="sts"), model.encode_query(TEXTS))
    model.save(tmp_path / "again")
    again = DenseEncoder.from_pretrained(tmp_path / "again", device="cpu")
    assert again.prompts == {**PROMPTS, "query": "the same: ", "document": PROMPTS["web"]} == model.prompts
    assert again.fingerprint() == model.fingerprint()


def test_info_names_the_prompts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(saved(tmp_path / "x", PROMPTS)), "--text", "query_prompt=web"]) == 0
    out = capsys.readouterr().out
    assert "web, sts; --text query_prompt=NAME" in out and repr(PROMPTS["web"]) in out


def test_instructions_take_the_form_of_the_folder(tmp_path: Path) -> None:
    model = DenseEncoder.from_pretrained(saved(tmp_path / "x", PROMPTS), device="cpu", instruction="Refute the claim")
    assert model.settings.query_prefix == "Instruct: Refute the claim\nQuery: "
    assert model.instruction_form == "Instruct: {instruction}\nQuery: "
    with pytest.raises(UsageError, match="query_prefix"):
        DenseEncoder.from_pretrained(saved(tmp_path / "y", {"sts": "the same: "}), device="cpu", instruction="Refute the claim")


@pytest.mark.parametrize(
    ("choices", "named"),
    [
        ({"query_prompt": "nonsense"}, "nonsense.*web, sts, document"),
        ({"passage_prompt": "nonsense"}, "nonsense"),
        ({"query_prompt": "web", "query_prefix": "x"}, "query_prompt.*query_prefix"),
        ({"passage_prompt": "web", "passage_prefix": "x"}, "passage_prompt.*passage_prefix"),
        ({"instruction": "x", "query_prompt": "web"}, "query_prompt.*instruction"),
        ({"instruction": "x", "query_prefix": "web"}, "instruction.*query_prefix"),
    ],
)
def test_choices_that_cannot_be_are_refused(tmp_path: Path, choices: dict[str, str], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        DenseEncoder.from_pretrained(saved(tmp_path / "x", PROMPTS), device="cpu", **choices)


def test_prompts_nobody_chose_are_said_with_the_way_to_choose(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    DenseEncoder.from_pretrained(saved(tmp_path / "x", {"web": "Find: ", "sts": "the same: "}), device="cpu")
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "query_prompt=web" in caplog.text and "'sts'" in caplog.text


def test_the_end_of_texts_is_chosen(tmp_path: Path) -> None:
    model = encoder()
    whole = model.tokenizer.passages(["the king"])[0]
    names = bert_tokenizer().convert_ids_to_tokens
    assert names(whole) == ["[CLS]", "the", "king", "[SEP]"]
    for token, ends in (("", []), ("[MASK]", ["[MASK]"]), (None, ["[SEP]"])):
        changed = model.with_settings(end_token=token)
        assert names(changed.tokenizer.passages(["the king"])[0]) == ["[CLS]", "the", "king", *ends]
        cut = changed.tokenizer.cut(["the king of the river and the queen"], FirstP(6)).lists()[0][0]
        assert len(cut) == 6 and names(cut)[-len(ends) :] == (ends or names(cut))
        changed.save(tmp_path / f"x{token}")
        assert DenseEncoder.from_pretrained(tmp_path / f"x{token}", device="cpu").fingerprint() == changed.fingerprint()
    pairs = model.with_settings(end_token="[MASK]", title_pair=True).tokenizer.passages([("the king", "a queen")])
    assert names(pairs[0]) == ["[CLS]", "the", "king", "[MASK]", "a", "queen", "[MASK]"]
    with pytest.raises(UsageError, match="</s>"):
        model.with_settings(end_token="</s>")


def test_queries_are_padded_with_masks(tmp_path: Path) -> None:
    model = encoder().with_settings(mask_padding=True, query_length=8)
    names = [bert_tokenizer().convert_ids_to_tokens(ids) for ids in model.tokenizer.queries(["the king", "a " * 20])]
    assert names == [["[CLS]", "the", "king", "[SEP]", *["[MASK]"] * 4], ["[CLS]", *["a"] * 6, "[SEP]"]]
    assert len(model.tokenizer.passages(["the king"])[0]) == 4


def test_settings_that_came_later_leave_old_fingerprints_alone() -> None:
    assert {"end_token", "mask_padding"}.isdisjoint(TextSettings().hashed())
    assert TextSettings(end_token="").hashed() == {**TextSettings().hashed(), "end_token": ""}
    model = encoder()
    assert (
        len({model.fingerprint(), *(model.with_settings(**one).fingerprint() for one in ({"end_token": ""}, {"mask_padding": True}))}) == 3
    )


def test_a_tokeniser_that_knows_no_a_reads_texts() -> None:
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(BPE({"k": 0, "i": 1}, [])))
    assert TextTokenizer(tokenizer, TextSettings(), 512).passages(["kia"]) == [[0, 1]]


def test_titles_of_pairs(tmp_path: Path) -> None:
    settings = TextSettings(title_pair=True, untitled="-")
    assert settings.join({"title": "T", "text": "x"}) == ("T", "x")
    assert settings.join({"title": "", "text": "x"}) == settings.join({"text": "x"}) == ("-", "x")
    assert {"title_types", "untitled"}.isdisjoint(TextSettings(title_pair=True).hashed())
    for wrong in ({"untitled": "-"}, {"title_types": True}):
        with pytest.raises(UsageError, match="title_pair"):
            encoder().with_settings(**wrong)
    with pytest.raises(UsageError, match="token types"):
        tower = Tower(backbone("roberta", type_vocab_size=1), pooling="cls")
        DenseEncoder(tower, None, roberta_tokenizer(), TextSettings(title_pair=True, title_types=True, passage_length=32, query_length=9))
    pairs = [("the king", "a queen"), ("the", "river and the red moon")]
    plain, typed = (encoder().with_settings(title_pair=True, title_types=types) for types in (False, True))
    assert np.abs(plain.encode_passages(pairs) - typed.encode_passages(pairs)).max() > 1e-3
    small = typed.at_precision("int8")
    assert np.abs(small.encode_passages(pairs) - typed.encode_passages(pairs)).max() < 0.1
    with pytest.raises(UsageError, match="int8"):
        small.with_settings(title_types=False)


@pytest.mark.parametrize("shared", [True, False])
def test_one_pass_over_the_weights_makes_both_fingerprints(monkeypatch: pytest.MonkeyPatch, shared: bool) -> None:
    hashed: list[str] = []

    def counted(parts: list[dict[str, torch.Tensor]]) -> list[str]:
        hashed.extend(name for part in parts for name in part)
        return hash_parts(parts)

    monkeypatch.setattr("ance_ir.models.dense.model.hash_parts", counted)
    model = encoder(shared=shared)
    Encoding.of(model, None)
    assert sorted(hashed) == sorted(name for name in model.state_dict() if ".pooler." not in name)
    assert model.with_separate_towers().fingerprints() == model.fingerprints()
