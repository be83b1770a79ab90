"""Whether a name is that of a dataset or of a model."""

from __future__ import annotations

from pathlib import Path

import pytest

from ance_ir.datasets import Dataset
from ance_ir.errors import DatasetNotFoundError
from ance_ir.workflows.kinds import dataset_or_none


@pytest.mark.parametrize("file", ["config.json", "modules.json", "ance_ir.json", "run.json", "adapter_config.json"])
def test_a_folder_of_a_model(tmp_path: Path, file: str) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(DatasetNotFoundError):
        dataset_or_none(str(tmp_path / "x"))
    (tmp_path / "x" / file).write_text("{}")
    assert dataset_or_none(str(tmp_path / "x")) is None


def test_a_file_of_documents(tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text('{"docno": "a", "text": "a cat"}\n')
    assert isinstance(dataset_or_none(str(tmp_path)), Dataset)
