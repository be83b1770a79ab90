"""Datasets by their names on the Hugging Face Hub, from its cache and from a server that answers as it does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from ance_ir.datasets import FileDataset, load_dataset
from ance_ir.errors import DatasetNotFoundError, UsageError
from ance_ir.eval import suite_of
from tests.listening import serving_with, url_of

COMMIT = "a" * 40
REPOSITORIES = {
    "BeIR/pets": {
        "corpus.jsonl": '{"_id": "d1", "title": "", "text": "cats sleep"}\n',
        "queries.jsonl": '{"_id": "q1", "text": "who sleeps"}\n{"_id": "q2", "text": "who barks"}\n',
        "README.md": "about",
        "pets.py": "raise SystemExit",
    },
    "BeIR/pets-qrels": {"test.tsv": "query-id\tcorpus-id\tscore\nq1\td1\t1\n", "train.tsv": "query-id\tcorpus-id\tscore\nq2\td1\t1\n"},
    "someone/animals": {"cats/a.jsonl": '{"id": "1", "text": "cats sleep"}\n', "dogs/a.jsonl": '{"id": "2", "words": "dogs bark"}\n'},
}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the Hub's, which is not the one of the user."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.fixture
def filled(cache: Path) -> Path:
    for name, files in REPOSITORIES.items():
        folder = cache / f"datasets--{name.replace('/', '--')}"
        (folder / "refs").mkdir(parents=True)
        (folder / "refs" / "main").write_text(COMMIT)
        for file, text in files.items():
            path = folder / "snapshots" / COMMIT / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return cache


def check_beir(name: str) -> None:
    dataset = load_dataset(name)
    assert isinstance(dataset, FileDataset)
    assert (dataset.name, dataset.layout, dataset.source) == ("beir/pets", "beir", f"hf:BeIR/pets@{COMMIT}")
    assert list(dataset.documents()) == [{"docno": "d1", "title": "", "text": "cats sleep"}]
    assert dataset.splits == ("test", "train")
    assert dataset.queries().to_dict("list") == {"qid": ["q1"], "query": ["who sleeps"]}
    assert dataset.qrels("train").to_dict("list") == {"qid": ["q2"], "docno": ["d1"], "label": [1]}
    assert suite_of(dataset).name == "beir"
    again = load_dataset(dataset.source)
    assert (again.name, again.fingerprint) == (dataset.name, dataset.fingerprint)


@pytest.mark.usefixtures("filled")
def test_from_the_cache() -> None:
    check_beir("hf:BeIR/pets")
    check_beir("hf:BeIR/pets@main")
    part = load_dataset("hf:someone/animals/cats")
    assert (part.name, list(part.documents())) == ("someone/animals/cats", [{"docno": "1", "text": "cats sleep"}])
    named = load_dataset("hf:someone/animals/dogs[text=words]")
    assert list(load_dataset(named.source).documents()) == [{"docno": "2", "text": "dogs bark"}]


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("name", ["hf:BeIR/none", "hf:BeIR/pets@nope", "hf:BeIR/pets/nope", "hf:someone/animals/dogs"])
def test_what_is_not_there_is_named(name: str) -> None:
    with pytest.raises(DatasetNotFoundError, match=name.removeprefix("hf:").partition("@")[0].removesuffix("/nope")):
        load_dataset(name)


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("name", ["hf:", "hf:pets", "hf:BeIR/pets@", "hf:BeIR//x"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="hf:ORGANISATION/NAME"):
        load_dataset(name)


class Hub(BaseHTTPRequestHandler):
    """What `snapshot_download` asks of the Hub."""

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is logged."""

    def _answer(self, with_body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append(path)  # type: ignore[attr-defined]
        for name, files in REPOSITORIES.items():
            if path.startswith(f"/api/datasets/{name}/revision/"):
                return self._send(json.dumps({"id": name, "sha": COMMIT, "siblings": [{"rfilename": file} for file in files]}), with_body)
            if path.startswith(f"/api/datasets/{name}/tree/"):
                tree = [{"type": "file", "path": file, "size": len(text), "oid": _etag(text)} for file, text in files.items()]
                return self._send(json.dumps(tree), with_body)
            file = path.removeprefix(f"/datasets/{name}/resolve/{COMMIT}/")
            if file in files:
                return self._send(files[file], with_body)
        self.send_response(404)
        self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, text: str, with_body: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(text.encode())))
        self.send_header("ETag", f'"{_etag(text)}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if with_body:
            self.wfile.write(text.encode())


def _etag(text: str) -> str:
    return hashlib.sha1(text.encode()).hexdigest()


@pytest.fixture
def asked(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What a server that stands in for the Hub was asked for."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    import huggingface_hub

    with serving_with(Hub) as server:
        server.asked = []  # type: ignore[attr-defined]
        fetch = partial(huggingface_hub.snapshot_download, endpoint=url_of(server), cache_dir=cache)
        monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
        yield server.asked  # type: ignore[attr-defined]


def test_from_a_server_and_code_is_not_fetched(asked: list[str]) -> None:
    check_beir("hf:BeIR/pets")
    assert any(path.endswith("corpus.jsonl") for path in asked)
    assert not any(path.endswith((".py", ".md")) for path in asked)
    with pytest.raises(DatasetNotFoundError, match="BeIR/none"):
        load_dataset("hf:BeIR/none")
