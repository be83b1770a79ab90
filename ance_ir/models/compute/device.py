"""Devices by name."""

from __future__ import annotations

import torch

from ance_ir.errors import UsageError


def find_device(name: str | torch.device | None) -> torch.device:
    """The device of a name; by default a GPU where there is one.

    Raises:
        UsageError: there is no such device.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(f"the device {str(name)!r} is not available here: {str(error).splitlines()[0]}") from error
    return device
