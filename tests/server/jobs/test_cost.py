"""Estimates from what was measured."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from server.jobs.cost import CostModel
from server.jobs.job import Job, JobState
from server.requests.resolved import ResolvedText


def test_the_second_job_takes_as_long_as_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr("server.jobs.cost.time.monotonic", lambda: clock.now)
    cost = CostModel()
    request = ResolvedText(
        prompt="a",
        seed=1,
        num_candidates=1,
        num_inference_steps=11,
        guidance_scale=2.5,
        guidance_end=1.0,
        sampler="ddim",
        audio_length_in_s=4.0,
    )
    job = Job(id="1", request=request, folder=Path(), num_steps=11, started_s=50.0)
    cost.observe(job)
    assert cost.seconds_until_done(job) is None
    for step in range(1, 12):
        clock.now += 0.5
        running = msgspec.structs.replace(job, state=JobState.RUNNING, step=step)
        cost.observe(running)
    assert cost.seconds_until_done(running) == pytest.approx(0.0)
    # Eleven steps of half a second, and half a second before and after them.
    done = msgspec.structs.replace(running, state=JobState.DONE, finished_s=56.0)
    cost.observe(done)
    assert cost.seconds_until_done(done) is None
    assert cost.measured == 1
    assert cost.expected_s(11, 1, 4.0) == pytest.approx(6.0)
    assert cost.expected_s(11, 2, 4.0) == pytest.approx(12.0)
    # An edit that takes long to read and splice does not make new sounds dearer.
    edit = cost.expected_s(11, 1, 4.0, "inpaint")
    assert edit == pytest.approx(6.0)
    cost._rest_s["inpaint"] = 10.0
    assert cost.expected_s(11, 1, 4.0, "inpaint") > 50.0
    assert cost.expected_s(11, 1, 4.0) == pytest.approx(6.0)
    first = msgspec.structs.replace(job, id="2", num_steps=0)
    second = msgspec.structs.replace(job, id="3", num_steps=0, position=1)
    for queued in (first, second):
        cost.observe(queued)
    assert cost.seconds_until_done(first) == pytest.approx(6.0)
    assert cost.seconds_until_done(second) == pytest.approx(12.0)
    assert cost.remaining_s() == pytest.approx(12.0)
    for queued in (first, second):
        cost.observe(msgspec.structs.replace(queued, state=JobState.CANCELLED))
    assert cost.remaining_s() == 0.0
    bulk = msgspec.structs.replace(
        first, id="4", request=msgspec.structs.replace(request, priority="bulk")
    )
    live = msgspec.structs.replace(first, id="5")
    cost.observe(msgspec.structs.replace(bulk, state=JobState.RUNNING))
    cost.observe(live)
    assert cost.seconds_until_done(live) == pytest.approx(6.0), "it waits for no bulk work"
    later = msgspec.structs.replace(bulk, id="6", position=2)
    cost.observe(later)
    assert cost.seconds_until_done(later) == pytest.approx(18.0)
