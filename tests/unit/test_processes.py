"""What a process uses."""

from __future__ import annotations

import ctypes
import sys
import time

import pytest

from ance_ir.processes import anonymous_memory, freed_given_back


@pytest.mark.skipif(sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="the C library is not glibc")
def test_what_is_freed_between_blocks_in_use_is_given_back() -> None:
    blocks = [b"x" * (64 << 10) for _ in range(1000)]
    held = anonymous_memory()
    del blocks[::2]
    assert anonymous_memory() > held - 10
    with freed_given_back(0.01):
        until = time.monotonic() + 10
        while anonymous_memory() > held - 20:
            assert time.monotonic() < until
            time.sleep(0.01)
    assert len(blocks) == 500
