"""What a job needs on a machine, or on several: hours, disk, memory and money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from ance_ir.errors import UsageError
from ance_ir.eval.tables import Table
from ance_ir.workflows.planning.figures import duration, figure
from ance_ir.workflows.planning.job import Job
from ance_ir.workflows.planning.machine import UNITS, Machine
from ance_ir.workflows.planning.stages import Stage, stages

_GIB = float(1 << 30)


@dataclass(frozen=True, kw_only=True)
class Need:
    """What a stage needs.

    Attributes:
        stage: its name; of the last row ``total``.
        hours: by the clock.
        disk: GiB that it leaves.
        memory: GiB of a machine.
        gpu_memory: GiB of a GPU; 0 where there is none.
        dollars: roughly.
        assumed: units that make up 1 % of its time or more, and whose cost was not measured on such a machine.
    """

    stage: str
    hours: float
    disk: float
    memory: float
    gpu_memory: float
    dollars: float
    assumed: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a job needs.

    Attributes:
        machine: where it is done.
        machines: how many of it.
        needs: of each stage, and in all.
    """

    machine: Machine
    machines: int
    needs: Sequence[Need]

    @property
    def table(self) -> Table:
        """For people."""
        header = ["stage", "time", "disk, GiB", "memory, GiB", "GPU, GiB", "dollars"]
        rows = [
            [
                need.stage + (" *" if need.assumed else ""),
                duration(3600 * need.hours),
                figure(need.disk),
                figure(need.memory) + (" !" if need.memory > self.machine.memory else ""),
                figure(need.gpu_memory) + (" !" if need.gpu_memory > self.machine.gpu_memory else ""),
                figure(need.dollars),
            ]
            for need in self.needs
        ]
        return Table(header=header, rows=rows)

    @property
    def notes(self) -> list[str]:
        """What the table's signs mean, and where the figures come from."""
        machine = self.machine
        notes = [f"{self.machines} × {machine.describes}: {machine.source}"]
        assumed: dict[str, list[str]] = {}
        for name in dict.fromkeys(name for need in self.needs for name in need.assumed):
            assumed.setdefault(machine.costs[name].source, []).append(UNITS[name])
        notes += [f"* not measured there: {', '.join(units)}: {source}" for source, units in assumed.items()]
        if any(need.memory > machine.memory or need.gpu_memory > machine.gpu_memory for need in self.needs):
            on_gpu = f", {machine.gpu_memory:g} on its GPU" if machine.gpu_memory else ""
            notes.append(f"! more than such a machine has: {machine.memory:g} GiB of memory{on_gpu}")
        return notes

    def as_json(self) -> dict[str, object]:
        """For programs."""
        return {
            "machine": self.machine.describes,
            "machines": self.machines,
            "stages": [asdict(need) for need in self.needs],
            "notes": self.notes,
        }


def make_plan(job: Job, machine: Machine, machines: int = 1) -> Plan:
    """What a job needs on machines of a kind. Several share encoding, mining, training and exact search evenly, and lose nothing by that.

    Raises:
        UsageError: fewer machines than one.
    """
    if machines < 1:
        raise UsageError(f"machines is at least 1, not {machines}")
    needs = [_need(stage, machine, machines) for stage in stages(job, gpu=machine.gpu_memory > 0)]
    total = Need(
        stage="total",
        hours=sum(need.hours for need in needs),
        disk=sum(need.disk for need in needs),
        memory=max(need.memory for need in needs),
        gpu_memory=max(need.gpu_memory for need in needs),
        dollars=sum(need.dollars for need in needs),
    )
    return Plan(machine=machine, machines=machines, needs=[*needs, total])


def _need(stage: Stage, machine: Machine, machines: int) -> Need:
    shared_by = machines if stage.spread else 1
    seconds = machine.seconds(stage.counts)
    hours = seconds / 3600
    counted = {name: machine.seconds({name: count}) for name, count in stage.counts.items() if not machine.costs[name].measured}
    return Need(
        stage=stage.name,
        hours=hours / shared_by,
        disk=(stage.disk + machine.bytes(stage.counts)) / _GIB,
        memory=stage.memory / _GIB,
        gpu_memory=stage.gpu_memory / _GIB if machine.gpu_memory else 0.0,
        dollars=hours * machine.dollars,
        assumed=[name for name, part in counted.items() if part >= 0.01 * seconds],
    )
