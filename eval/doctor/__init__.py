"""The doctor: findings that make the figures of an evaluation doubtful."""

from ance_ir.eval.doctor.diagnosis import diagnose, findings_text
from ance_ir.eval.doctor.finding import Finding, Findings, Severity

__all__ = ["Finding", "Findings", "Severity", "diagnose", "findings_text"]
