"""A million documents in every layout and form of files: how fast they are read, compared with ``json.loads``, and in what memory."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest

from ance_ir.datasets import convert, load_dataset
from ance_ir.datasets.layouts import LAYOUTS
from tests.processes import CONTEXT

pytestmark = pytest.mark.large

DOCUMENTS = 1_000_000
MIB = 1024
"""/proc/self/status counts in KiB."""

CORPORA = [name for name, layout in LAYOUTS.items() if layout.write is not None and "corpus" in layout.holds]


def _records() -> Iterator[dict[str, str]]:
    """About 55 words each, log-normal; with other letters than ASCII's and quotation marks."""
    rng = np.random.default_rng(0)
    words = [f"{'größe' if number % 50 == 0 else 'word'}{number}" for number in range(20_000)]
    for number, length in enumerate(np.clip(rng.lognormal(3.9, 0.45, DOCUMENTS), 5, 400).astype(int)):
        start = number * 7919 % (len(words) - 400)
        yield {"docno": f"d{number}", "title": f'Title "{number}"', "text": " ".join(words[start : start + length])}


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("million")
    with (folder / "corpus.jsonl").open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in _records())
    (folder / "queries.train.tsv").write_text("1\twho\n")
    (folder / "qrels.train.txt").write_text("1 0 d1 1\n")
    return folder


@pytest.fixture(scope="module")
def seconds_of_json(collection: Path) -> float:
    """CPU time of ``json.loads`` over the lines of the records."""
    times = []
    for _ in range(3):
        start = time.process_time()
        with (collection / "corpus.jsonl").open(encoding="utf-8") as stream:
            for line in stream:
                json.loads(line)
        times.append(time.process_time() - start)
    return min(times)


def _list(path: Path) -> None:
    with path.open("w", encoding="utf-8") as stream:
        for number, record in enumerate(_records()):
            stream.write(f"{',' if number else '['}\n{json.dumps(record)}")
        stream.write("]")


def _columns(path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, ["docno", "title", "text"], delimiter="\t" if path.suffix == ".tsv" else ",", lineterminator="\n")
        writer.writeheader()
        writer.writerows(_records())


def _table(path: Path) -> None:
    schema = arrow.schema([(name, arrow.string()) for name in ("docno", "title", "text")])
    made = parquet.ParquetWriter(path, schema) if path.suffix == ".parquet" else arrow.ipc.new_stream(path, schema)
    with made as writer:
        stream = _records()
        while rows := list(islice(stream, 10_000)):
            writer.write_batch(arrow.RecordBatch.from_pylist(rows, schema=schema))


def _lines(path: Path, **keys: str) -> None:
    """JSON lines with other names of the fields, by ours."""
    with path.open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps({keys[name]: record[name] for name in keys}) + "\n" for record in _records())


def _version_2(path: Path) -> None:
    path.mkdir()
    _lines(path / "msmarco_passage_00", docno="pid", text="passage")


FILES: dict[str, Callable[[Path], None]] = {
    "x.json": _list,
    "x.tsv": _columns,
    "x.csv": _columns,
    "x.parquet": _table,
    "x.arrow": _table,
    "x.jsonl": partial(_lines, docno="id", text="body"),
    "msmarco_v2_passage": _version_2,
}
"""What is only read, by names; the layouts that are written are in ``CORPORA``."""


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def _read(path: Path, seconds: Any, grown: Any, count: Any) -> None:
    next(iter(load_dataset(path).documents()))  # imports
    before, most, start = _status("RssAnon"), 0, time.process_time()
    for number, _ in enumerate(load_dataset(path).documents(), start=1):
        if number % 10_000 == 0:
            most = max(most, _status("RssAnon"))
            count.value = number
    seconds.value, grown.value = time.process_time() - start, (most - before) / MIB


def _measure(path: Path) -> tuple[float, float]:
    """CPU seconds of reading, and MiB by which memory grew, in a process of its own."""
    seconds, grown, count = CONTEXT.Value("d"), CONTEXT.Value("d"), CONTEXT.Value("q")
    process = CONTEXT.Process(target=_read, args=(path, seconds, grown, count))
    process.start()
    process.join()
    assert (process.exitcode, count.value) == (0, DOCUMENTS)
    print(f"{path.name}: {seconds.value:.1f} s, memory grew by {grown.value:.0f} MiB")
    return seconds.value, grown.value


@pytest.mark.parametrize("layout", CORPORA)
def test_a_layout_is_read_at_half_the_speed_of_json(layout: str, collection: Path, tmp_path: Path, seconds_of_json: float) -> None:
    lost = {"title", "qid", "queries"} - LAYOUTS[layout].holds | ({"docno"} if layout == "colbert" else set())
    convert(load_dataset(collection), layout, tmp_path / layout, drop=lost)
    seconds, grown = _measure(tmp_path / layout)
    assert seconds_of_json / seconds > 0.5
    assert grown < 300


@pytest.mark.parametrize("name", FILES)
def test_a_form_of_files_is_read_at_half_the_speed_of_json(name: str, tmp_path: Path, seconds_of_json: float) -> None:
    FILES[name](tmp_path / name)
    seconds, grown = _measure(tmp_path / name)
    assert seconds_of_json / seconds > 0.5
    assert grown < 300


def test_a_compressed_corpus_is_read_at_half_the_speed_of_json_over_it(collection: Path, tmp_path: Path) -> None:
    packed = tmp_path / "corpus.jsonl.gz"
    with (collection / "corpus.jsonl").open("rb") as plain, gzip.open(packed, "wb", compresslevel=1) as stream:
        shutil.copyfileobj(plain, stream)
    start = time.process_time()
    with gzip.open(packed, "rt", encoding="utf-8") as lines:
        for line in lines:
            json.loads(line)
    seconds_of_json = time.process_time() - start
    seconds, grown = _measure(tmp_path)
    assert seconds_of_json / seconds > 0.5
    assert grown < 300
