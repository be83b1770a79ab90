"""RAG-Token: what it writes is the most probable, summed over the passages; what is missing is named."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import RagTokenForGeneration

from ance_ir.errors import DeviceMemoryError, ModelError, UsageError
from ance_ir.models import RagToken
from ance_ir.pipelines import RagReader
from tests.published import write_bert, write_rag
from tests.tiny import WORDS, roberta_tokenizer

TITLES, TEXTS, SCORES = ["River", "", '"the Moon"'], ["the cat sleeps", "a king  is old", "red"], [3.0, 2.5, 2.9]
INPUTS = ["River / the cat sleeps // who is it?", " / a king is old // who is it?", "the Moon / red // who is it?"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rag(tmp_path_factory.mktemp("rag") / "x")


def greedy(folder: Path, steps: int) -> str:
    """The most probable token after the ones before, again and again; each passage read on its own."""
    model, tokenizer = RagTokenForGeneration.from_pretrained(folder).eval(), roberta_tokenizer()
    weights = torch.softmax(torch.tensor(SCORES), 0)
    written = [2]
    with torch.no_grad():
        while len(written) <= steps:
            chances = torch.zeros(len(tokenizer))
            for weight, text in zip(weights, INPUTS, strict=True):
                ids = torch.tensor([tokenizer(text)["input_ids"]])
                logits = model.generator(input_ids=ids, decoder_input_ids=torch.tensor([written])).logits[0, -1]
                chances += weight * torch.softmax(logits, 0)
            written.append(int(chances.argmax()))
            if written[-1] == 2:
                break
    return str(tokenizer.decode(written, skip_special_tokens=True)).strip()


def test_a_greedy_answer_is_the_most_probable_token_by_token(folder: Path) -> None:
    model = RagToken.from_pretrained(folder, device="cpu", num_beams=1, max_answer_length=9)
    assert (model.n_docs, model.unused) == (3, ())
    found = model.generate("who is it?", TITLES, TEXTS, SCORES)
    assert found == greedy(folder, 8)  # the ninth ends it
    assert len(roberta_tokenizer()(found)["input_ids"]) > 5
    assert found != model.generate("who is it?", TITLES, TEXTS, [0.0, 9.0, 0.0]), "scores weigh the passages"


def test_beams_keep_to_their_own_past(folder: Path) -> None:
    model = RagToken.from_pretrained(folder, device="cpu", num_beams=4, max_answer_length=12)
    found = [model.generate(question, TITLES, TEXTS, SCORES) for question in ("who", "what is red", "when")]
    model.model.generation_config.use_cache = False
    assert found == [model.generate(question, TITLES, TEXTS, SCORES) for question in ("who", "what is red", "when")]


def test_passages_and_question_are_put_together_as_published(folder: Path) -> None:
    model = RagToken.from_pretrained(folder, device="cpu")
    assert [model._input("who is it?", title, text) for title, text in zip(TITLES, TEXTS, strict=True)] == INPUTS
    for words in range(1, 80, 3):
        made = model._input("who is it?", "River", " ".join((WORDS * 2)[:words]))
        assert made.endswith(" // who is it?")
        assert made.startswith("River / the")
        tokens = len(roberta_tokenizer()(made)["input_ids"])
        assert tokens <= 64
        assert made.startswith(f"River / {' '.join((WORDS * 2)[:words])}") or tokens > 58, "no more is cut than must be"


@pytest.mark.parametrize(("missing", "needed"), [("rag.generator.model.encoder.layers.0.fc1.bias", True), ("rag.question_encoder", False)])
def test_the_generator_is_whole_and_the_question_encoder_is_not_needed(tmp_path: Path, missing: str, needed: bool) -> None:
    path = write_rag(tmp_path / "x") / "model.safetensors"
    weights = load_file(path)
    kept = {name: tensor for name, tensor in weights.items() if not name.startswith(missing)}
    assert len(kept) < len(weights)
    save_file(kept, path, {"format": "pt"})
    if needed:
        with pytest.raises(ModelError, match=rf"1 parameters of the model are not in the file: {missing}"):
            RagToken.from_pretrained(tmp_path / "x", device="cpu")
    else:
        model = RagToken.from_pretrained(tmp_path / "x", device="cpu")
        assert not any("question_encoder" in name for name, _ in model.named_parameters())


def test_what_cannot_be_meant_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is no RAG model"):
        RagToken.from_pretrained(write_bert(tmp_path / "bert"), device="cpu")
    with pytest.raises(ModelError, match=str(tmp_path)):
        RagToken.from_pretrained(tmp_path, device="cpu")
    with pytest.raises(UsageError, match="num_beams is at least 1, not 0"):
        RagToken.from_pretrained(folder, device="cpu", num_beams=0)
    model = RagToken.from_pretrained(folder, device="cpu")
    for passages in (0, 2):
        with pytest.raises(UsageError, match=f"at least 1, were expected, not 0, {passages}, 0"):
            model.generate("who", [], ["a"] * passages, [])
    with pytest.raises(UsageError, match="n_docs"):
        RagReader(model, 0)


def test_a_pipeline_answers_from_the_passages_that_score_highest(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.DataFrame(
        {
            "qid": ["b", "a", "b", "b", "b"],
            "query": ["who is it?", "when", "who is it?", "who is it?", "who is it?"],
            "docno": ["d1", "d9", "d2", "d3", "d4"],
            "title": ["River", "", None, '"the Moon"', "never read"],
            "text": ["the cat sleeps", "moon", "a king  is old", "red", "dense retrieval"],
            "score": [3.0, 1.0, 2.5, 2.9, -1.0],
        }
    )
    reader = RagReader.from_pretrained(folder, device="cpu", max_answer_length=9)
    found = reader(frame)
    assert found["qid"].tolist() == ["b", "a"]
    assert list(found.columns) == ["qid", "query", "qanswer"]
    order = [0, 2, 1]
    told = ([values[i] for i in order] for values in (TITLES, TEXTS, SCORES))
    assert found["qanswer"][0] == reader.model.generate("who is it?", *told)
    assert found["qanswer"][1] == reader.model.generate("when", [""], ["moon"], [1.0])
    read: list[list[str]] = []
    monkeypatch.setattr(RagToken, "generate", lambda _, question, titles, texts, scores: read.append(texts) or "")
    reader(frame)
    RagReader(reader.model, 1)(frame)
    assert read == [["the cat sleeps", "red", "a king  is old"], ["moon"], ["the cat sleeps"], ["moon"]]


def test_the_old_names_of_its_settings_warn(folder: Path) -> None:
    model = RagToken.from_pretrained(folder, device="cpu", num_beams=2, max_answer_length=9)
    with pytest.warns(FutureWarning, match=r"settings\.num_beams"):
        assert model.num_beams == 2
    with pytest.warns(FutureWarning, match=r"settings\.max_answer_length"):
        assert model.max_answer_length == 9


def test_an_answer_that_does_not_fit_names_what_takes_less(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_much(**inputs: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    model = RagToken.from_pretrained(folder)
    monkeypatch.setattr(model.model, "generate", too_much)
    with pytest.raises(DeviceMemoryError, match=r"2\.00 GiB.*passages"):
        model.generate("who is it?", TITLES, TEXTS, SCORES)
