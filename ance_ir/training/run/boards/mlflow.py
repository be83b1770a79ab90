"""MLflow: a run of the experiment that MLFLOW_EXPERIMENT_NAME names, or of ance_ir, where MLFLOW_TRACKING_URI says.

runs/x/mlflow.json     the run's id there
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

from ance_ir.errors import TrainingError
from ance_ir.files import write_json
from ance_ir.optional import optional
from ance_ir.training.run.boards._board import BoardKind, Lines, parts
from ance_ir.training.run.manifest import decisive, flat, read_manifest
from ance_ir.typed_json import read_typed

logger = logging.getLogger(__name__)

_AT = "_at_"
"""MLflow's names have no ``@``."""
_TOGETHER = 100
"""Parameters that MLflow takes at once."""


class _Identity(TypedDict):
    run_id: str


def _library() -> Any:
    return optional("mlflow", needed_for="a log for MLflow", remedy="pip install 'ance_ir[mlflow]'")


class MLflow:
    """Logs the lines of a log; steps that are there already are not logged again. Once it fails, training continues without it.

    Args:
        run: the run's folder.
        step: the first that will be written.
        kept: the lines of the steps before.

    Raises:
        MissingDependencyError: mlflow is not installed.
        TrainingError: no run can be begun or resumed, such as without a server.
    """

    def __init__(self, run: Path, step: int, kept: Lines) -> None:
        self._library, path = _library(), run / "mlflow.json"
        self._logged, self._failed = -1, False
        try:
            self._client = self._library.MlflowClient()
            if path.exists():
                self._id = read_typed(path, _Identity, error=TrainingError, remedy="remove it")["run_id"]
                self._client.update_run(self._id, status="RUNNING")
                self._logged = max((one.step for one in self._client.get_metric_history(self._id, "loss")), default=-1)
            else:
                self._id = self._begin(run)
                write_json(path, {"run_id": self._id})
        except self._library.exceptions.MlflowException as error:
            raise TrainingError(f"mlflow: {error}; MLFLOW_TRACKING_URI says where runs are kept") from error
        for line in kept:
            self.write(line)

    def _begin(self, run: Path) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "ance_ir")
        experiment = self._client.get_experiment_by_name(name)
        begun = self._client.create_run(experiment.experiment_id if experiment else self._client.create_experiment(name), run_name=run.name)
        settings = list(flat(decisive(read_manifest(run / "run.json"))).items())
        parameters = [self._library.entities.Param(name, str(value)) for name, value in settings]
        for first in range(0, len(parameters), _TOGETHER):
            self._client.log_batch(begun.info.run_id, params=parameters[first : first + _TOGETHER])
        return str(begun.info.run_id)

    def write(self, line: Mapping[str, Any]) -> None:
        """Log a line."""
        if self._failed or line["step"] <= self._logged:
            return
        now, metric = int(time.time() * 1000), self._library.entities.Metric
        metrics = [
            metric(f"{'dev/' if part == 'dev' else ''}{name}".replace("@", _AT), value, now, step)
            for part, step, values in parts(line)
            for name, value in values.items()
        ]
        try:
            self._client.log_batch(self._id, metrics=metrics)
        except self._library.exceptions.MlflowException as error:
            self._failed = True
            logger.warning("mlflow: %s; training continues without it", error)

    def close(self) -> None:
        """Say that the run has ended, or failed."""
        if self._failed:
            return
        try:
            self._client.set_terminated(self._id, "FINISHED" if sys.exc_info()[0] is None else "FAILED")
        except self._library.exceptions.MlflowException as error:
            logger.warning("mlflow: %s", error)


BOARD = BoardKind(check=_library, open=MLflow)
