"""The doctor: findings that make the figures of an evaluation doubtful."""

from ance_ir.eval.doctor.diagnosis import diagnose, findings_text
from ance_ir.eval.doctor.finding import Finding, Severity

__all__ = ["Finding", "Severity", "diagnose", "findings_text"]
