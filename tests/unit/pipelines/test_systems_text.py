"""The text of a system to its tree: the grammar, paths, and where a mistake is."""

from __future__ import annotations

import os
import pickle
import random
import re
import time
from pathlib import Path

import pytest

from ance_ir.errors import PointedError, UsageError
from ance_ir.pipelines.systems.parser import parse, parse_mixture
from ance_ir.pipelines.systems.tree import Call, Chain, Cut, Node, Option, Stage, Sum, Weighted, map_stages, stages_of

A, B, C = Stage("a"), Stage("b"), Stage("c")


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Paths in texts are looked up here."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a", A),
        ("(a)", A),
        ("a % 3", Cut(A, 3)),
        ("a%3>>b", Chain((Cut(A, 3), B))),
        ("a >> b >> c", Chain((A, B, C))),
        ("(a >> b) >> c", Chain((Chain((A, B)), C))),
        ("a + b % 3", Sum((A, Cut(B, 3)))),
        ("(a + b) % 3", Cut(Sum((A, B)), 3)),
        ("a + b >> c", Chain((Sum((A, B)), C))),
        ("a >> b + c", Chain((A, Sum((B, C))))),
        ("a + b + c", Sum((A, B, C))),
        ("a + (b + c)", Sum((A, Sum((B, C))))),
        ("a + 1.1 * b", Sum((A, Weighted(1.1, B)))),
        ("2*a % 3", Weighted(2, Cut(A, 3))),
        ("(2*a) % 3", Cut(Weighted(2, A), 3)),
        (".5 * (a >> b)", Weighted(0.5, Chain((A, B)))),
        ("rrf(a, b % 3)", Call("rrf", (A, Cut(B, 3)))),
        ("MinMax( a,0.5*b ) % 3 >> c", Chain((Cut(Call("minmax", (A, Weighted(0.5, B))), 3), C))),
        ("z(rrf(a, b), c)", Call("z", (Call("rrf", (A, B)), C))),
        ("z", Stage("z")),
        ("a[x=1]", Stage("a", options=(Option("x", "1"),))),
        ("a [ x = ivf+sq8,nprobe=64 ; y=sum:3 ] % 3", Cut(Stage("a", options=(Option("x", "ivf+sq8,nprobe=64"), Option("y", "sum:3"))), 3)),
        ("a[x=\"1;]2\"; y='two words']", Stage("a", options=(Option("x", "1;]2"), Option("y", "two words")))),
        ("org/model-name_v1.0", Stage("org/model-name_v1.0", Path("org/model-name_v1.0"))),
        ("X.ANCE[x=1]", Stage("X.ANCE", Path("X.ANCE"), (Option("x", "1"),))),
        ("bm25 >> ./bert", Chain((Stage("bm25"), Stage("./bert", Path("bert"))))),
        ("'no such'", Stage("no such", Path("no such"))),
        ("2x", Stage("2x")),
    ],
)
def test_a_tree(text: str, tree: Node) -> None:
    assert parse(text).tree == tree


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("bm25", "bm25"),
        ("  bm25 % 3 ", "bm25 % 3"),
        ("n=bm25", "n"),
        (" two words = bm25[k1=1]", "two words"),
        ("BM25 (k1) + x=bm25", "BM25 (k1) + x"),
        ("bm25[k1=1]", "bm25[k1=1]"),
        ("rrf(a, b[x=1])", "rrf(a, b[x=1])"),
        ("a >> b[x=1]", "a >> b[x=1]"),
    ],
)
def test_a_name(text: str, name: str) -> None:
    assert parse(text).name == name


def write(node: Node, generator: random.Random) -> str:
    """A text of a tree, with brackets only where the grammar needs them, and with any blanks."""
    gap = generator.choice(["", " ", "  "])
    match node:
        case Stage():
            options = "; ".join(f"{option.name}{gap}={option.value}" for option in node.options)
            return f"{node.word}{gap}[{options}]" if options else node.word
        case Call():
            return f"{node.function}({f'{gap},'.join(write(part, generator) for part in node.arguments)})"
        case Cut():
            return f"{unit(node.system, generator)}{gap}%{gap}{node.depth}"
        case Weighted():
            inner = node.system
            return f"{node.weight}{gap}*{gap}{write(inner, generator) if isinstance(inner, Cut) else unit(inner, generator)}"
        case Sum():
            return f"{gap}+{gap}".join(
                f"({write(term, generator)})" if isinstance(term, Sum | Chain) else write(term, generator) for term in node.terms
            )
        case Chain():
            return f"{gap}>>{gap}".join(
                f"({write(stage, generator)})" if isinstance(stage, Chain) else write(stage, generator) for stage in node.stages
            )


def unit(node: Node, generator: random.Random) -> str:
    return write(node, generator) if isinstance(node, Stage | Call) else f"({write(node, generator)})"


def grow(generator: random.Random, depth: int) -> Node:
    kind = generator.randrange(6) if depth else 0

    def parts(least: int = 2) -> tuple[Node, ...]:
        return tuple(grow(generator, depth - 1) for _ in range(generator.randint(least, 3)))

    match kind:
        case 1:
            return Call(generator.choice(["rrf", "minmax", "z"]), parts(1))
        case 2:
            return Weighted(generator.choice([1.1, 2.0, 0.25]), grow(generator, depth - 1))
        case 3:
            return Cut(grow(generator, depth - 1), generator.randint(1, 2000))
        case 4:
            return Sum(parts())
        case 5:
            return Chain(parts())
        case _:
            options = generator.sample(
                [Option("k1", "1.2"), Option("prf", "rocchio:5,0.4,0.6"), Option("model", "a/b-c")], generator.randint(0, 2)
            )
            word = generator.choice(["bm25", "x.ance", "runs/bert-1", "~/index", "索引/ü"])
            return Stage(word, None if word == "bm25" else Path(word).expanduser(), tuple(options))


def test_every_tree_comes_back_from_its_text() -> None:
    generator = random.Random(7)
    for _ in range(200):
        tree = grow(generator, 4)
        text = write(tree, generator)
        assert parse(text).tree == tree, text


def test_no_text_makes_anything_but_a_tree_or_an_error_that_points_into_it() -> None:
    generator = random.Random(3)
    pieces = [
        "bm25",
        "x",
        " ",
        ">>",
        ">",
        "%",
        "10",
        "0",
        "+",
        "*",
        "1.5",
        "(",
        ")",
        "[",
        "]",
        "=",
        ";",
        ",",
        '"',
        "rrf(",
        "z",
        "é",
        "\n",
        "a=1",
    ]
    refused = 0
    for _ in range(3000):
        text = "".join(generator.choice(pieces) for _ in range(generator.randint(0, 9)))
        try:
            parse(text)
        except PointedError as error:
            refused += 1
            assert 0 <= error.place <= len(text)
    assert 1000 < refused < 3000


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("", 0, "expected a stage, found the end"),
        ("bm25 >>", 7, "expected a stage, found the end"),
        ("bm25 >> >> x", 8, "expected a stage, found '>>'"),
        ("bm25 + ", 7, "expected a stage"),
        ("name =", 6, "expected a stage, found the end"),
        ("1.5 *", 5, "expected a stage"),
        ("bm25 % x", 7, "expected a number of documents after %, found 'x'"),
        ("bm25 % 10x", 7, "expected a number of documents after %, found '10x'"),
        ("bm25 % 1.5", 7, "expected a number of documents after %, found '1.5'"),
        ("bm25 % 0", 7, "a cut-off is at least 1, not 0"),
        ("bm25 % 10 % 5", 10, r"expected >>, \+, %, \[ or the end, found '%'"),
        ("a b", 2, "or the end, found 'b'"),
        ("a, b", 1, "or the end, found ','"),
        ("(a", 2, r"expected >>, \+, % or \), found the end"),
        ("rrf(a, b", 8, r"expected , or \), found the end"),
        ("rrf(a b)", 6, r"expected , or \), found 'b'"),
        ("a[", 2, "expected an option, NAME=VALUE, found the end"),
        ("a[x]", 2, "expected an option, NAME=VALUE, found 'x'"),
        ("a[x=]", 4, "expected a value of x"),
        ("a[x=1", 5, r"expected ; or \], found the end"),
        ("a[x=1;]", 6, "expected an option"),
        ('"a', 0, 'expected another " after this one'),
        ("(" * 400, None, "fewer nested brackets"),
    ],
)
def test_a_mistake_and_its_place(text: str, place: int | None, message: str) -> None:
    with pytest.raises(PointedError, match=message) as caught:
        parse(text)
    assert place is None or caught.value.place == place


def test_an_error_shows_the_place() -> None:
    with pytest.raises(UsageError) as caught:
        parse("n=bm25\n% x")
    assert str(caught.value) == "expected a number of documents after %, found 'x'\n  n=bm25 % x\n           ^"
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301


@pytest.mark.parametrize("name", ["a", "x", "runs", "bm25+x.ance", "x.ance/y", "b=x.ance"])
@pytest.mark.filterwarnings("error")
def test_what_lies_in_the_folder_does_not_change_what_the_text_of_a_path_or_a_name_means(name: str, empty_folder: Path) -> None:
    texts = ["bm25+x.ance", "b=x.ance", "x.ance/y % 2", "ance >> runs/x", "ance+dpr", "'a' >> bm25", "(a) + b", "a"]

    def read() -> list[object]:
        return [parse(text, {"ance", "dpr", "ance+dpr", "a", "b"}) for text in texts]

    before = read()
    (empty_folder / name).mkdir(parents=True)
    for named in ("bm25", "ance", "dpr", "ance+dpr"):
        (empty_folder / named).mkdir(exist_ok=True)
    assert read() == before


NAMES = [
    "a+b.old",
    "x-1.2~old",
    "two words.ance",
    "x[1].ance",
    "索引+é",
    "runs/50%/x",
    "b*c (new)",
    "o'neill",
    "rrf",
    ".",
    "100",
]


@pytest.mark.parametrize("name", NAMES)
def test_for_one_release_what_is_on_disk_is_a_path(name: str, empty_folder: Path) -> None:
    (empty_folder / name).mkdir(parents=True, exist_ok=True)
    stage = Stage(name, Path(name))
    form = name if "/" in name or name.endswith(".ance") else f"./{name}"
    with pytest.warns(FutureWarning, match=re.escape(form)):
        assert parse(name).tree == stage
    with pytest.warns(FutureWarning):
        system = parse(f"s = 0.5*{name} % 3 >> bm25+{name} [k=1]>>{name}")
    first = Weighted(0.5, Cut(stage, 3))
    assert (system.name, system.tree) == ("s", Chain((first, Sum((Stage("bm25"), Stage(name, Path(name), (Option("k", "1"),)))), stage)))
    if "'" not in name:
        assert parse(f"'{form}'>>'no such'").tree == Chain((Stage(form, Path(form)), Stage("no such", Path("no such"))))


def test_the_longest_name_counts() -> None:
    names = {"bm25+dpr", "ance"}
    assert parse("bm25+dpr", names).tree == Stage("bm25+dpr")
    assert parse("BM25+DPR", names).tree == Stage("BM25+DPR")
    assert parse("bm25 + dpr", names).tree == Sum((Stage("bm25"), Stage("dpr")))


def test_home(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(empty_folder))
    (empty_folder / "x.ance").mkdir()
    assert parse("~/x.ance % 2").tree == Cut(Stage("~/x.ance", Path(os.environ["HOME"], "x.ance")), 2)


def test_stages_of_a_tree() -> None:
    tree = parse("rrf(a, 2 * b) % 3 >> (c + a)").tree
    assert stages_of(tree) == [A, B, C, A]
    assert map_stages(tree, lambda stage: Stage(stage.word.upper())) == parse("rrf(A, 2 * B) % 3 >> (C + A)").tree


@pytest.mark.parametrize("text", ["bm25 % " + "9" * 5000, "(" * 2000, "\t" * 20_000 + "=", "mix(" * 2000, "9" * 60_000 + "]"])
def test_what_is_far_too_long_is_refused_in_time(text: str) -> None:
    began = time.process_time()
    for read in (parse, parse_mixture):
        with pytest.raises(PointedError):
            read(text)
    assert time.process_time() - began < 2
