"""The study of negatives: training runs that differ in one thing, compared as in the paper."""

from ance_ir.paper.settings import SCHEMES, Scheme, StudySettings
from ance_ir.paper.study import run_study

__all__ = ["SCHEMES", "Scheme", "StudySettings", "run_study"]
