"""What can be extended by adding one file: every kind, the package that holds its modules, and what each module offers.

A layer that uses a registry gives it the type of its entries: ``LOSSES: Registry[Loss] = registries.LOSSES``.
"""

from __future__ import annotations
