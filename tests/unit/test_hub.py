"""Uploads, to a server that answers as the Hugging Face hub does, and what is fetched from there again."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import numpy as np
import pyterrier as pt
import pytest
from click.testing import CliRunner
from huggingface_hub import DatasetCard, ModelCard

from ance_ir.cli.index.info import command as index_info
from ance_ir.cli.push import command
from ance_ir.errors import DamagedIndexError, IndexingError, ModelError, UsageError
from ance_ir.hub import HubError
from ance_ir.indexes import AnceIndex
from ance_ir.models import DenseEncoder
from ance_ir.pipelines.systems.folders import kind_of
from ance_ir.pipelines.systems.parser import parse
from tests.listening import serving_with, url_of
from tests.tiny import cross_encoder, encoder, reader


class Hub(BaseHTTPRequestHandler):
    """What `create_repo` and `upload_folder` ask for; files are kept by their repository and name."""

    protocol_version = "HTTP/1.1"
    refuses: dict[str, tuple[int, str]]
    files: dict[str, dict[str, bytes]]
    asked: list[tuple[str, dict[str, object]]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b"".join(iter(self._chunk, b""))
        for part, (status, message) in self.refuses.items():
            if part in self.path:
                return self._send(status, {"error": message, "errors": [{"message": message}]})
        if self.headers.get("Authorization") != "Bearer hf_right":
            return self._send(401, {"error": "Invalid credentials"})
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            self.asked.append((self.path, asked))
            kind = "datasets/" if asked.get("type") == "dataset" else ""
            name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]
            return self._send(200, {"url": f"http://{self.headers['Host']}/{kind}{name}", "name": name, "id": name})
        if self.path == "/api/validate-yaml":
            return self._send(200, {"warnings": [], "errors": []})
        if found := re.fullmatch(r"/api/(models|datasets)/(\w+/[\w.-]+)/preupload/main", self.path):
            files = [{"path": one["path"], "uploadMode": "regular", "shouldIgnore": False} for one in json.loads(body)["files"]]
            return self._send(200, {"files": files})
        if found := re.fullmatch(r"/api/(models|datasets)/(\w+/[\w.-]+)/commit/main", self.path):
            kept = self.files.setdefault(f"{found[1]}/{found[2]}", {})
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    kept[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            url = f"http://{self.headers['Host']}/{found[2]}/commit/{'a' * 40}"
            return self._send(200, {"commitUrl": url, "commitOid": "a" * 40, "hookOutput": "", "success": True})
        self._send(404, {"error": f"nothing at {self.path}"})

    def do_GET(self) -> None:
        self._send(404, {"error": f"nothing at {self.path}"})

    def _chunk(self) -> bytes:
        size = int(self.rfile.readline(), 16)
        chunk = self.rfile.read(size)
        self.rfile.readline()
        return chunk

    def _send(self, status: int, answer: dict[str, object]) -> None:
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is logged."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    kind = type("OfThisTest", (Hub,), {"refuses": {}, "files": {}, "asked": []})
    with serving_with(kind) as server:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", url_of(server))
        monkeypatch.setattr("huggingface_hub.hf_api.constants.ENDPOINT", url_of(server))
        monkeypatch.setenv("HF_TOKEN", "hf_right")
        yield kind


def put(files: dict[str, bytes], folder: Path) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_a_model_is_uploaded_whole(hub: type[Hub], tmp_path: Path) -> None:
    model = encoder(head=8, shared=False)
    model.save(tmp_path / "model")
    run = CliRunner().invoke(command, [str(tmp_path / "model"), "me/ours", "--private", "--licence", "mit"], catch_exceptions=False)
    assert run.exit_code == 0
    assert run.output.strip().endswith("/me/ours")
    assert [asked.get("private", asked.get("visibility")) in (True, "private") for _, asked in hub.asked] == [True]
    copy = DenseEncoder.from_pretrained(put(hub.files["models/me/ours"], tmp_path / "copy"), device="cpu")
    assert copy.fingerprint() == model.fingerprint()
    card = ModelCard.load(tmp_path / "copy" / "README.md")
    assert card.data.license == "mit"
    assert 'DenseEncoder.from_pretrained("me/ours")' in card.text
    assert str(tmp_path) not in card.content


@pytest.mark.parametrize("kind", ["reranker", "reader"])
def test_other_families(hub: type[Hub], kind: str) -> None:
    (cross_encoder() if kind == "reranker" else reader()).push_to_hub("me/ours")
    assert "model.safetensors" in hub.files["models/me/ours"]


def test_an_index_is_uploaded_and_opened_by_its_name(hub: type[Hub], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    index = AnceIndex(tmp_path / "x").index({"docno": f"d{i}", "doc_vec": vectors[i]} for i in range(3))
    run = CliRunner().invoke(command, [str(tmp_path / "x"), "me/news", "--licence", "cc-by-4.0"], catch_exceptions=False)
    assert run.exit_code == 0
    put(hub.files["datasets/me/news"], tmp_path / "hub")
    assert DatasetCard.load(tmp_path / "hub" / "README.md").data.license == "cc-by-4.0"
    monkeypatch.setattr(pt.io, "pyterrier_home", lambda: str(tmp_path / "home"))
    monkeypatch.setattr(pt.io, "download_stream", lambda url, **_: (tmp_path / "hub" / url.rpartition("/")[2]).open("rb"))
    copy = AnceIndex("hf:me/news")
    for one, other in zip(copy.search_vectors(vectors, 3), index.search_vectors(vectors, 3), strict=True):
        np.testing.assert_array_equal(one, other)
    assert "documents" in CliRunner().invoke(index_info, ["hf:me/news"], catch_exceptions=False).output
    assert kind_of(Path("hf:me/news"))[1] == "dense index" == kind_of(copy.folder)[1]
    stage = parse("cascade=bm25 % 9 >> hf:me/news").tree.stages[1]
    assert AnceIndex(stage.path).folder == copy.folder
    monkeypatch.setattr(pt.io, "pyterrier_home", lambda: str(tmp_path / "other"))
    with pytest.raises(IndexingError, match="'me/none'"):
        monkeypatch.setattr(pt.io, "download_stream", lambda url, **_: (tmp_path / "nowhere").open("rb"))
        AnceIndex("hf:me/none")


def test_what_is_incomplete_is_refused_before_anything_is_sent(hub: type[Hub], tmp_path: Path) -> None:
    encoder().save(tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"cut")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    AnceIndex(tmp_path / "x").index([{"docno": "a", "doc_vec": np.ones(3)}])
    vectors = tmp_path / "x" / "vectors-00000.npy"
    vectors.write_bytes(vectors.read_bytes()[:-1] + b"!")
    for name, error in (("model", ModelError), ("run", ModelError), ("x", DamagedIndexError)):
        result = CliRunner().invoke(command, [str(tmp_path / name), "me/ours"])
        assert isinstance(result.exception, error), name
    with pytest.raises(UsageError, match="bfloat16"):
        encoder().at_precision("bfloat16").push_to_hub("me/ours")
    assert (hub.files, hub.asked) == ({}, [])


def test_what_the_hub_refuses(hub: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    model = encoder()
    with pytest.raises(UsageError, match="a b/c"):
        model.push_to_hub("a b/c")
    hub.refuses = {"validate-yaml": (400, "license is unknown")}
    with pytest.raises(UsageError, match="license is unknown"):
        model.push_to_hub("me/ours", licence="nonsense")
    hub.refuses = {"create": (403, "you may not")}
    with pytest.raises(HubError, match=r"403.*you may not.*HF_TOKEN"):
        model.push_to_hub("me/ours")
    hub.refuses = {}
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(HubError, match=r"401.*hf auth login"):
        model.push_to_hub("me/ours")
    monkeypatch.delenv("HF_TOKEN")
    hub.refuses = {"": (500, "asked")}
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", "/nowhere")
    with pytest.raises(HubError, match="hf auth login"):
        model.push_to_hub("me/ours")


def test_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubError, match=r"127\.0\.0\.1:9.*network"):
        encoder().push_to_hub("me/ours")
