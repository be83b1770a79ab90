"""Our models and systems in other people's evaluation: ``ance_ir.eval.harness.mteb`` and ``ance_ir.eval.harness.beir``."""
