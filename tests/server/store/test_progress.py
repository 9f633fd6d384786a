"""How far an addition is, after an earlier try."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.store.hub import HubFile, _bar, fetch
from server.store.progress import Meter, Progress


class Clock:
    """Time that passes when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 1000.0
        monkeypatch.setattr("server.store.progress.time.monotonic", lambda: self.now_s)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_what_an_earlier_try_brought_is_not_counted_for_the_speed(clock: Clock) -> None:
    told: list[Progress] = []
    meter = Meter("model", told.append)
    meter.begin("downloading", 1000)
    bar = _bar(meter.add)(initial=600, total=1000)
    clock.now_s += 10.0
    bar.update(100)
    assert (told[-1].done_bytes, told[-1].bytes_per_s, told[-1].left_s) == (700, 10, 30.0)


def test_what_is_here_already_is_not_counted_for_the_speed(clock: Clock, tmp_path: Path) -> None:
    told: list[Progress] = []
    meter = Meter("model", told.append)
    (tmp_path / "unet.bin").write_bytes(bytes(600))
    file = HubFile(repository="some/body", revision="0" * 40, name="unet.bin", size=600)
    meter.begin("downloading", 1000)
    fetch(file, tmp_path, meter.add)
    clock.now_s += 10.0
    meter.add(100)
    assert (told[-1].done_bytes, told[-1].bytes_per_s, told[-1].left_s) == (700, 10, 30.0)
