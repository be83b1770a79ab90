"""Answers are those of transformers' own models with a search over all spans; what is missing or damaged is named."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForQuestionAnswering, AutoTokenizer, DPRReader, DPRReaderTokenizer

from ance_ir.errors import ModelError, UsageError
from ance_ir.models import CrossEncoder, DenseEncoder, Reader, ReaderSettings
from ance_ir.models.reader.text import Layout
from tests.published import dpr_encoders, write_bert, write_dpr
from tests.tiny import (
    WORDS,
    Kind,
    backbone,
    bert_tokenizer,
    cross_encoder,
    dpr_reader_model,
    encoder,
    pair_tokenizer,
    question_answerer,
    reader,
    tokenizer_of,
)

QUESTIONS = ["who is the king", "what sleeps", "", "when"] * 6
TITLES = ["River City", "", "the moon"] * 8
TEXTS = [" ".join(np.random.default_rng(number).choice([*WORDS, "Zoë's,", "日本", "x-9"], number)) for number in range(1, 25)]
LAYOUTS = get_args(Layout)


def write_reader(folder: Path) -> Path:
    """A folder as that of the published DPR readers."""
    dpr_reader_model().save_pretrained(folder)
    bert_tokenizer().save_pretrained(folder)
    return folder


def write_answerer(folder: Path, kind: Kind = "bert") -> Path:
    question_answerer(kind).save_pretrained(folder)
    (pair_tokenizer("bert") if kind == "bert" else tokenizer_of(kind)).save_pretrained(folder)
    return folder


def best_span(start: np.ndarray, end: np.ndarray, longest: int) -> tuple[int, int, np.float32]:
    """First and last token of the span with the highest sum, by looking at all."""
    spans = [(i, j) for i in range(len(start)) for j in range(i, min(len(start), i + longest))]
    scores = [start[i] + end[j] for i, j in spans]
    best = max(range(len(spans)), key=scores.__getitem__)
    return *spans[best], scores[best]


def test_a_dpr_reader_answers_as_transformers_does(tmp_path: Path) -> None:
    folder = write_reader(tmp_path / "x")
    found = Reader.from_pretrained(folder, device="cpu").read(QUESTIONS, TEXTS, TITLES)
    model, tokenizer = DPRReader.from_pretrained(folder).eval(), bert_tokenizer()
    decoder = object.__new__(DPRReaderTokenizer)  # its rule for spans needs no vocabulary
    for i, (question, title, text) in enumerate(zip(QUESTIONS, TITLES, TEXTS, strict=True)):
        encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        lead = tokenizer([question], [title])["input_ids"][0]
        ids = torch.tensor([(lead + encoded["input_ids"])[:64]])
        with torch.no_grad():
            output = model(ids)
        start, end = (logits[0, len(lead) :].numpy() for logits in (output.start_logits, output.end_logits))
        ((first, last),) = decoder._get_best_spans(start, end, 10, 1)
        assert best_span(start, end, 10)[:2] == (first, last)
        assert found.answers[i] == text[encoded["offset_mapping"][first][0] : encoded["offset_mapping"][last][1]]
        assert found.scores[i] == pytest.approx(float(start[first] + end[last]), rel=1e-4, abs=1e-4)
        assert found.relevance[i] == pytest.approx(float(output.relevance_logits[0]), rel=1e-4, abs=1e-4)
    assert found.scores.dtype == found.relevance.dtype == np.float32
    assert np.ptp(found.relevance) > 0.05, "the passages lie apart"


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_a_head_for_question_answering_answers_as_transformers_does(tmp_path: Path, kind: Kind) -> None:
    folder = write_answerer(tmp_path / "x", kind)
    found = Reader.from_pretrained(folder, device="cpu", title=False, overlap=None, max_answer_length=7).read(QUESTIONS, TEXTS, TITLES)
    model, tokenizer = AutoModelForQuestionAnswering.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    for i, (question, text) in enumerate(zip(QUESTIONS, TEXTS, strict=True)):
        encoded = tokenizer(question, text, truncation="only_second", max_length=64, return_offsets_mapping=True, return_tensors="pt")
        own = [place for place, part in enumerate(encoded.sequence_ids()) if part == 1]
        offsets = encoded.pop("offset_mapping")[0].tolist()
        with torch.no_grad():
            output = model(**encoded)
        start, end = output.start_logits[0].numpy(), output.end_logits[0].numpy()
        first, last, score = best_span(start[own], end[own], 7)
        assert found.answers[i] == text[offsets[own[first]][0] : offsets[own[last]][1]]
        assert found.scores[i] == pytest.approx(float(score), rel=1e-4, abs=1e-4)
        assert found.relevance[i] == pytest.approx(float(score - start[0] - end[0]), rel=1e-4, abs=1e-3)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("longest", [1, 3, 100])
def test_the_best_of_all_spans_is_found(layout: Layout, longest: int) -> None:
    model = reader(layout, max_answer_length=longest)
    generator = np.random.default_rng(longest)
    for _ in range(20):
        lengths = generator.integers(1, 12, 4)
        texts = [" ".join(generator.choice(WORDS, length)) for length in lengths]
        windows = [window for (window,) in model.tokenizer.windows(["who"] * 4, ["red"] * 4, texts)]
        with torch.no_grad():
            start, end, _ = (logits.numpy() for logits in model(*model.tokenizer.pad(windows)))
        found = model.read(["who"] * 4, texts, ["red"] * 4)
        for row, (window, length) in enumerate(zip(windows, lengths, strict=True)):
            assert np.isfinite(start[row]).sum() == length, "the text alone is looked at"
            own = slice(window.begin, window.begin + length)
            first, last, score = best_span(start[row, own], end[row, own], longest)
            assert found.answers[row] == " ".join(texts[row].split()[first : last + 1])
            assert found.scores[row] == pytest.approx(float(score), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_answer_does_not_depend_on_its_batch(layout: Layout) -> None:
    model = reader(layout)
    together = model.read(QUESTIONS, TEXTS, TITLES)
    order = np.random.default_rng(0).permutation(len(TEXTS))
    shuffled = model.read(*([texts[i] for i in order] for texts in (QUESTIONS, TEXTS, TITLES)))
    for i, place in enumerate(order):
        alone = model.read([QUESTIONS[place]], [TEXTS[place]], [TITLES[place]])
        assert alone.answers == [together.answers[place]] == [shuffled.answers[i]]
        for found in (alone.relevance[0], shuffled.relevance[i]):
            assert found == pytest.approx(float(together.relevance[place]), rel=1e-4, abs=1e-4)


def test_equal_passages_are_read_once_and_give_the_same() -> None:
    read: list[int] = []
    found = reader().read(["who", "what", "who", "who"], ["a king", "a king", "a king", "a king"], ["", "", "", "x"], read.append)
    assert sum(read) == 3
    assert found.answers[0] == found.answers[2]
    assert found.scores[0] == found.scores[2]


@pytest.mark.parametrize("overlap", [0, 4, 1000])
def test_windows_cover_the_whole_text_and_the_most_relevant_answers(overlap: int) -> None:
    model = reader("qa", pair_length=24, overlap=overlap)
    text = " ".join(np.random.default_rng(3).choice(WORDS, 50))
    (windows,) = model.tokenizer.windows(["who is king"], ["red moon"], [text])
    covered = np.concatenate([window.characters for window in windows])
    assert {tuple(span) for span in covered} == {tuple(span) for span in model.tokenizer._distinct([text])[text][1]}
    assert all(len(window.pair.ids) <= 24 for window in windows)
    shared = [set(map(tuple, a.characters)) & set(map(tuple, b.characters)) for a, b in pairwise(windows)]
    assert all(len(both) == min(overlap, 8) for both in shared[:-1])
    with torch.no_grad():
        logits = model(*model.tokenizer.pad(windows))
    best = int(logits.relevance_B.argmax())
    found = model.read(["who is king"], [text], ["red moon"])
    assert found.relevance[0] == pytest.approx(float(logits.relevance_B[best]), rel=1e-4)
    assert found.answers[0] in text[windows[best].characters[0, 0] : windows[best].characters[-1, 1]]


def test_what_does_not_fit_is_cut() -> None:
    model = reader("dpr", pair_length=20)
    question, title, text = (" ".join(WORDS[:30]) for _ in range(3))
    ((window,),) = model.tokenizer.windows([question], [title], [text])
    assert len(window.pair.ids) == 20
    assert len(window.characters) >= 1
    ((short,),) = model.tokenizer.windows(["who"], ["red"], [text])
    assert len(short.characters) == 20 - 3 - 2


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_text_without_tokens_has_no_answer(layout: Layout) -> None:
    found = reader(layout).read(["who", "who"], ["", "king"])
    assert found.answers == ["", "king"]
    assert found.scores[0] == found.relevance[0] == -np.inf
    assert np.isfinite(found.scores[1]) and np.isfinite(found.relevance[1])
    assert reader(layout).read([], []).answers == []


def test_what_cannot_be_read_is_refused() -> None:
    with pytest.raises(UsageError, match="1, 2 and 2"):
        reader().read(["a"], ["b", "c"])
    with pytest.raises(UsageError, match="None"):
        reader().read(["a"], ["b"], [None])  # type: ignore[list-item]
    with pytest.raises(UsageError, match="pairs of 65 tokens are more than the 64"):
        reader(pair_length=65)
    with pytest.raises(UsageError, match="leave no room"):
        reader(pair_length=5)
    with pytest.raises(UsageError, match="max_answer_length is at least 1, not 0"):
        ReaderSettings(max_answer_length=0)
    with pytest.raises(UsageError, match="overlap is at least 0"):
        ReaderSettings(overlap=-1)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_saved_opens_again(tmp_path: Path, layout: Layout) -> None:
    model = reader(layout, title=False, query_length=5, max_answer_length=4)
    model.save(tmp_path / "x")
    again = Reader.from_pretrained(tmp_path / "x", device="cpu")
    assert (again.settings, again.layout, again.unused) == (model.settings, layout, ())
    assert again.fingerprint() == model.fingerprint() != model.with_settings(max_answer_length=5).fingerprint()
    assert again.read(QUESTIONS, TEXTS).answers == model.read(QUESTIONS, TEXTS).answers
    other = (DPRReader if layout == "dpr" else AutoModelForQuestionAnswering).from_pretrained(tmp_path / "x")
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in model.model.state_dict().items())
    with pytest.raises(ModelError, match=r"Reader\.from_pretrained"):
        DenseEncoder.from_pretrained(tmp_path / "x", device="cpu")
    with pytest.raises(ModelError, match=r"reader.*Reader"):
        CrossEncoder.from_pretrained(tmp_path / "x", device="cpu")


def test_settings_of_others_checkpoints(tmp_path: Path) -> None:
    dpr = Reader.from_pretrained(write_reader(tmp_path / "dpr"), device="cpu")
    assert dpr.settings == ReaderSettings(pair_length=64, overlap=None)
    answerer = Reader.from_pretrained(write_answerer(tmp_path / "qa"), device="cpu", query_length=9)
    assert answerer.settings == ReaderSettings(pair_length=64, overlap=128, query_length=9)
    with pytest.raises(UsageError, match=r"'length'.*pair_length"):
        Reader.from_pretrained(tmp_path / "qa", device="cpu", length=3)


MISSING = [
    ("dpr", "span_predictor.qa_classifier.bias"),
    ("dpr", "span_predictor.encoder.bert_model.encoder.layer.1.output.dense.weight"),
    ("qa", "qa_outputs.bias"),
    ("qa", "bert.encoder.layer.1.output.dense.weight"),
]


@pytest.mark.parametrize(("layout", "missing"), MISSING)
def test_no_parameter_is_made_up(tmp_path: Path, layout: Layout, missing: str) -> None:
    path = (write_reader if layout == "dpr" else write_answerer)(tmp_path / "x") / "model.safetensors"
    weights = load_file(path)
    del weights[missing]
    save_file(weights, path, {"format": "pt"})
    with pytest.raises(ModelError, match=rf"1 parameters of the model are not in the file: {missing}"):
        Reader.from_pretrained(tmp_path / "x", device="cpu")


def test_poolers_and_positions_of_old_files_are_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_reader(tmp_path / "x") / "model.safetensors"
    inner = "span_predictor.encoder.bert_model."
    old = {f"{inner}pooler.dense.bias": torch.zeros(2), f"{inner}embeddings.position_ids": torch.arange(64)}
    torch.save({**load_file(path), **old}, path.with_name("pytorch_model.bin"))
    path.unlink()
    assert Reader.from_pretrained(tmp_path / "x", device="cpu").unused == ()
    torch.save({**torch.load(path.with_name("pytorch_model.bin")), "stranger": torch.zeros(2)}, path.with_name("pytorch_model.bin"))
    assert Reader.from_pretrained(tmp_path / "x", device="cpu").unused == ("stranger",)
    assert caplog.messages == [f"{tmp_path / 'x'}: weights that have no place in the model: stranger"]


def test_what_is_no_reader_is_refused(tmp_path: Path) -> None:
    question, _ = write_dpr(tmp_path, dpr_encoders())
    with pytest.raises(ModelError, match=r"question.*encoder.*DenseEncoder"):
        Reader.from_pretrained(question, device="cpu")
    with pytest.raises(ModelError, match=r"bert.*fresh_head"):
        Reader.from_pretrained(write_bert(tmp_path / "bert"), device="cpu")
    with pytest.raises(ModelError, match=r"no config\.json"):
        Reader.from_pretrained(tmp_path, device="cpu")
    folder = write_reader(tmp_path / "x")
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError, match="the tokeniser does not load"):
        Reader.from_pretrained(folder, device="cpu")
    reader().save(tmp_path / "new")
    path = tmp_path / "new" / "ance_ir.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 2}))
    with pytest.raises(ModelError, match="format 2 is not 1"):
        Reader.from_pretrained(tmp_path / "new", device="cpu")


@pytest.mark.parametrize("head", ["dpr", "qa"])
@pytest.mark.parametrize("start", ["bert", "classifier", "dense"])
def test_a_fresh_head_on_a_backbone(tmp_path: Path, head: Any, start: str) -> None:
    folder = tmp_path / "x"
    if start == "bert":
        write_bert(folder)
    else:
        (cross_encoder() if start == "classifier" else encoder()).save(folder)
    one, same, other = (Reader.from_pretrained(folder, device="cpu", fresh_head=head, seed=seed) for seed in (1, 1, 2))
    assert one.fingerprint() == same.fingerprint() != other.fingerprint()
    assert one.layout == head
    inner = one.model.span_predictor.encoder.bert_model if head == "dpr" else one.model.base_model
    source = load_file(folder / "model.safetensors")
    assert all(torch.equal(value, source.get(name, source.get(f"bert.{name}"))) for name, value in inner.state_dict().items())
    assert len(one.read(QUESTIONS, TEXTS, TITLES).answers) == len(TEXTS)


def test_a_fresh_head_of_dprs_is_for_berts(tmp_path: Path) -> None:
    backbone("roberta").save_pretrained(tmp_path / "x")
    tokenizer_of("roberta").save_pretrained(tmp_path / "x")
    assert Reader.from_pretrained(tmp_path / "x", device="cpu", fresh_head="qa").layout == "qa"
    with pytest.raises(ModelError, match="DPR's reader is a BERT, this is a roberta"):
        Reader.from_pretrained(tmp_path / "x", device="cpu", fresh_head="dpr")
    with pytest.raises(UsageError, match="head 'new'"):
        Reader.from_pretrained(tmp_path / "x", device="cpu", fresh_head="new")  # type: ignore[arg-type]


def test_tokens_that_cover_characters() -> None:
    model = reader("dpr", pair_length=24)
    text = "the king runs, the old king sleeps in the city " + "a cat " * 20
    ((window,),) = model.tokenizer.windows(["who"], [""], [text])
    ids = window.pair.ids

    def spans(*ranges: tuple[int, int]) -> list[str]:
        return [bert_tokenizer().decode(ids[first : last + 1]) for first, last in window.tokens_of(ranges, 4)]

    assert spans((4, 8), (19, 27)) == ["king", "old king"]
    assert spans((5, 7)) == ["king"], "part of a token"
    assert spans((0, 27)) == [], "too many tokens"
    assert spans((len(text) - 6, len(text) - 1)) == [], "cut off"
    assert spans() == []
