"""Studies: many training runs that differ in one thing, compared."""

from ance_ir.eval.study.settings import SCHEMES, Scheme, StudySettings
from ance_ir.eval.study.study import run_study

__all__ = ["SCHEMES", "Scheme", "StudySettings", "run_study"]
