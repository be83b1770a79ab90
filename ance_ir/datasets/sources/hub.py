"""A dataset of the Hugging Face Hub, by ``hf:`` and its name there.

``hf:ORGANISATION/NAME``, and, where wanted, ``/FOLDER`` for a part of it and ``@REVISION``: ``hf:mteb/nfcorpus``,
``hf:sentence-transformers/msmarco/corpus``, ``hf:BeIR/nfcorpus@main``. Its files of records are fetched into the Hugging Face cache and
opened as those in a folder are; nothing in a repository is executed. ``hf:BeIR/NAME`` takes the judgements of ``BeIR/NAME-qrels``, as BEIR
has them.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from pathlib import Path

from ance_ir.datasets.columns import split_columns
from ance_ir.datasets.file_dataset import FileDataset, Parts
from ance_ir.datasets.layouts import open_path
from ance_ir.datasets.roles import find_roles
from ance_ir.datasets.rows import judged_splits, read_qrels
from ance_ir.datasets.source import Source
from ance_ir.datasets.tables import TABLE_FILES
from ance_ir.errors import DatasetNotFoundError, UsageError
from ance_ir.hub import PREFIX

_NAMED = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)(?:/(?P<folder>[^@]+?)/?)?(?:@(?P<revision>.+))?")


def _open(name: str) -> FileDataset | None:
    if not name.startswith(PREFIX):
        return None
    place, columns = split_columns(name.removeprefix(PREFIX))
    named = _NAMED.fullmatch(place)
    if named is None:
        raise UsageError(f"a dataset of the Hub is hf:ORGANISATION/NAME, then /FOLDER and @REVISION where wanted, not {name!r}")
    repository, folder, revision = named.groups()
    snapshot = _fetch(repository, folder, revision)
    path = snapshot / (folder or "")
    of_beir = repository.lower().startswith("beir/")
    called = repository.lower() if of_beir else "/".join(filter(None, (repository, folder)))
    dataset = open_path(path, called, columns) if path.is_dir() else None
    if dataset is None:
        raise DatasetNotFoundError(_unreadable(name, path))
    if of_beir and not dataset.parts.qrels:
        parts = _judged(dataset.parts, _fetch(f"{repository}-qrels", None, None))
        dataset = FileDataset(dataset.path, called, parts, layout=dataset.layout, holds=dataset.holds)
    dataset.name, dataset.columns = called, columns
    dataset.opened_as = f"{PREFIX}{repository}{f'/{folder}' if folder else ''}@{snapshot.name}"
    return dataset


def _judged(parts: Parts, folder: Path) -> Parts:
    """The parts of a dataset, with the judgements in another folder."""
    roles = find_roles(folder, {})
    qrels = {split: partial(read_qrels, tables) for split, tables in roles.qrels.items()}
    return replace(parts, queries=judged_splits(parts.queries["test"], qrels), qrels=qrels, files=[*parts.files, *roles.files])


def _fetch(repository: str, folder: str | None, revision: str | None) -> Path:
    """The snapshot of a repository, named by its commit: the files of records in it, fetched if they are not in the cache.

    Raises:
        DatasetNotFoundError: there is no such repository, or it cannot be fetched.
    """
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError

    endings = {*(suffix for form in TABLE_FILES.values() for suffix in form.suffixes), ".txt"}
    patterns = [f"{f'{folder}/' if folder else ''}*{ending}*" for ending in sorted(endings)]
    try:
        return Path(snapshot_download(repository, repo_type="dataset", revision=revision, allow_patterns=patterns))
    except (EntryNotFoundError, HfHubHTTPError, HFValidationError, OSError, ValueError) as error:
        at = f" --revision {revision}" if revision else ""
        raise DatasetNotFoundError(
            f"the Hub did not give the dataset {repository!r} ({type(error).__name__}), and it is not in the Hugging Face cache "
            f"({constants.HF_HUB_CACHE}). Check its name; or run `hf download --repo-type dataset {repository}{at}` where there is a "
            "network, and copy the cache here"
        ) from None


def _unreadable(name: str, path: Path) -> str:
    if not path.is_dir():
        return f"{name}: there is no such folder in the repository"
    inner = sorted(folder.name for folder in path.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    remedy = f"Name one of its folders: {', '.join(f'{name}/{folder}' for folder in inner[:5])}" if inner else "It may hold code alone"
    return f"{name} is in none of the layouts that `ance-ir layouts` shows ({path}). {remedy}"


SOURCE = Source(order=4, open=_open, names=lambda: [f"{PREFIX}ORGANISATION/NAME"])
