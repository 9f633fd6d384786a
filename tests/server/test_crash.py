"""The short form of ``python -m benchmarks.crash``."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.crash import Storm


@pytest.mark.slow
def test_kills_at_random_instants_lose_nothing(tiny_folder: Path, tmp_path: Path) -> None:
    result = Storm(tiny_folder, tmp_path, kills=8, seed=1).run()
    assert result["faults"] == []
    assert result["kills"]["kills"] >= 8
    assert result["jobs"] > 0
