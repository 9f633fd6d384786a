"""The short form of ``python -m benchmarks.endurance.crash``."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tiny_model import make_tiny_folder

from benchmarks.endurance.crash import Storm
from server.model.manifest import Manifest


@pytest.mark.slow
def test_kills_at_random_instants_lose_nothing(tiny_folder: Path, tmp_path: Path) -> None:
    result = Storm([tiny_folder], tmp_path, kills=8, seed=1).run()
    assert result["faults"] == []
    assert result["kills"]["kills"] >= 8
    assert result["jobs"] > 0


@pytest.mark.slow
def test_nor_do_they_with_two_models(tiny_folder: Path, tmp_path: Path) -> None:
    # It predicts something else, so that a job of the wrong model would sound differently.
    other = make_tiny_folder(tmp_path / "other", "v_prediction")
    msgspec.structs.replace(Manifest.load(other), name="other").save(other)
    result = Storm([tiny_folder, other], tmp_path, kills=8, seed=2).run()
    assert result["faults"] == []
    assert result["kills"]["worker"] >= 1
    assert result["jobs"] > 0
