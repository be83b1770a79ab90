"""Named systems, and the published checkpoints that they use unless ``model=`` names another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ance_ir.errors import UsageError
from ance_ir.pipelines.systems.kind import KINDS, Collection
from ance_ir.pipelines.systems.parser import parse
from ance_ir.pipelines.systems.tree import Node, Stage, map_stages, stages_of


@dataclass(frozen=True, kw_only=True)
class NamedSystem:
    """A system with a name.

    Attributes:
        expression: the text that the name stands for.
        what: a description of one line.
    """

    expression: str
    what: str


def _system(expression: str, what: str) -> NamedSystem:
    return NamedSystem(expression=expression, what=what)


SYSTEMS: Mapping[str, NamedSystem] = {
    "bm25-rm3": _system("bm25[engine=lucene; rm3=yes]", "BM25 with RM3 query expansion (extra lucene)"),
    "ance-firstp": _system("ance[passages=firstp]", "ANCE over the first passages of documents (ANCE, table 1)"),
    "ance-maxp": _system(
        "ance[model=castorini/ance-msmarco-doc-maxp; passages=chunks:512,4]",
        "ANCE over up to four passages of a document, scored by the best one (ANCE, table 1)",
    ),
    "ance-dpr": _system("ance[model=castorini/ance-dpr-question-multi; passages=firstp]", "ANCE's two towers for open QA (ANCE, table 3)"),
    "ance-prf-average": _system("ance[prf=average:3]", "ANCE, then again with the mean of the query's vector and the first 3"),
    "ance-prf-rocchio": _system("ance[prf=rocchio:5,0.4,0.6]", "ANCE, then again with Rocchio's query from the first 5"),
    "bm25+dpr": _system("bm25 + 1.1 * dpr", "the weighted sum of BM25 and DPR over the union of their results (DPR, section 5)"),
    "bm25-ance-rerank": _system("bm25 % 100 >> ance", "ANCE reranks BM25's first 100 (ANCE, table 1, rerank)"),
    "bm25-bert-rerank": _system("bm25 % 100 >> bert", "a BERT reranker on BM25's first 100 (ANCE, table 1)"),
    "ance-bert-rerank": _system("ance % 100 >> bert", "a BERT reranker on ANCE's first 100"),
    "bm25-ance-rrf": _system("rrf(bm25, ance)", "reciprocal rank fusion of BM25 and ANCE"),
}
"""The named systems. Options in brackets after a name go to the dense models and rerankers in its expression."""

WORDS: Mapping[str, str] = {word: name for name, kind in KINDS.items() for word in kind.words}
"""The words that name stages, each with the name of its kind."""

CHECKPOINTS: Mapping[str, Mapping[Collection, str]] = {
    word: known.checkpoints for kind in KINDS.values() for word, known in kind.words.items() if known.checkpoints
}
"""The published checkpoints of the words that stand for a model over the dataset's documents, for each kind of collection."""

NAMES = (*WORDS, *SYSTEMS)
"""All words that are stages."""


def expand(stage: Stage) -> Node:
    """The tree of a named system, placed at the stage that names it; the stage's options are added to those of its models.

    Raises:
        UsageError: the stage has options, and no model in the system could take them.
    """
    expression = SYSTEMS[stage.word.lower()].expression
    tree = parse(expression, NAMES).tree
    given = {option.name for option in stage.options}
    if given and not any(part.word in CHECKPOINTS for part in stages_of(tree)):
        raise UsageError(f"{stage.word} takes no options; write the options into its expression: {expression}")

    def moved(part: Stage) -> Stage:
        options = tuple(replace(option, place=stage.place) for option in part.options)
        if part.word in CHECKPOINTS:
            options = (*(option for option in options if option.name not in given), *stage.options)
        return Stage(part.word, None, options, stage.place, stage.word)

    return map_stages(tree, moved)


def describe() -> list[dict[str, str]]:
    """All stages and systems: ``name``, ``expression``, ``what`` it does, and the checkpoints that it ``needs``, by collection."""
    stages = {word: NamedSystem(expression=word, what=KINDS[kind].words[word].what) for word, kind in WORDS.items()}
    rows = []
    for name, system in {**stages, **SYSTEMS}.items():
        needs = "; ".join(filter(None, map(_needs, stages_of(parse(system.expression, NAMES).tree))))
        rows.append({"name": name, "expression": system.expression, "what": system.what, "needs": needs})
    return rows


def _needs(stage: Stage) -> str:
    named = [option.value for option in stage.options if option.name == "model"]
    if named or stage.word not in CHECKPOINTS:
        return "".join(named)
    choices = CHECKPOINTS[stage.word]
    distinct = set(choices.values())
    return distinct.pop() if len(distinct) == 1 else ", ".join(f"{name} ({kind})" for kind, name in choices.items())
