"""The process that listens to files: what a file may cost it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from server_run import wav

from server.sample_library.describer import Describer, _limit_cpu
from server.worker.towers import AUDIO_TOWER, memory_limit

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


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no /proc")
@pytest.mark.integration
def test_limits_hold_for_the_whole_process(tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "clip.wav").write_bytes(wav(0.6))
    describer = Describer(tiny_folder)
    describer.describe(tmp_path / "clip.wav", tmp_path)
    assert describer._child is not None
    process = Path("/proc", str(describer._child.process_id))
    threads = [task / "stat" for task in (process / "task").iterdir()]
    # The 19th value is the niceness; the second is the name, in parentheses.
    assert {stat.read_text().rpartition(")")[2].split()[16] for stat in threads} == {"19"}
    limits = (process / "limits").read_text().splitlines()
    found = {line[:26].strip(): line[26:].split()[:2] for line in limits}
    most = str(memory_limit(tiny_folder, (AUDIO_TOWER,)))
    assert found["Max data size"] == [most, most]
    assert found["Max file size"] == found["Max core file size"] == ["0", "0"]
    describer.close()
