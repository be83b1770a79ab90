"""Runs: their checks and their files."""

from ance_ir.eval.runs.checks import check_answers, check_run
from ance_ir.eval.runs.files import find_run_format, read_run, write_passages, write_run
from ance_ir.eval.runs.formats import RUN_FORMATS, RunFormat

__all__ = ["RUN_FORMATS", "RunFormat", "check_answers", "check_run", "find_run_format", "read_run", "write_passages", "write_run"]
