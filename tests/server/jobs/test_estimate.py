"""Estimates from what was measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from server.jobs.estimate import Estimator
from server.jobs.job import Job, JobState
from server.requests.request import TextToAudio


def test_the_second_job_takes_as_long_as_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr("server.jobs.estimate.time.monotonic", lambda: clock.now)
    listeners: list[Callable[[Job], None]] = []
    engine: Any = SimpleNamespace(listen=listeners.append, jobs=lambda: known)
    estimator = Estimator(engine)
    request = TextToAudio(prompt="a", num_inference_steps=11, audio_length_in_s=4.0)
    job = Job(id="1", request=request, folder=Path(), num_steps=11, started_s=50.0)
    known = [job]
    assert estimator.seconds_until_done(job) is None
    for step in range(1, 12):
        clock.now += 0.5
        running = msgspec.structs.replace(job, state=JobState.RUNNING, step=step)
        listeners[0](running)
    assert estimator.seconds_until_done(running) == pytest.approx(0.0)
    # Ten intervals of half a second, and one second before and after them.
    done = msgspec.structs.replace(running, state=JobState.DONE, finished_s=56.0)
    listeners[0](done)
    assert estimator.seconds_until_done(done) is None
    first = msgspec.structs.replace(job, id="2", num_steps=0)
    second = msgspec.structs.replace(job, id="3", num_steps=0, position=1)
    known = [done, first, second]
    assert estimator.seconds_until_done(first) == pytest.approx(6.5)
    assert estimator.seconds_until_done(second) == pytest.approx(13.0)
    bulk = msgspec.structs.replace(
        first, id="4", request=msgspec.structs.replace(request, priority="bulk")
    )
    live = msgspec.structs.replace(first, id="5")
    known = [msgspec.structs.replace(bulk, state=JobState.RUNNING), live]
    assert estimator.seconds_until_done(live) == pytest.approx(6.5), "it waits for no bulk work"
    later = msgspec.structs.replace(bulk, id="6", position=2)
    known = [*known, later]
    assert estimator.seconds_until_done(later) == pytest.approx(19.5)
