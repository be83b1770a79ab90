"""Model cards, in the form that the Hugging Face hub reads: filled from a model, and from the run that trained it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ance_ir.models.export.format import OUTPUT, ExportFormat
from ance_ir.models.export.graph import Graph
from ance_ir.models.loading.provenance import Provenance, Training

PLACE = "this/folder"
"""What stands for a model's place in examples."""
_MOST = 20
"""Rows of a table of refreshes or evaluations; of more, so many are shown at even distances."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """What a card says of one model.

    Attributes:
        properties: as text.
        settings: how it reads text, as text.
        provenance: where it comes from.
        place: the folder or hub name that the examples open.
        elsewhere: whether the family's other library reads texts as it does.
    """

    properties: Mapping[str, str]
    settings: Mapping[str, str]
    provenance: Provenance
    place: str = PLACE
    elsewhere: bool = True


@dataclass(frozen=True, kw_only=True)
class Card:
    """What the cards of a family have in common.

    Attributes:
        library: that opens the models too.
        task: as the hub calls it.
        tags: for the hub.
        title: of the card.
        example: Python code that uses a model with this package.
        elsewhere: the same with the library; empty where there is none.
    """

    library: str
    task: str
    tags: tuple[str, ...]
    title: str
    example: str
    elsewhere: str = ""

    def filled(self, model: Model) -> str:
        """The card of a model, Markdown."""
        parts = [*self._head(model), "## Usage", *self._usage(model), "## Model", table(model.properties)]
        parts += ["How it reads text:", table(model.settings)]
        if model.provenance.training is not None:
            parts += _training(model.provenance.training)
        return "\n\n".join(parts) + "\n"

    def exported(self, model: Model, form: ExportFormat, part: str, graph: Graph) -> str:
        """The card of an exported model, Markdown.

        Args:
            model: that was exported.
            form: the format.
            part: the folder of a tower, ``"."`` where there is one graph.
            graph: that tower's, for the example.
        """
        place = model.place if part == "." else f"{model.place}/{part}"
        inputs = ", ".join(f'"{name}"' for name in graph.inputs)
        tokens = (
            f'from transformers import AutoTokenizer\n\ntokenizer = AutoTokenizer.from_pretrained("{place}")\n'
            f'tokens = tokenizer({graph.call}, padding=True, truncation=True, return_tensors="np")\n'
            f"inputs = {{name: tokens[name] for name in ({inputs})}}\n"
        )
        run = form.example.replace(PLACE, place).replace(OUTPUT, next(iter(graph.outputs)))
        parts = [*self._head(model, form.shown.lower()), "## Usage"]
        parts += [
            "`export.json` has the inputs and outputs of each graph. Texts are read as the settings below say: with their prefixes, cut to "
            "their lengths; padding is on the right.",
            _code(tokens + run),
        ]
        if self.elsewhere and model.elsewhere and graph.elsewhere:
            backend = self.elsewhere.replace(f'"{PLACE}"', f'"{model.place}", backend="{form.shown.lower()}"')
            parts += [f"With {self.library}:", _code(backend)]
        return "\n\n".join([*parts, "## Model", table(model.properties), "Settings:", table(model.settings)]) + "\n"

    def _usage(self, model: Model) -> Iterator[str]:
        yield _code(self.example.replace(PLACE, model.place))
        if self.elsewhere and model.elsewhere:
            yield f"With {self.library}:"
            yield _code(self.elsewhere.replace(PLACE, model.place))

    def _head(self, model: Model, *tags: str) -> Iterator[str]:
        """The metadata, the title and what the model is."""
        from huggingface_hub import ModelCardData

        origin, training = model.provenance, model.provenance.training
        name = self.title if model.place == PLACE else model.place.rpartition("/")[2]
        data = ModelCardData(
            library_name=self.library,
            pipeline_tag=self.task,
            tags=[*self.tags, *tags],
            base_model=origin.base,
            datasets=list(dict.fromkeys(one["hub"] for one in training.datasets if "hub" in one)) or None if training else None,
            model_name=name,
            eval_results=_results(training, self.task) or None if training else None,
        )
        for key, value in origin.licence.items():
            data[key] = value
        if data.eval_results is None:
            data.pop("model_name")
        yield f"---\n{data.to_yaml()}\n---"
        yield f"# {name}"
        yield _made(self.title, origin)


def _made(title: str, origin: Provenance) -> str:
    package = "[`ance_ir`](https://pypi.org/project/ance-ir)"
    if origin.training is None:
        return f"{title}, saved with {package}."
    names = " and ".join(f"{one['name']} ({one['split']})" if "split" in one else one["name"] for one in origin.training.datasets)
    return f"{title}, trained with {package} on {names}, from `{origin.base or origin.training.started_from}`."


def _results(training: Training, task: str) -> list[Any]:
    """The model's evaluation, as the hub's ``model-index`` has it; where only an earlier one was evaluated, its names say so."""
    from huggingface_hub import EvalResult

    if not training.dev:
        return []
    last = next((one for one in training.dev if one["step"] == training.steps), training.dev[-1])
    name, _, split = training.dev_name.rpartition(", ")
    hub = next((one["hub"] for one in training.datasets if one["name"] == name and "hub" in one), None)
    after = "" if last["step"] == training.steps else f", after {last['step']} of {training.steps} steps"
    return [
        EvalResult(
            task_type="question-answering" if task == "question-answering" else "information-retrieval",
            dataset_type=hub or name,
            dataset_name=name,
            dataset_split=split,
            metric_type=measure.lower().replace("@", "_at_"),
            metric_name=f"{measure}{after}",
            metric_value=value,
        )
        for measure, value in last.items()
        if measure != "step"
    ]


def _training(training: Training) -> Iterator[str]:
    """The sections on a model's training."""
    yield "## Training"
    rows = {"steps": str(training.steps), "started from": f"`{training.started_from}`"}
    for one in training.datasets:
        rows["data" if len(training.datasets) == 1 else f"data: {one['name']}"] = ", ".join(
            f"{name} {value}" if name in ("split", "weight") else str(value) for name, value in one.items() if name != "hub"
        )
    rows |= {name: value if isinstance(value, str) else json.dumps(value) for name, value in training.settings.items() if name != "steps"}
    rows |= {f"version of {name}": version for name, version in training.versions.items()}
    yield table(rows)
    if training.dev:
        yield f"Evaluated while it was trained, on {training.dev_name}{_of(training.dev)}:"
        yield _columns(training.dev)
    if training.refreshes:
        yield f"Negatives were mined {len(training.refreshes)} times{_of(training.refreshes)}:"
        yield _columns([{name: value for name, value in one.items() if not name.endswith("seconds")} for one in training.refreshes])
    if training.notices:
        yield "Noted by the run:"
        yield "\n".join(f"- {' '.join(notice.split())}" for notice in training.notices)


def _of(rows: Sequence[Any]) -> str:
    return f" ({_MOST} of {len(rows)} are shown)" if len(rows) > _MOST else ""


def _columns(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table with a row for each of the rows, or for some of many, and the first and the last among them."""
    if len(rows) > _MOST:
        rows = [rows[round(place * (len(rows) - 1) / (_MOST - 1))] for place in range(_MOST)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    lines += [f"| {' | '.join(_number(row.get(name)) for name in names)} |" for row in rows]
    return "\n".join(lines).replace("_", " ")


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _code(text: str) -> str:
    return f"```python\n{text.strip()}\n```"


def table(rows: Mapping[str, str]) -> str:
    """A table of two columns, Markdown."""
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {cell(value)} |" for name, value in rows.items())])


def cell(text: str) -> str:
    """A text as it stands in a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")
