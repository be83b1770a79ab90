"""The paper's analyses: one module each, whose docstring begins with the claim and which has ``ANALYSIS``."""
