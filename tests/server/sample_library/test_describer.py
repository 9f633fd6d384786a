"""The process that listens to files: what a file may cost it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from server.sample_library.describer import _limit_cpu

BUSY = """
from server.sample_library.describer import _limit_cpu
_limit_cpu(0.2)
_limit_cpu({second})
while True: pass
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such timer")
def test_a_file_that_keeps_the_processor_busy_ends_the_process() -> None:
    code = BUSY.format(second=0.3)
    ended = subprocess.run((sys.executable, "-c", code), timeout=120, check=False)
    assert ended.returncode < 0


def test_the_limit_ends_with_the_file() -> None:
    _limit_cpu(0.01)
    _limit_cpu(0.0)
    assert sum(range(2_000_000)) > 0
