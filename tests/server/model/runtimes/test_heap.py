"""Memory that loading leaves on the heap goes back to the system."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from server.model.runtimes.heap import give_back

_PROGRAM = """
import ctypes, psutil
from server.model.runtimes.heap import give_back

libc, resident = ctypes.CDLL(None), psutil.Process().memory_info
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, (ctypes.c_void_p,)
blocks = [libc.malloc(65_536) for _ in range(1_000)]
for block in blocks:
    ctypes.memset(block, 1, 65_536)
for block in blocks[:-1]:  # the last one keeps the heap from shrinking by itself
    libc.free(block)
before = resident().rss
give_back()
print(before - resident().rss)
"""


def test_it_does_no_harm_anywhere() -> None:
    give_back()
    give_back()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc only")
def test_freed_memory_leaves_the_process() -> None:
    printed = subprocess.run(
        (sys.executable, "-c", _PROGRAM), capture_output=True, text=True, check=True
    ).stdout
    assert int(printed) > 50_000_000
