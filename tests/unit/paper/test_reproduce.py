"""The whole way from nothing to a verdict, through stand-ins as in the hub's cache, Pyserini's archives and ir_datasets' cache."""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faiss
import numpy as np
import pytest
from huggingface_hub import constants

from ance_ir import downloads, registries
from ance_ir.downloads import partial_of
from ance_ir.errors import UsageError
from ance_ir.eval import parse_measures
from ance_ir.eval.published import published_figures
from ance_ir.eval.suites import SUITES
from ance_ir.hub import HubError, check_blobs
from ance_ir.indexes import AnceIndex
from ance_ir.models import DenseEncoder
from ance_ir.paper.reproduction import material
from ance_ir.paper.reproduction.catalogue import find_reproductions, read_reproduction
from ance_ir.paper.reproduction.comparison import Comparison, decimals
from ance_ir.paper.reproduction.listing import left_out
from ance_ir.paper.reproduction.planned import encoded_bytes, hours
from ance_ir.workflows.planning.machine import Machine
from tests.catalogue import PASSAGES, open_catalogue, write_home
from tests.command import Run
from tests.published import DIMENSION, ance_weights, dpr_encoders, into_cache, write_ance, write_bert, write_dpr_file
from tests.serving import Served, serving

MODEL = "castorini/ance-msmarco-passage"
QUERY, RELEVANT = "Dogs were the first animals that humans kept", 1

TOML = """
describes = "a stand-in"
source = "tests"
model = "{model}"
model_bytes = 1_000_000

[vectors]
url = "{url}"
md5 = "{md5}"
bytes = {bytes}
rows = {rows}
dimension = {dimension}

[[figures]]
name = "dev"
dataset = "msmarco-passage/dev/small"
queries = 1
system = "{{index}}"
published = [
    {{ publication = "pyserini", system = "ANCE FirstP" }},
    {{ publication = "xiong-2021", system = "ANCE FirstP", tolerance = 1.0 }},
]

[[figures]]
name = "average"
dataset = "msmarco-passage/dev/small"
queries = 1
system = "{{index}}[prf=average:3]"
published = [{{ publication = "pyserini", system = "ANCE FirstP, average feedback" }}]

[[figures]]
name = "rerank"
dataset = "msmarco-passage/dev/small"
queries = 1
system = "candidates % 100 >> {{index}}"
published = [{{ publication = "pyserini", system = "ANCE FirstP" }}]
"""


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Caches of the hub, of ir_datasets and of our own, with a tiny checkpoint and a few documents in them, and no network."""
    hub = tmp_path / "hub"
    hub.mkdir()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(hub))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    into_cache(hub, MODEL, write_ance(tmp_path / "model", ance_weights("ance_encoder."), "AnceModel"))
    write_home(tmp_path / "home")
    (tmp_path / "home" / "msmarco-passage" / "dev" / "small" / "queries.tsv").write_text(f"100\t{QUERY}\n")
    open_catalogue(tmp_path / "home", monkeypatch)
    monkeypatch.setenv("ANCE_IR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(downloads.time, "sleep", lambda seconds: None)


@pytest.fixture
def archive(places: None) -> bytes:
    """Pyserini's: a Faiss index that Faiss wrote, and the docids."""
    index = faiss.IndexFlatIP(DIMENSION)
    index.add(DenseEncoder.from_pretrained(MODEL).encode_passages(list(PASSAGES)))
    return packed(faiss.serialize_index(index).tobytes(), "".join(f"{number}\n" for number in range(len(PASSAGES))).encode())


def packed(index: bytes, docid: bytes) -> bytes:
    """A Faiss folder in an archive."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, content in {"index": index, "docid": docid}.items():
            member = tarfile.TarInfo(f"faiss-flat.stand-in/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return made.getvalue()


@pytest.fixture
def served(archive: bytes) -> Iterator[Served]:
    with serving(Served(archive)) as found:
        yield found


def described(folder: Path, served: Served, **changes: Any) -> Path:
    """The file of the reproduction."""
    values = {"model": MODEL, "url": served.url, "md5": hashlib.md5(served.content).hexdigest(), "bytes": len(served.content)}
    path = folder / "stand-in.toml"
    path.write_text(TOML.format(**{**values, "rows": len(PASSAGES), "dimension": DIMENSION, **changes}))
    return path


def reciprocal_rank() -> float:
    """By hand: the inner products of the query with all passages."""
    model = DenseEncoder.from_pretrained(MODEL)
    scores = model.encode_passages(list(PASSAGES)) @ model.encode_queries([QUERY])[0]
    return float(1 / (1 + np.sum(scores > scores[RELEVANT])))


@pytest.mark.slow
def test_from_nothing_to_a_verdict(tmp_path: Path, served: Served, run: Run) -> None:
    served.cut = len(served.content) // 3  # the connection breaks on the way
    asked = described(tmp_path, served), "--out", tmp_path / "out"
    status, shown, said = run("reproduce", *asked)
    assert status == 1, said
    assert "within .0005: no" in shown, "the tiny model is not the real one"
    missed = said.splitlines()[-1]
    assert "stand-in/dev (RR@10" in missed and "; stand-in/average (" in missed
    assert "within 1: yes" in shown
    place = tmp_path / "out" / "stand-in"
    log = (place / "dev" / "log.md").read_text()
    ours = next(line for line in log.splitlines() if line.startswith("| RR@10") and "Pyserini" in line).split("|")
    assert ours[3].strip() == ".3301"
    assert 0.1 <= reciprocal_rank() < 1
    assert ours[4].strip() == decimals(round(reciprocal_rank(), 4))
    for fact in (
        served.url,
        hashlib.md5(served.content).hexdigest(),
        MODEL,
        DenseEncoder.from_pretrained(MODEL).fingerprint(),
        "1 of msmarco",
    ):
        assert fact in log
    assert log.startswith("# stand-in/dev: 2 of 4 figures reproduced") == ("within .0005: yes" not in log)
    kept = ["average", "dev", "index.ance", "rerank"]
    assert sorted(path.name for path in place.iterdir()) == kept, "archive and unpacked files are gone"
    before = len(served.asked)
    status, again, _ = run("reproduce", *asked)
    assert (status, len(served.asked)) == (1, before), "nothing is fetched twice"
    assert "within 1: yes" in again


ENCODED = """
describes = "a stand-in"
source = "tests"
model = "{model}"
model_bytes = 1_000_000

[corpus]
documents = 12
tokens = 10
download = 1000
disk = 1000

[[figures]]
name = "all"
dataset = "{dataset}"
queries = 1
system = "{system}"
published = [{{ publication = "xiong-2021", system = "{published}", tolerance = 1.0 }}]
"""


def test_documents_that_are_encoded_here(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "encoded.toml"
    values = {"model": MODEL, "dataset": "msmarco-passage/dev/small", "published": "ANCE FirstP"}
    system = "ance[model={model}]"
    overlap = {**values, "dataset": "msmarco-passage/trec-dl-2019/judged"}
    figures = [ENCODED.format(system=system, **one) for one in (values, overlap)]
    beside = figures[1].partition("[[figures]]")[2].replace('"all"', '"overlap"').replace("queries", 'bm25 = "candidates"\nqueries')
    path.write_text(f"{figures[0]}\n[[figures]]{beside}")
    status, shown, said = run("reproduce", path, "--out", tmp_path / "out")
    assert status == 0, said
    assert "within 1: no" not in shown
    ours = [line.split("|") for line in (tmp_path / "out" / "encoded" / "overlap" / "log.md").read_text().splitlines() if ".174" in line]
    assert [(row[1].strip(), row[4].strip()) for row in ours] == [("Overlap(run='bm25')@100", ".03")], "of 12 documents, three candidates"
    log = (tmp_path / "out" / "encoded" / "all" / "log.md").read_text()
    assert "vectors: made here" in log
    ours = next(line for line in log.splitlines() if line.startswith("| RR@10")).split("|")[4].strip()
    assert ours == decimals(round(reciprocal_rank(), 4))


def test_a_checkpoint_that_is_put_there_by_hand(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANCE_IR_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "nq-test.qa.csv").write_text("what turns light into energy\t['plants']\n")
    path = tmp_path / "single.toml"
    system = "ance[model={model}; passages=firstp]"
    path.write_text(ENCODED.format(model="https://127.0.0.1/nq.cp", dataset="nq", system=system, published="ANCE, single task"))
    asked = path, "--out", tmp_path / "out"
    status, _, said = run("reproduce", *asked)
    checkpoint = tmp_path / "out" / "single" / "nq.cp"
    assert status == 2
    assert str(checkpoint) in said and "https://127.0.0.1/nq.cp" in said
    backbone = str(write_bert(tmp_path / "bert"))
    write_dpr_file(checkpoint, dpr_encoders(), told={"pretrained_model_cfg": backbone})
    status, shown, said = run("reproduce", *asked)
    assert status == 0, said
    assert shown.count("within 1: yes") == 2, "Coverage@20 and @100, of 12 documents"
    rows = [line.split("|") for line in (checkpoint.parent / "all" / "log.md").read_text().splitlines() if "Coverage@" in line]
    assert [row[4].strip() for row in rows[:2]] == ["1", "1"], "one of all documents holds the answer"


def test_vectors_of_passages(tmp_path: Path, served: Served, run: Run) -> None:
    ids = "".join(f"{number // 2}#{number % 2}\n" for number in range(len(PASSAGES)))
    with tarfile.open(fileobj=io.BytesIO(served.content)) as tar:
        index = tar.extractfile("faiss-flat.stand-in/index")
        assert index is not None
        served.content = packed(index.read(), ids.encode())
    path = described(tmp_path, served)
    path.write_text(path.read_text().replace(f"dimension = {DIMENSION}", f'dimension = {DIMENSION}\npassages = "maxp"'))
    status, _, said = run("reproduce", path, "--out", tmp_path / "out")
    assert status == 1, said
    found = AnceIndex(tmp_path / "out" / "stand-in" / "index.ance")
    assert (found.manifest["most_passages"], len(found)) == (2, len(PASSAGES) // 2)


def test_a_download_that_another_process_resumes(tmp_path: Path, served: Served, run: Run) -> None:
    asked = described(tmp_path, served), "--out", tmp_path / "out"
    archive = tmp_path / "out" / "stand-in" / "vectors.tar.gz"
    archive.parent.mkdir(parents=True)
    partial_of(archive).write_bytes(served.content[:100])
    served.status = 500
    status, _, said = run("reproduce", *asked)
    assert status == 2
    assert "100 of" in said and str(partial_of(archive)) in said, "says where it may be put by hand"
    served.status = 0
    assert run("reproduce", *asked)[0] == 1
    assert set(served.asked) == {100}


def test_an_import_that_is_interrupted(tmp_path: Path, served: Served, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    asked = described(tmp_path, served), "--out", tmp_path / "out"
    place = tmp_path / "out" / "stand-in"
    for step in ("import_index", "remove_folder"):
        with monkeypatch.context() as patch:
            patch.setattr(material, step, interrupted)
            assert run("reproduce", *asked)[0] == 130
        assert not (place / "vectors.tar.gz").exists(), "the archive makes room once it is unpacked"
    assert run("reproduce", *asked)[0] == 1
    assert served.asked == [0], "what is unpacked is not fetched again"
    assert not (place / "unpacked").exists()


def test_vectors_that_are_damaged(tmp_path: Path, served: Served, run: Run) -> None:
    status, _, said = run("reproduce", described(tmp_path, served, md5="0" * 32), "--out", tmp_path / "out")
    assert status == 2
    assert "0" * 32 in said and hashlib.md5(served.content).hexdigest() in said
    assert list((tmp_path / "out" / "stand-in").iterdir()) == []


def test_without_a_network_one_message_says_what_to_put_where(
    tmp_path: Path, served: Served, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_catalogue(tmp_path / "empty", monkeypatch)
    status, _, said = run("reproduce", described(tmp_path, served, model="castorini/nothing"), "--out", tmp_path / "out")
    assert status == 2
    said = said.splitlines()[-1]
    for what in ("IR_DATASETS_HOME", str(tmp_path / "empty"), "hf download castorini/nothing", constants.HF_HUB_CACHE, served.url):
        assert what in said
    assert str(partial_of(tmp_path / "out" / "stand-in" / "vectors.tar.gz")) in said
    assert served.asked == [], "the large file is not begun"


def test_too_little_disk_is_refused_before_anything_is_fetched(
    tmp_path: Path, served: Served, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = described(tmp_path, served, bytes=10**9)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=9 * 10**8))
    status, shown, said = run("reproduce", path, "--out", tmp_path / "out")
    assert (status, shown.splitlines()[1:], served.asked) == (2, [], [])
    assert "1.0 GB" in said and "0.9 GB" in said
    status, shown, _ = run("reproduce", path, "--out", tmp_path / "out", "--dry-run")
    assert status == 0
    assert "0.9 GB" in shown


@pytest.mark.parametrize(("dataset", "corpus"), [("msmarco-passage/dev/small", "msmarco-passage"), ("nq", "dpr-w100")])
def test_documents_that_are_there_need_no_room(dataset: str, corpus: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupted run needs what is missing; a file that ir_datasets had begun, it begins again."""
    monkeypatch.setenv("ANCE_IR_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "nq-test.qa.csv").write_text("what turns light into energy\t['plants']\n")
    (tmp_path / "x.toml").write_text(ENCODED.format(model=MODEL, dataset=dataset, system="{model}", published="ANCE FirstP"))

    def needed() -> int:
        (step,) = (one for one in material.steps(read_reproduction(tmp_path / "x.toml"), tmp_path, "cpu", verbose=False) if one.by_hand)
        ((place, amount), _) = step.space()
        assert place == tmp_path / "home"
        return amount

    folder = tmp_path / "home" / corpus
    shutil.rmtree(folder)
    folder.mkdir()
    whole = needed()
    assert 2000 - len("v2") <= whole <= 2000, "ir_datasets notes its version there"
    for name, there in {"docs.tsv.tmp0": 0, "dev/queries.tsv": 0, "docs.tsv": 300, "docs.pklz4/bin": 600, "more": 900}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(bytes(300))
        assert needed() == whole - there, name
    (folder / "more").write_bytes(bytes(9000))
    assert needed() == 0


def test_a_dry_run_says_all_and_fetches_nothing(tmp_path: Path, served: Served, run: Run) -> None:
    path = described(tmp_path, served)
    status, shown, _ = run("reproduce", path, "--out", tmp_path / "out", "--dry-run")
    assert status == 0
    for what in (MODEL, served.url, "msmarco-passage/dev/small", "ance-ir eval", "--measure RR@10", "prf=average:3"):
        assert what in shown
    assert served.asked == [] and not (tmp_path / "out").exists()


def test_other_queries_are_refused(tmp_path: Path, served: Served, run: Run) -> None:
    path = described(tmp_path, served)
    path.write_text(path.read_text().replace("queries = 1", "queries = 6980", 1))
    status, _, said = run("reproduce", path, "--out", tmp_path / "out")
    assert status == 2
    assert "6,980" in said and "1:" in said


@pytest.mark.parametrize("name", registries.REPRODUCTIONS)
def test_a_reproduction_can_be_followed(name: str) -> None:
    found = read_reproduction(registries.REPRODUCTIONS[name])
    assert found.source.startswith("https://")
    assert (found.vectors is not None) + bool(found.corpus) > 0, "its documents come from somewhere"
    assert ("{index}" in "".join(figure.system for figure in found.figures)) == (found.vectors is not None)
    for figure in found.figures:
        assert parse_measures(figure.measures)
        assert all(known.is_on(figure.dataset) for _, known in figure.expected())
        assert figure.dataset == "msmarco-document/dev" or any(f"{figure.queries:,}" in suite.describes for suite in SUITES.values())
    times = [hours(found, Machine.find(machine)) for machine in ("h100", "laptop")]
    assert 0 < times[0] <= times[1]
    assert (encoded_bytes(found) > 0) == (bool(found.model) and found.vectors is None)


def test_all_pyserini_says_of_ances_checkpoints_is_reproduced(run: Run) -> None:
    every = find_reproductions([])
    covered = {known for one in every for figure in one.figures for _, known in _known(figure)}
    wanted = {(one.dataset, one.system) for one in published_figures() if one.publication == "pyserini" and "ANCE" in one.system}
    assert wanted <= covered
    assert not any("ANCE" in system for systems in left_out(every) for system in systems.split(": ")[1].split(", "))
    status, shown, _ = run("reproduce")
    assert status == 0
    assert all(f"{one.name}/{figure.name}:" in shown for one in every for figure in one.figures)


def _known(figure: Any) -> list[tuple[Any, tuple[str, str]]]:
    return [(expected, (known.dataset, known.system)) for expected, known in figure.expected()]


def test_texts_are_fetched_for_figures_that_read_some() -> None:
    read = {name: find_reproductions([f"ance-passage/{name}"])[0].corpus is not None for name in ("dev", "dl19-average", "dl19-rerank")}
    assert read == {"dev": False, "dl19-average": False, "dl19-rerank": True}
    assert all(find_reproductions([name])[0].corpus for name in ("ance-passage", "dpr-single-nq/nq", "ance-document-maxp/dl19"))


def test_what_no_checkpoint_was_released_for_is_named() -> None:
    assert "triviaqa: DPR, single task" in left_out(find_reproductions([]))


def test_some_figures_of_a_reproduction() -> None:
    found = find_reproductions(["ance-passage/dl20", "bm25-passage", "ance-passage/dev"])
    assert [(one.name, [figure.name for figure in one.figures]) for one in found] == [
        ("ance-passage", ["dev", "dl20"]),
        ("bm25-passage", ["dev", "dl19", "dl20"]),
    ]


@pytest.mark.parametrize("name", ["ance", "ance-passage/dl21", "nowhere.toml"])
def test_a_name_that_there_is_none_of(name: str) -> None:
    with pytest.raises(UsageError, match=name.partition("/")[2] or name):
        find_reproductions([name])


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ('name = "dev"', "", "name"),
        ("rows = ", "lines = ", "rows"),
        ("queries = 1", 'queries = "one"', "queries"),
        ("queries = 1", "queries = 1\nsplit = 2", "split"),
        ("[vectors]", "[vectors", "TOML"),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, before: str, after: str, fault: str) -> None:
    path = described(tmp_path, Served(b"", url="http://127.0.0.1/x"))
    path.write_text(path.read_text().replace(before, after, 1))
    with pytest.raises(UsageError, match=fault) as raised:
        read_reproduction(path)
    assert str(path) in str(raised.value)


def test_an_overlap_that_is_not_published(tmp_path: Path) -> None:
    path = described(tmp_path, Served(b""))
    path.write_text(path.read_text().replace("queries = 1", 'bm25 = "candidates"\nqueries = 1', 1))
    with pytest.raises(UsageError, match=r"pyserini .*ANCE FirstP.*dev/small"):
        read_reproduction(path).figures[0].expected()


def test_a_published_system_that_there_is_none_of(tmp_path: Path) -> None:
    path = described(tmp_path, Served(b""))
    path.write_text(path.read_text().replace('system = "ANCE FirstP"', 'system = "ANCE LastP"', 1))
    with pytest.raises(UsageError, match="ANCE LastP"):
        read_reproduction(path).figures[0].expected()


def test_verdicts() -> None:
    def verdict(ours: float, tolerance: float = 0.0005) -> str:
        return Comparison(measure="RR@10", source="x", published=0.3301, ours=ours, tolerance=tolerance).verdict

    assert verdict(0.3306) == verdict(0.3296) == "within .0005: yes"
    assert verdict(0.33061) == verdict(0.32959) == "within .0005: no"
    assert verdict(0.3311, 0.001) == "within .001: yes"


def test_a_checkpoint_that_is_damaged_in_the_hubs_cache(tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "0123"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    blob = blobs / hashlib.sha256(b"weights").hexdigest()
    blob.write_bytes(b"weights")
    (snapshot / "model.safetensors").symlink_to(blob)
    (snapshot / "config.json").symlink_to(blobs / "small")  # its name is no checksum of that kind
    (blobs / "small").write_bytes(b"{}")
    check_blobs(snapshot)
    blob.write_bytes(b"weight")
    with pytest.raises(HubError, match=blob.name):
        check_blobs(snapshot)
