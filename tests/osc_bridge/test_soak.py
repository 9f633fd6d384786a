"""The soak in a short form: twenty seconds here, two minutes marked soak, an hour by hand."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.endurance.soak import soak


def check(minutes: float, seed: int, model: Path, kill_every_s: float) -> None:
    report = asyncio.run(soak(minutes, seed, str(model), kill_every_s))
    assert report.problems == []
    assert report.lost == []
    assert report.jobs > 0
    assert report.gaps_s == []
    assert sum(report.actions.values()) > 20 * minutes


@pytest.mark.slow
def test_twenty_seconds(tiny_folder: Path) -> None:
    check(1 / 3, 1, tiny_folder, 4.0)


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_minutes(tiny_folder: Path) -> None:
    check(2.0, 2, tiny_folder, 10.0)
