from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyterrier as pt
import pytest
from pyterrier.text import HasTextLoader

from ance_ir.datasets import DirectoryDataset
from ance_ir.errors import DocumentNotFoundError, UsageError


def frame() -> pd.DataFrame:
    return pd.DataFrame({"qid": ["1", "1", "2"], "docno": ["3", "d1", "3"], "score": [2.0, 1.0, 0.5]}, index=[7, 7, 2])


def test_texts_are_added_and_all_else_stays(collection: Path) -> None:
    given = frame()
    result = DirectoryDataset(collection).text_loader(("text", "title", "url"))(given)
    pd.testing.assert_frame_equal(given, frame())
    pd.testing.assert_frame_equal(result[["qid", "docno", "score"]], given)
    assert result["text"].tolist() == ["Cats sleep all\tday.", "Cats sleep  all day.", "Cats sleep all\tday."]
    assert result["title"].tolist() == ["Cats"] * 3
    assert result["url"].tolist() == ["", "http://cats", ""]


def test_a_frame_of_documents_alone_is_enough(collection: Path) -> None:
    result = DirectoryDataset(collection).text_loader("text")(pd.DataFrame({"docno": ["größe/日本"], "text": ["old"]}))
    assert result.to_dict("list") == {"docno": ["größe/日本"], "text": ["Dogs bark."]}


def test_an_empty_frame_builds_no_store(collection: Path, cache: Path) -> None:
    result = DirectoryDataset(collection).text_loader(("text", "title"))(frame().iloc[:0])
    assert list(result) == ["qid", "docno", "score", "text", "title"]
    assert result.empty
    assert not cache.exists()


def test_a_frame_without_docno_is_refused(collection: Path) -> None:
    with pytest.raises(pt.validate.InputValidationError, match="docno"):
        DirectoryDataset(collection).text_loader()(pd.DataFrame({"qid": ["1"], "query": ["a"]}))


@pytest.mark.parametrize("docno", ["unseen", None, 4])
def test_an_unknown_docno_is_refused(collection: Path, docno: object) -> None:
    with pytest.raises(DocumentNotFoundError, match=f"documents of the corpus: '({docno}|nan)'"):
        DirectoryDataset(collection).text_loader()(pd.DataFrame({"docno": ["d1", docno]}))


def test_pyterriers_protocol(collection: Path) -> None:
    dataset = DirectoryDataset(collection)
    assert isinstance(dataset, HasTextLoader)
    frame = pd.DataFrame({"docno": ["d1", "3"]})
    for fields, columns in (("text", ["text"]), (["title", "url"], ["title", "url"]), ("*", ["text", "title", "url"])):
        found = pt.text.get_text(dataset, fields)(frame)
        assert list(found) == ["docno", *columns]
        pd.testing.assert_frame_equal(found, dataset.text_loader(columns, verbose=True)(frame))
    assert list(dataset.text_loader()(frame)) == ["docno", "text", "title", "url"]


@pytest.mark.parametrize("fields", [(), ("abstract",), ("text", "qid"), "title,text"])
def test_unknown_fields_are_refused(collection: Path, fields: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="text, title, url"):
        DirectoryDataset(collection).text_loader(fields)


def test_it_tells_pyterrier_what_it_adds(collection: Path) -> None:
    loader = DirectoryDataset(collection).text_loader(("text", "url"))
    assert pt.inspect.transformer_outputs(loader, ["qid", "docno"]) == ["qid", "docno", "text", "url"]
    assert ["docno"] in pt.inspect.transformer_inputs(loader)


def test_it_is_drawn_without_a_network(collection: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(transformer: pt.Transformer) -> str:
        raise AssertionError("PyTerrier looks for a page of its documentation")

    monkeypatch.setattr(pt.documentation, "url_for_class", download)
    drawn = pt.schematic.draw(DirectoryDataset(collection).text_loader())
    assert "Text loader" in drawn
