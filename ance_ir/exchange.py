"""Two folders change places in one step, where the system has one."""

from __future__ import annotations

import ctypes
import errno
import os
from functools import cache
from pathlib import Path
from typing import Any

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_UNABLE = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EXDEV}
"""What Linux says where the kernel or the file system cannot, network file systems mostly."""


def exchange(one: Path, other: Path) -> bool:
    """Let two names change places; nobody sees either missing. ``False``, and nothing was done, where the system cannot.

    Raises:
        OSError: one of them is not there, or may not be renamed.
    """
    rename = _renameat2()
    if rename is None:
        return False
    if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _UNABLE:
        return False
    raise OSError(code, os.strerror(code), str(one), None, str(other))


@cache
def _renameat2() -> Any:
    """The function of the C library, which Linux has and others have not."""
    return getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
