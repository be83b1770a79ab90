"""Builds pipelines from the text of systems."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from types import MappingProxyType

import pyterrier as pt

from ance_ir.datasets import Dataset, load_dataset
from ance_ir.datasets import counts_itself as known_to_count_itself
from ance_ir.errors import UsageError
from ance_ir.models.compute.precision import Precision
from ance_ir.pipelines.bm25.engine import K1, B
from ance_ir.pipelines.excluded import Excluded
from ance_ir.pipelines.fusion import FUSIONS, WeightedSum
from ance_ir.pipelines.fusion.base import Fusion
from ance_ir.pipelines.systems.context import Context, OpenModels
from ance_ir.pipelines.systems.kind import Opener
from ance_ir.pipelines.systems.named import NAMES, SYSTEMS, expand
from ance_ir.pipelines.systems.options import pointing
from ance_ir.pipelines.systems.parser import parse
from ance_ir.pipelines.systems.stages import plan_stage
from ance_ir.pipelines.systems.tree import MIX, Call, Chain, Cut, Node, Stage, Sum, System, Weighted, shown
from ance_ir.progress import Told


class Systems:
    """Builds the pipelines of systems over one dataset; a model that several of them use is opened once.

    Args:
        dataset: the dataset to search.
        num_results: documents a query.
        device: where models compute.
        model: where the model of the indexes is now, if it has moved since they were built.
        precision: of dense models; by default their checkpoint's own.
        pipelines: pipelines of your own, which are stages by their names.
        passages: how documents are split for a dense model, unless the system sets it or the model is published with its own.
        bm25: k1 and b, unless the system sets them.
        counts_itself: whether a document counts whose docno is the query's qid; by default it depends on the dataset's name, see
            ``ance_ir.datasets.counts_itself``. Pipelines of your own are left as they are.
        excluded: documents that do not count for a query.
        instruction: what models that read instructions are told about the dataset's queries, where a system asks for that.
        models: those that are open, to share them with systems over other datasets.
        verbose: show progress of what is built on first use.
        told: is told the progress of dense indexes that are built on first use.

    Raises:
        UsageError: a pipeline of your own has the name of a stage or system.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        num_results: int = 1000,
        device: str | None = None,
        model: str | None = None,
        precision: Precision | None = None,
        pipelines: Mapping[str, pt.Transformer] = MappingProxyType({}),
        passages: str = "firstp",
        bm25: tuple[float, float] = (K1, B),
        counts_itself: bool | None = None,
        excluded: Excluded | None = None,
        instruction: str = "",
        models: OpenModels | None = None,
        verbose: bool = False,
        told: Told | None = None,
    ) -> None:
        self._num_results = num_results
        self._pipelines = dict(pipelines)
        self._context = Context(
            dataset=dataset,
            num_results=num_results,
            device=device,
            model=model,
            precision=precision,
            passages=passages,
            bm25=bm25,
            counts_itself=known_to_count_itself(dataset.name) if counts_itself is None else counts_itself,
            excluded=excluded,
            instruction=instruction,
            models=models or OpenModels(),
            verbose=verbose,
            told=told,
        )

    def parse(self, text: str) -> tuple[str, pt.Transformer]:
        """The name and the pipeline of a system.

        Raises:
            UsageError: the text is no system, or its stages do not go together.
            ModelError: a checkpoint is not available, or does not load.
        """
        system = self._read(text)
        return system.name, self._planned(system)()

    def parse_all(self, texts: Sequence[str]) -> dict[str, pt.Transformer]:
        """Systems by name, in their order; nothing is opened or built before all of them have been checked.

        Raises:
            UsageError: see ``parse``; or two have one name.
        """
        planned = {name: self._planned(system) for name, system in self.read_all(texts).items()}
        return {name: open_it() for name, open_it in planned.items()}

    def read_all(self, texts: Sequence[str]) -> dict[str, System]:
        """The trees of systems by name, in their order; nothing is opened.

        Raises:
            UsageError: a text is no system, or two have one name.
        """
        read: dict[str, System] = {}
        for text in texts:
            system = self._read(text)
            if system.name in read:
                raise UsageError(f"two systems are called {system.name!r}; name them: NAME={text}")
            read[system.name] = system
        return read

    def of_tree(self, tree: Node, text: str) -> pt.Transformer:
        """The pipeline of a part of a parsed text; see ``parse``.

        Args:
            tree: the part.
            text: the whole text, for errors.
        """
        return self._plan(tree, text, first=True)()

    def stages(self, system: System) -> list[tuple[str, Opener]]:
        """The stages of a system, each with its text, and what opens it: run one after another they are its pipeline.

        Args:
            system: one of ``read_all``.

        Raises:
            UsageError: see ``parse``.
        """
        tree = system.tree
        if isinstance(tree, Stage) and self._is_named(tree):
            with pointing(system.text, tree.place):
                tree = expand(tree)
        parts = tree.stages if isinstance(tree, Chain) else (tree,)
        return [(shown(part), self._plan(part, system.text, first=place == 0)) for place, part in enumerate(parts)]

    def _is_named(self, stage: Stage) -> bool:
        """Whether a stage is a whole system, and no pipeline of the user's own."""
        return stage.path is None and stage.word not in self._pipelines and stage.word.lower() in SYSTEMS

    def _read(self, text: str) -> System:
        return parse(text, {*NAMES, *self._pipelines})

    def _planned(self, system: System) -> Opener:
        return self._plan(system.tree, system.text, first=True)

    def _plan(self, node: Node, text: str, *, first: bool) -> Opener:
        """What opens the pipeline of a part, all of which is checked before.

        Args:
            node: the part.
            text: the whole system, for errors.
            first: whether the system begins with it, so that it gets queries and not results.
        """
        match node:
            case Stage():
                return self._stage(node, text, first=first)
            case Cut():
                cut, depth = self._plan(node.system, text, first=first), node.depth
                return lambda: cut() % depth
            case Weighted():
                weighted, weight = self._plan(node.system, text, first=first), node.weight
                return lambda: weight * weighted()
            case Chain():
                stages = [self._plan(stage, text, first=first and place == 0) for place, stage in enumerate(node.stages)]
                return lambda: reduce(operator.rshift, [open_it() for open_it in stages])
            case Sum():
                return self._fused(WeightedSum, node.terms, text, first=first)
            case Call():
                return self._call(node, text, first=first)

    def _call(self, call: Call, text: str, *, first: bool) -> Opener:
        with pointing(text, call.place):
            if call.function == MIX:
                raise UsageError(f"{MIX}(…) draws negatives from several sources; systems are fused by + or {_listed(FUSIONS)}")
            if len(call.arguments) < 2:
                raise UsageError(f"{call.function} fuses two systems or more: {call.function}(bm25, ance)")
            fuse = FUSIONS[call.function]
            if not _takes_weights(fuse):
                for argument in call.arguments:
                    if isinstance(argument, Weighted):
                        with pointing(text, argument.place):
                            weighted = _listed(name for name, other in FUSIONS.items() if _takes_weights(other))
                            raise UsageError(f"{call.function} has no weights; {weighted} have")
            return self._fused(fuse, call.arguments, text, first=first)

    def _fused(self, fuse: Callable[..., Fusion], terms: Sequence[Node], text: str, *, first: bool) -> Opener:
        parts = [(term.weight, term.system) if isinstance(term, Weighted) else (1.0, term) for term in terms]
        systems = [self._plan(system, text, first=first) for _, system in parts]
        weights = {"weights": [weight for weight, _ in parts]} if _takes_weights(fuse) else {}
        return lambda: fuse(*(open_it() for open_it in systems), **weights, num_results=self._num_results)

    def _stage(self, stage: Stage, text: str, *, first: bool) -> Opener:
        with pointing(text, stage.place):
            if stage.path is None and stage.word in self._pipelines:
                if stage.options:
                    raise UsageError(f"{stage.word} is a pipeline of your own, which takes no options")
                pipeline = self._pipelines[stage.word]
                return lambda: pipeline
            if self._is_named(stage):
                return self._plan(expand(stage), text, first=first)
            open_it = plan_stage(stage, self._context, text, retrieves=first)

        def opened() -> pt.Transformer:
            with pointing(text, stage.place):
                return open_it()

        return opened


def _takes_weights(fuse: Callable[..., Fusion]) -> bool:
    return "weights" in inspect.signature(fuse).parameters


def _listed(functions: Iterable[str]) -> str:
    return ", ".join(f"{name}(…)" for name in functions)


def get(
    text: str,
    dataset: Dataset | str,
    *,
    num_results: int = 1000,
    device: str | None = None,
    model: str | None = None,
    precision: Precision | None = None,
    pipelines: Mapping[str, pt.Transformer] = MappingProxyType({}),
    verbose: bool = False,
) -> pt.Transformer:
    """The pipeline of a system, e.g. ``systems.get("bm25 % 100 >> bert", "python-stdlib")``.

    Args:
        text: a name, or an expression.
        dataset: the dataset to search, or its name.
        num_results: documents a query. The other arguments are those of ``Systems``.
        device: where models compute.
        model: where the indexes' model is now, if it has moved.
        precision: of dense models.
        pipelines: pipelines of your own, by name.
        verbose: show progress of what is built on first use.

    Raises:
        UsageError: the text is no system, or its stages do not go together.
        ModelError: a checkpoint is not available, or does not load.
        DatasetNotFoundError: no dataset of that name.
    """
    source = load_dataset(dataset) if isinstance(dataset, str) else dataset
    systems = Systems(
        source, num_results=num_results, device=device, model=model, precision=precision, pipelines=pipelines, verbose=verbose
    )
    return systems.parse(text)[1]
