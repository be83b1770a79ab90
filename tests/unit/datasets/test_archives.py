"""Collections in archives, as BEIR's zip files: read as the folder; nothing is written outside the cache."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import zstandard

from ance_ir.datasets import load_dataset
from ance_ir.errors import DatasetError
from tests.compressed import tarred, zipped

BEIR = {
    "corpus.jsonl": b"".join(json.dumps({"_id": f"d{n}", "title": "", "text": f"text {n}" * 50}).encode() + b"\n" for n in range(200)),
    "queries.jsonl": b'{"_id": "q1", "text": "who"}\n',
    "qrels/test.tsv": b"query-id\tcorpus-id\tscore\nq1\td1\t1\n",
}
OURS = {
    "corpus.jsonl": b'{"docno": "d1", "text": "a"}\n',
    "queries.tsv": b"q1\twho\n",
    "qrels.txt": b"q1 0 d1 1\n",
}
ARCHIVES: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    ".zip": zipped,
    ".tar": tarred,
    ".tar.gz": lambda files: gzip.compress(tarred(files)),
    ".tgz": lambda files: gzip.compress(tarred(files)),
    ".tar.bz2": lambda files: bz2.compress(tarred(files)),
    ".tar.xz": lambda files: lzma.compress(tarred(files)),
    ".tar.zst": lambda files: zstandard.compress(tarred(files)),
}


def below(folder: str, files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{folder}{name}": content for name, content in files.items()}


@pytest.mark.parametrize("ending", ARCHIVES)
@pytest.mark.parametrize("folder", ["", "scifact/", "./scifact/", "a/scifact/"])
def test_an_archive_is_read_as_the_folder_that_it_holds(tmp_path: Path, cache: Path, ending: str, folder: str) -> None:
    path = tmp_path / f"scifact{ending}"
    path.write_bytes(ARCHIVES[ending]({**below(folder, BEIR), "__MACOSX/._x": b"?"}))
    dataset = load_dataset(path)
    assert dataset.name == "beir/scifact"
    assert sum(1 for _ in dataset.documents()) == 200
    assert dataset.qrels().values.tolist() == [["q1", "d1", 1]]
    assert len(list((cache / "archives").iterdir())) == 1
    again = load_dataset(str(path))
    assert again.fingerprint == dataset.fingerprint
    assert len(list((cache / "archives").iterdir())) == 1


def test_our_own_layout_in_an_archive_and_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pets.zip").write_bytes(zipped(OURS))
    monkeypatch.setenv("ANCE_IR_DATA", str(tmp_path))
    dataset = load_dataset("pets.zip")
    assert (dataset.name, len(dataset.queries())) == ("pets", 1)
    (tmp_path / "pets").mkdir()
    for name, content in OURS.items():
        (tmp_path / "pets" / name).write_bytes(content)
    assert load_dataset("pets").fingerprint == dataset.fingerprint


@pytest.mark.parametrize("ending", ARCHIVES)
def test_an_archive_that_changes_is_unpacked_again(tmp_path: Path, cache: Path, ending: str) -> None:
    path, other = tmp_path / f"pets{ending}", tmp_path / f"other{ending}"
    for times in ((1, 1), (2, 2)):
        for archive, queries in ((path, b"q1\twho\n"), (other, b"q1\twhy\n"), (path, b"q1\thow\n")):
            archive.write_bytes(ARCHIVES[ending]({**OURS, "queries.tsv": queries}))
            os.utime(archive, ns=times)
            assert load_dataset(archive).queries()["query"].tolist() == [queries.split()[1].decode()]
    assert len(list((cache / "archives").glob("*/archive.json"))) == 2


@pytest.mark.parametrize("name", ["../out.txt", "/tmp/ance-ir-out.txt", "a/../../out.txt", "..\\out.txt", "a/b/../c"])
@pytest.mark.parametrize("kind", [".zip", ".tar.gz"])
def test_paths_that_lead_out_are_refused(tmp_path: Path, cache: Path, name: str, kind: str) -> None:
    (tmp_path / f"x{kind}").write_bytes(ARCHIVES[kind]({**OURS, name: b"out"}))
    with pytest.raises(DatasetError, match=r"not unpacked"):
        load_dataset(tmp_path / f"x{kind}")
    assert not [path for path in tmp_path.rglob("*") if path.name in ("out.txt", "corpus.jsonl")]
    assert not Path("/tmp/ance-ir-out.txt").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_tar_files_are_refused(tmp_path: Path, kind: bytes) -> None:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        link = tarfile.TarInfo("corpus.jsonl")
        link.type, link.linkname = kind, "/etc/passwd"
        archive.addfile(link)
    (tmp_path / "x.tar").write_bytes(written.getvalue())
    with pytest.raises(DatasetError, match=r"x\.tar holds a link or device, 'corpus\.jsonl'"):
        load_dataset(tmp_path / "x.tar")


def test_links_in_zip_files_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        link = zipfile.ZipInfo("corpus.jsonl")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("queries.tsv", "q1\twho\n")
    with pytest.raises(DatasetError, match=r"x\.zip holds a link, 'corpus\.jsonl'"):
        load_dataset(tmp_path / "x.zip")


@pytest.mark.parametrize("ending", ARCHIVES)
@pytest.mark.parametrize("left", [0.2, 0.5, 0.9, 0.99])
def test_cut_archives_are_named_and_leave_nothing(tmp_path: Path, cache: Path, ending: str, left: float) -> None:
    whole = ARCHIVES[ending](BEIR)
    path = tmp_path / f"x{ending}"
    path.write_bytes(whole.rstrip(b"\0")[: int(left * len(whole.rstrip(b"\0")))])
    with pytest.raises(DatasetError, match=rf"x\{ending}.*fetch it again"):
        load_dataset(path)
    assert not list(cache.glob("archives/*"))


def test_a_tar_file_cut_between_two_files_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(tarred({"corpus.jsonl": OURS["corpus.jsonl"]})[:1024] + tarred(OURS)[1024:2048])
    with pytest.raises(DatasetError, match=r"x\.tar.*early"):
        load_dataset(tmp_path / "x.tar")


def test_a_damaged_archive_is_named(tmp_path: Path, cache: Path) -> None:
    content = bytearray(zipped(BEIR))
    content[len(content) // 3] ^= 0xFF
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(DatasetError, match=r"x\.zip.*damaged"):
        load_dataset(tmp_path / "x.zip")
    assert not list(cache.glob("archives/*"))


def test_a_name_that_comes_twice_is_no_second_file(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(tarred({"corpus.jsonl": b"1", "./corpus.jsonl": b"2"}))
    with pytest.raises(DatasetError, match=r"x\.tar.*twice"):
        load_dataset(tmp_path / "x.tar")


def test_an_archive_without_a_collection_says_so(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(zipped({"a.bin": b"1", "b.bin": b"2"}))
    with pytest.raises(DatasetError, match=r"x"):
        load_dataset(tmp_path / "x.zip")


def test_a_zip_file_of_one_file_is_that_file(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "rows.jsonl.zip").write_bytes(zipped({"rows.jsonl": b'{"id": "d1", "contents": "a"}\n{"id": "d2", "contents": "b"}\n'}))
    documents = list(load_dataset(tmp_path / "rows.jsonl.zip").documents())
    assert pd.DataFrame(documents)["docno"].tolist() == ["d1", "d2"]
    assert not (cache / "archives").exists()
