"""``ance-ir search``: runs of any system for queries that nobody has judged, and what is known of how they were made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from ance_ir.eval import read_run
from tests.command import Run
from tests.tiny import encoder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANCE_IR_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ANCE_IR_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    folder = tmp_path / "pets"
    folder.mkdir()
    texts = {"d1": "the cat sleeps", "d2": "a dog runs and a bird sings", "d3": "the fish swims in the river", "d4": "a cat runs"}
    (folder / "corpus.jsonl").write_text("".join(f'{{"docno": "{docno}", "text": "{text}"}}\n' for docno, text in texts.items()))
    (folder / "queries.tsv").write_text("q1\tcat\nq2\triver\n")
    return folder


def test_a_split_that_nobody_judged(pets: Path, run: Run) -> None:
    status, out, err = run("search", "--dataset", pets, "--system", "bm25", "--split", "test", "--tag", "mine", "--out", "run.trec.gz")
    assert status == 0, err
    found = read_run("run.trec.gz")
    assert set(found["qid"]) == {"q1", "q2"}
    assert "ir-metadata.yml" in out
    about = yaml.safe_load(Path("ir-metadata.yml").read_text(encoding="utf-8"))
    assert (about["tag"], about["run"], about["resources"]["results"]) == ("mine", "run.trec.gz", len(found))
    (stage,) = about["method"]["retrieval"]
    assert (stage["name"], stage["documents"], stage["k1"], stage["b"]) == ("bm25", 1000, 0.9, 0.4)
    assert about["data"]["test collection"]["name"] == "pets"
    assert {"hardware", "operating system", "software"} == set(about["platform"])


def test_two_runs_of_a_folder_keep_their_metadata(pets: Path, run: Run) -> None:
    for name in ("a.txt", "b.txt", "a.txt"):
        assert run("search", "--dataset", pets, "--system", "bm25 % 1", "--split", "test", "--tag", name[0], "--out", name)[0] == 0
    for path, tag in (("ir-metadata.yml", "a"), ("b.txt.ir-metadata.yml", "b")):
        assert yaml.safe_load(Path(path).read_text(encoding="utf-8"))["tag"] == tag
    assert sorted(path.name for path in Path().glob("*.yml")) == ["b.txt.ir-metadata.yml", "ir-metadata.yml"]


def test_metadata_of_a_cascade_and_its_model(pets: Path, run: Run) -> None:
    encoder().save(Path("tiny"))
    assert run("index", "--dataset", pets, "--model", "tiny", "--out", "x.ance")[0] == 0
    status, _, err = run(
        "search",
        "--dataset",
        pets,
        "--system",
        "minmax(0.5 * (bm25 % 2 >> x.ance), x.ance)",
        "cat",
        "--out",
        "run.txt",
        "--format",
        "msmarco",
    )
    assert status == 0, err
    about = yaml.safe_load(Path("ir-metadata.yml").read_text(encoding="utf-8"))
    first, second, third, fused = about["method"]["retrieval"]
    assert (first["name"], first["documents"]) == ("bm25", 2)
    assert second["reranks"] == "bm25"
    assert "reranks" not in third
    assert (fused["interpolates"], fused["weights"]) == ([second["name"], third["name"]], [0.5, 1.0])
    assert [model["fingerprint"] for model in about["method"]["models"]] == [encoder().fingerprint()]
    assert about["method"]["models"][0]["text"]["query_length"] == encoder().settings.query_length
    assert [index["name"].endswith("x.ance") for index in about["method"]["indexes"]] == [False, True]
    assert about["method"]["indexing"] == {"tokenizer": "pisa", "stemmer": "porter2", "stopwords": "terrier"}
    assert Path("run.txt").read_text(encoding="utf-8").splitlines()[0].split("\t")[0] == "1"


def test_what_the_author_added_is_kept(pets: Path, run: Run) -> None:
    arguments = ("search", "--dataset", pets, "--system", "bm25", "cat", "--tag")
    assert run(*arguments, "first", "--out", "a.txt")[0] == 0
    about = yaml.safe_load(Path("ir-metadata.yml").read_text(encoding="utf-8"))
    about |= {"actor": {"team": "h2oloo"}, "research goal": {"description": "cats"}, "tag": "mine"}
    about["data"] |= {"training data": [{"name": "MS MARCO"}], "unknown": 1}
    Path("ir-metadata.yml").write_text(yaml.safe_dump(about), encoding="utf-8")
    for name, tag, path in (("a.txt", "again", "ir-metadata.yml"), ("b.txt", "other", "b.txt.ir-metadata.yml")):
        assert run(*arguments, tag, "--out", name)[0] == 0
        now = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        assert (now["tag"], now["run"], now["actor"], now["research goal"]) == (tag, name, {"team": "h2oloo"}, {"description": "cats"})
        assert (now["data"]["training data"], "unknown" in now["data"]) == ([{"name": "MS MARCO"}], False)


@pytest.mark.parametrize("content", ["", "- a list\n", "tag: [", "tag: mine\n"])
def test_a_file_of_someone_else_stays(pets: Path, content: str, run: Run) -> None:
    Path("ir-metadata.yml").write_text(content, encoding="utf-8")
    assert run("search", "--dataset", pets, "--system", "bm25", "cat", "--out", "a.txt")[0] == 0
    assert Path("ir-metadata.yml").read_text(encoding="utf-8") == content
    assert yaml.safe_load(Path("a.txt.ir-metadata.yml").read_text(encoding="utf-8"))["run"] == "a.txt"


def test_a_search_of_an_index_has_metadata_too(pets: Path, run: Run) -> None:
    encoder().save(Path("tiny"))
    run("index", "--dataset", pets, "--model", "tiny", "--out", "x.ance")
    assert run("search", "x.ance", "cat", "--tag", "t", "--out", "one.txt")[0] == 0
    about = yaml.safe_load(Path("ir-metadata.yml").read_text(encoding="utf-8"))
    (stage,) = about["method"]["retrieval"]
    assert (stage["backend"], stage["documents"], about["tag"], "data" in about) == ("exact", 10, "t", False)
    assert about["method"]["models"][0]["fingerprint"] == encoder().fingerprint()


CHECKLISTS = {  # www.ir-metadata.org/metadata, v0.1: what a run's author does not write
    ("schema-version",): float,
    ("run-version",): float,
    ("tag",): str,
    ("platform", "hardware", "cpu", "model"): str,
    ("platform", "hardware", "cpu", "architecture"): str,
    ("platform", "hardware", "cpu", "operation mode"): str,
    ("platform", "hardware", "cpu", "number of cores"): int,
    ("platform", "operating system", "kernel"): str,
    ("platform", "operating system", "distribution"): str,
    ("platform", "software", "libraries", "python"): list,
    ("platform", "software", "retrieval toolkit"): list,
    ("implementation", "executable", "cmd"): str,
    ("implementation", "source", "lang"): list,
    ("method", "automatic"): bool,
    ("method", "score ties"): str,
    ("method", "indexing", "tokenizer"): str,
    ("method", "indexing", "stemmer"): str,
    ("method", "indexing", "stopwords"): str,
    ("method", "retrieval"): list,
    ("data", "test collection", "name"): str,
    ("data", "test collection", "source"): str,
    ("data", "test collection", "topics"): str,
}


def test_the_published_schema(pets: Path, run: Run) -> None:
    encoder().save(Path("tiny"))
    system = "0.3 * bm25 + ance[model=./tiny] % 3"
    assert run("search", "--dataset", pets, "--system", system, "--split", "test", "--out", "a.txt")[0] == 0
    about = yaml.safe_load(Path("ir-metadata.yml").read_text(encoding="utf-8"))
    for keys, kind in CHECKLISTS.items():
        value: Any = about
        for key in keys:
            value = value[key]
        assert type(value) is kind, keys
    software = about["platform"]["software"]
    for library in (*software["libraries"]["python"], *software["retrieval toolkit"]):
        assert library.count("==") == 1, library
    names = [stage["name"] for stage in about["method"]["retrieval"]]
    assert len(set(names)) == len(names)
    for stage in about["method"]["retrieval"]:
        assert {stage.get("reranks"), *stage.get("interpolates", ())} - {None} <= set(names)
    assert about["resources"]["runtime"]["wallclock"].endswith(" ms")


def test_queries_of_beirs(pets: Path, run: Run) -> None:
    Path("queries.jsonl").write_text('{"_id": "one", "text": "cat", "metadata": {}}\n', encoding="utf-8")
    status, out, err = run("search", "--dataset", pets, "--system", "bm25", "--queries", "queries.jsonl")
    assert (status, err) == (0, "")
    assert "one: cat" in out


def test_the_same_results_as_an_index_of_its_own(pets: Path, run: Run) -> None:
    encoder().save(Path("tiny"))
    run("index", "--dataset", pets, "--model", "tiny", "--out", "x.ance")
    assert run("search", "x.ance", "--dataset", pets, "--split", "test", "-k", 3, "--tag", "t", "--out", "one.txt")[0] == 0
    assert run("search", "--dataset", pets, "--system", "x.ance", "--split", "test", "-k", 3, "--tag", "t", "--out", "two.txt")[0] == 0
    assert Path("one.txt").read_text(encoding="utf-8") == Path("two.txt").read_text(encoding="utf-8")


def test_formats_with_texts(pets: Path, run: Run) -> None:
    (pets / "answers.jsonl").write_text('{"qid": "q1", "question": "cat", "answers": ["sleeps"]}\n')
    assert run("search", "--dataset", pets, "--system", "bm25", "--split", "test", "--out", "run.json", "--format", "dpr")[0] == 0
    queries = pd.DataFrame({"qid": ["q1", "q2"], "query": ["cat", "river"]})
    assert set(read_run("run.json", queries=queries)["qid"]) == {"q1", "q2"}


def test_other_queries_do_not_get_the_answers_of_the_datasets_own(pets: Path, run: Run) -> None:
    (pets / "answers.jsonl").write_text('{"qid": "1", "question": "cat", "answers": ["sleeps"]}\n')
    for question, answers in (("river", []), ("cat", ["sleeps"])):
        arguments = ("--dataset", pets, "--system", "bm25", question, "--out", f"{question}.json", "--format", "dpr")
        assert run("search", *arguments)[0] == 0
        assert json.loads(Path(f"{question}.json").read_text(encoding="utf-8"))[0]["answers"] == answers


def test_own_pipelines(pets: Path, run: Run) -> None:
    source = "def pipelines(dataset):\n    return {'mine': Systems(dataset).parse('bm25 % 1')[1]}\n"
    Path("mine.py").write_text(f"from ance_ir.pipelines.systems import Systems\n{source}", encoding="utf-8")
    status, out, err = run("search", "--dataset", pets, "--pipelines", "mine.py", "--system", "mine", "cat")
    assert status == 0, err
    assert out.count("\n   ") == 1


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--system", "bm25", "cat"], "--dataset"),
        (["cat"], "cat"),
        ([], "INDEX"),
        (["--dataset", "pets", "--system", "bm25"], "--split"),
        (["--dataset", "pets", "--system", "bm25", "cat", "--split", "test"], "--split"),
        (["--dataset", "pets", "--system", "bm25", "--split", "trane"], "trane"),
        (["--dataset", "pets", "--system", "bm52", "cat"], "bm25"),
        (["--dataset", "pets", "--system", "bm25", "cat", "--backend", "tuned"], "--backend"),
        (["--dataset", "pets", "--system", "bm25", "--queries", "empty.tsv"], "no queries"),
        (["--dataset", "pets", "--system", "bm25", "--queries", "twice.tsv"], "line 2"),
        (["--dataset", "pets", "--system", "bm25", "cat", "--out", "x", "--tag", "two words"], "two words"),
        (["--dataset", "pets", "--system", "bm25", "cat", "--out", "corpus/x"], "corpus"),
        (["x.ance", "--dataset", "pets", "--system", "bm25", "cat"], "x.ance"),
        (["x.ance", "cat", "--out", "x", "--format", "dpr"], "dpr"),
        (["--dataset", "only.txt", "--system", "bm25", "--split", "test"], "test"),
        (["--dataset", "pets", "--system", "bm25", "cat", "--format", "dpr"], "--out"),
        (["x.ance", "cat", "--tag", "mine"], "--out"),
    ],
)
def test_wrong_input_is_named_in_one_message(
    pets: Path, arguments: list[str], named: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any) -> None:
        raise AssertionError("nothing is searched")

    monkeypatch.setattr("ance_ir.eval.searching._run", refuse)
    Path("corpus").write_text("", encoding="utf-8")
    Path("only.txt").mkdir()
    Path("only.txt", "a.txt").write_text("a text", encoding="utf-8")
    Path("x.ance").mkdir()
    Path("x.ance", "manifest.json").write_text("{}", encoding="utf-8")
    Path("empty.tsv").write_text("", encoding="utf-8")
    Path("twice.tsv").write_text("q\ta\nq\tb\n", encoding="utf-8")
    status, _, err = run("search", *arguments)
    assert status == 2
    assert named in err
    assert not Path("x").exists()
    assert not list(Path().glob("*.yml"))
