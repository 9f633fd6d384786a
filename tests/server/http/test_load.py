"""The short form of ``python -m benchmarks.load``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.load import Load


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_several_clients_at_once_meet_no_fault(tiny_folder: Path, tmp_path: Path) -> None:
    # Each client waits for two seconds at most before its first call.
    report = Load(tiny_folder, tmp_path, num_clients=6, seconds=4.0).run()
    assert report["faults"] == []
    assert set(report["statuses"]) <= {"200", "202", "429"}
    assert report["statuses"]["202"] >= 6
    assert report["memory_mb"]
