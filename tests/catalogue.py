"""Small files in the layout of ir_datasets' own cache, so that its own code reads them without a download."""

from __future__ import annotations

import gzip
import importlib.util
import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import ir_datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ir_datasets.datasets import beir, dpr_w100, msmarco_passage

HAS_PARQUET = importlib.util.find_spec("ir_datasets.datasets.bright") is not None
"""Whether this version of ir_datasets has the collections that are in Parquet files."""

PASSAGES = (
    "The cat is a small domesticated carnivorous mammal",
    "Dogs were the first animals that humans kept",
    "A recipe for bread needs flour, water, yeast and salt",
    "Sourdough is made from flour and water that ferment for days",
    "The Eiffel tower in Paris is 330 metres high",
    "Paris is the capital and the largest city of France",
    "The speed of light in vacuum is 299,792 kilometres a second",
    "Sound travels through air at 343 metres a second",
    "Photosynthesis turns light into chemical energy in plants",
    "The heart of an adult beats about seventy times a minute",
    "A triathlon is swimming, cycling and running in sequence",
    "Cyclists may reach seventy kilometres an hour going downhill",
)
"""The text of the passages "0", "1", ….  The query "N" of MS MARCO's training split is answered by the passage N."""


def open_catalogue(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the catalogue be that of a few collections in ``home``, without a network."""

    def no_network(*_: object, **__: object) -> None:
        raise ir_datasets.lazy_libs.requests().exceptions.ConnectionError("no network")

    monkeypatch.setenv("IR_DATASETS_HOME", str(home))
    monkeypatch.setattr(ir_datasets.lazy_libs.requests(), "get", no_network)
    monkeypatch.setattr(ir_datasets.registry, "_registered", {})
    # ijson reads the files that are downloaded; these here are what is made of them
    monkeypatch.setattr(ir_datasets.lazy_libs, "ijson", lambda: None)
    parquet = [importlib.import_module(f"ir_datasets.datasets.{name}") for name in ("bright", "nano_beir")] if HAS_PARQUET else []
    for module in (beir, dpr_w100, msmarco_passage, *parquet):
        module._init()  # where the files lie is decided here


def write_home(home: Path) -> None:
    """Write the collections: msmarco-passage, beir/scifact, dpr-w100 with Natural Questions, nano-beir/scifact and bright/pony."""
    _write_msmarco(home / "msmarco-passage")
    _write_scifact(home / "beir" / "scifact")
    _write_dpr(home / "dpr-w100")
    if HAS_PARQUET:
        _write_nano(home / "nano-beir" / "scifact")
        _write_bright(home / "bright")


def _write_msmarco(folder: Path) -> None:
    _write(folder / "irds_version.txt", "v2")
    _write(folder / "collection.tsv", _tsv(enumerate(PASSAGES)))
    _write(folder / "train/queries.tsv", _tsv((number, f"what of {text[4:24]}") for number, text in enumerate(PASSAGES)))
    _write(folder / "train/qrels", "".join(f"{number}\t0\t{number}\t1\n" for number in range(len(PASSAGES) - 1)) + "0\t0\t1\t1\n")
    pairs = [(0, 0, 2), (0, 0, 1), (0, 0, 3), (0, 1, 4), (2, 2, 3), (0, 0, 5)]  # the passage 1 is relevant to the query 0, too
    _write(folder / "train/docpairs.tsv.gz", gzip.compress(_tsv(pairs).encode()))
    _write(folder / "train/ms.run", _tsv([(4, 5), (0, 1), (4, 4)]))
    _write(folder / "dev/queries.tsv", _tsv([(100, "which animal did humans keep first"), (101, "bread recipe"), (102, "unjudged")]))
    _write(folder / "dev/qrels", "100\t0\t1\t1\n101\t0\t2\t1\n")
    _write(folder / "dev/small/queries.tsv", _tsv([(100, "which animal did humans keep first")]))
    _write(folder / "dev/small/qrels", "100\t0\t1\t1\n")
    _write(folder / "dev/ms.run", _tsv([(100, 0), (100, 1), (100, 2)]))
    _write(folder / "trec-dl-2019/queries.tsv", _tsv([(200, "height of the eiffel tower"), (201, "not judged")]))
    _write(folder / "trec-dl-2019/qrels", "200 0 4 3\n200 0 5 1\n200 0 8 0\n")
    _write(folder / "trec-dl-2019/ms.run", _tsv([(200, 8), (201, 7), (200, 4), (200, 6)]))


def _write_scifact(folder: Path) -> None:
    _write(folder / "irds_version.txt", "v2")
    corpus = ({"_id": str(number), "title": f"Title {number}", "text": text, "metadata": {}} for number, text in enumerate(PASSAGES))
    queries = ({"_id": str(number), "text": text, "metadata": {}} for number, text in enumerate(["cats", "bread", "light"]))
    with zipfile.ZipFile(folder / "source.zip", "w") as packed:
        packed.writestr("scifact/corpus.jsonl", _json_lines(corpus))
        packed.writestr("scifact/queries.jsonl", _json_lines(queries))
        packed.writestr("scifact/qrels/train.tsv", "query-id\tcorpus-id\tscore\n0\t0\t1\n1\t2\t1\n")
        packed.writestr("scifact/qrels/test.tsv", "query-id\tcorpus-id\tscore\n2\t6\t1\n")


def _write_dpr(folder: Path) -> None:
    rows = [("id", "text", "title"), *((number, text, f"Title {number}") for number, text in enumerate(PASSAGES))]
    _write(folder / "docs.tsv.gz", gzip.compress(_tsv(rows).encode()))
    for split, question in (("train", "who was kept first"), ("dev", "how tall is the tower")):
        _write(folder / f"nq-{split}/queries.tsv", _tsv([(0, question, "Dogs", "dog"), (1, "what turns light into energy", "plants")]))
        _write(folder / f"nq-{split}/qrels", "0 0 1 2\n0 0 7 -1\n0 0 3 0\n0 0 2 0\n1 0 8 1\n")


def _write_nano(folder: Path) -> None:
    _write_parquet(folder / "corpus.parquet", [{"_id": str(number), "text": text} for number, text in enumerate(PASSAGES)])
    _write_parquet(folder / "queries.parquet", [{"_id": "q1", "text": "bread"}])
    _write_parquet(folder / "qrels.parquet", [{"query-id": "q1", "corpus-id": "2"}])


def _write_bright(folder: Path) -> None:
    _write_parquet(folder / "pony.docs.parquet", [{"id": f"p/{number}", "content": text} for number, text in enumerate(PASSAGES)])
    question = {"id": "7", "query": "why", "reasoning": "r", "gold_answer": "a", "gold_ids": ["p/1"], "excluded_ids": ["p/0"]}
    from ir_datasets.datasets.bright import REASONING_FIELDS

    dlc = ir_datasets.util.DownloadConfig.context("bright", folder)
    for name in ("pony/queries", *(f"pony/{source}/queries" for source in REASONING_FIELDS)):
        _write_parquet(Path(dlc[name].path(force=False)), [question])


def _tsv(rows: Iterable[tuple[object, ...]]) -> str:
    return "".join("\t".join(map(str, row)) + "\n" for row in rows)


def _json_lines(records: Iterable[dict[str, Any]]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def _write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def _write_parquet(path: Path, records: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(records), path)
