from __future__ import annotations

from pathlib import Path

import ir_datasets
import pytest

from ance_ir import datasets
from ance_ir.datasets import DirectoryDataset, IrDataset, load_dataset
from ance_ir.datasets.sources import SOURCES
from ance_ir.datasets.sources.irds import ALIASES
from ance_ir.errors import DatasetNotFoundError


def test_a_directory_comes_first(collection: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANCE_IR_DATA", str(collection.parent))
    assert load_dataset(collection).name == load_dataset(str(collection)).name == "pets"
    collection.rename(collection.parent / "vaswani")
    assert isinstance(load_dataset("vaswani"), DirectoryDataset)
    monkeypatch.chdir(collection.parent)
    monkeypatch.delenv("ANCE_IR_DATA")
    assert isinstance(load_dataset("vaswani"), DirectoryDataset)
    monkeypatch.chdir("/")
    assert isinstance(load_dataset("vaswani"), IrDataset)


def test_a_name_under_the_data_folder_keeps_its_name(collection: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANCE_IR_DATA", str(collection.parent.parent))
    assert load_dataset(f"{collection.parent.name}/pets").name == f"{collection.parent.name}/pets"


def test_an_alias_stands_for_an_id() -> None:
    dataset = load_dataset("trec-dl-2019/passage")
    assert isinstance(dataset, IrDataset)
    assert (dataset.name, dataset.identifier) == ("trec-dl-2019/passage", "msmarco-passage/trec-dl-2019/judged")


@pytest.mark.parametrize("alias", ALIASES)
def test_aliases_lead_to_ids_and_hide_none(alias: str) -> None:
    assert ALIASES[alias] in list(ir_datasets.registry)
    assert alias not in list(ir_datasets.registry)


def test_an_unknown_name_says_where_it_was_looked_for_and_what_there_is(collection: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        DatasetNotFoundError, match=r"no dataset 'vaswanni'.*Did you mean vaswani.*python-stdlib.*trec-dl.*ANCE_IR_DATA is not set"
    ):
        load_dataset("vaswanni")
    monkeypatch.setenv("ANCE_IR_DATA", str(collection.parent))
    with pytest.raises(DatasetNotFoundError, match=rf"Did you mean pets\b.*pets, python-stdlib.*ANCE_IR_DATA is {collection.parent}"):
        load_dataset("petss")
    with pytest.raises(DatasetNotFoundError, match=r"@@@@"):
        load_dataset("@@@@")
    with pytest.raises(DatasetNotFoundError, match="vaswani is not a directory"):
        load_dataset(Path("vaswani"))
    with pytest.raises(DatasetNotFoundError, match=r"no corpus\.jsonl"):
        load_dataset(collection.parent)


def test_what_is_exported() -> None:
    assert datasets.__all__ == sorted(datasets.__all__)
    assert all(hasattr(datasets, name) for name in datasets.__all__)


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_leaves_the_names_of_others_alone(name: str, collection: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANCE_IR_DATA", str(collection.parent))
    source = SOURCES[name]
    assert source.open("no/such-dataset") is None
    assert [other for other in SOURCES if other != name and SOURCES[other].order == source.order] == []
    names = set(source.names())
    assert names
    assert [other for other in SOURCES if other != name and names & set(SOURCES[other].names())] == []
    assert len(names) == len(list(source.names()))
