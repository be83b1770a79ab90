"""The paper's experiments: the study of negatives (training runs that differ in one thing), and its other analyses, one by one."""

from ance_ir.paper.analysing import ANALYSES, run_analysis
from ance_ir.paper.analysis import Asked
from ance_ir.paper.settings import SCHEMES, Scheme, StudySettings
from ance_ir.paper.study import run_study

__all__ = ["ANALYSES", "Asked", "SCHEMES", "Scheme", "StudySettings", "run_analysis", "run_study"]
