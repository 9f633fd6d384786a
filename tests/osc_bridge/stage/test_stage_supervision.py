"""No task of the stage dies unnoticed: each one is broken here, is logged and goes on."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from broken import failing, until
from stage_rig import stage_rig

from osc_bridge.stage.bars import BarReport
from osc_bridge.stage.clock import Follower, LinkClock
from osc_bridge.stage.liveset import parse_set
from osc_bridge.stage.transport import Transport
from server.requests.request import TextToAudio

ONE_PAD = parse_set(b"name: x\npads: [{name: kick, prompt: kick, mode: one_shot}]")


def test_the_poll_of_ableton_link(monkeypatch, caplog) -> None:
    class Link:
        num_peers, beat, tempo, quantum, enabled = 1, 3.0, 150.0, 4.0, False

        def __init__(self, bpm: float) -> None:
            self.bpm = bpm

    monkeypatch.setitem(sys.modules, "aalink", type(sys)("aalink"))
    monkeypatch.setattr(sys.modules["aalink"], "Link", Link, raising=False)

    async def run() -> None:
        transport = Transport(lambda: 0, 48000)
        follower = Follower(transport, lambda time_ns: 0)
        monkeypatch.setattr(follower, "follow", failing(2, follower.follow))
        clock = LinkClock(follower, transport)
        await until(lambda: transport.bpm == 150.0)
        await clock.close()

    asyncio.run(run())
    assert caplog.text.count("the poll of Ableton Link failed") == 2


@pytest.mark.integration
@pytest.mark.parametrize("part", ["_producer", "_conductor"])
def test_both_tasks_of_the_stream(
    part: str, tiny_folder: Path, tmp_path: Path, monkeypatch, caplog
) -> None:
    monkeypatch.setattr("osc_bridge.stage.stream.stream._RETRY_S", 0.01)
    monkeypatch.setattr("osc_bridge.stage.stream.conductor.POLL_S", 0.0)
    name = {"_producer": "_next_chunk", "_conductor": "_takeover"}[part]

    async def run() -> None:
        async with stage_rig(tiny_folder, tmp_path) as rig:
            stream, errors = rig.stage.stream, list[str]()
            await rig.stage.start_stream("rain")
            await rig.until(lambda: stream.status().state == "playing")
            working = getattr(getattr(stream, part), name)
            monkeypatch.setattr(getattr(stream, part), name, failing(1, working))
            rendered = stream.status().rendered
            await rig.until(lambda: stream.status().rendered > rendered + 1)
            errors = [getattr(notice, "error", "") for notice in rig.notices]
            assert "internal error: broken by the test" in errors
            assert stream.status().error == ""

    asyncio.run(run())
    assert "of the stream failed" in caplog.text


@pytest.mark.integration
def test_a_pad_that_cannot_be_rendered_says_so(
    tiny_folder: Path, tmp_path: Path, monkeypatch, caplog
) -> None:
    async def run() -> None:
        async with stage_rig(tiny_folder, tmp_path) as rig:
            monkeypatch.setattr(rig.stage.renders, "render", failing(1, rig.stage.renders.render))
            await rig.stage.use_set(ONE_PAD)
            await rig.until(lambda: rig.stage.pads.reports()[0].state == "failed")
            assert rig.stage.pads.reports()[0].error == "internal error; see the log"
            rig.stage.pads.refresh("kick")
            await rig.until(lambda: rig.stage.pads.reports()[0].state == "ready")

    asyncio.run(run())
    assert "pad kick could not be rendered" in caplog.text


@pytest.mark.integration
def test_loops_that_cannot_be_cut_to_a_new_tempo_are_cut_to_the_next_one(
    tiny_folder: Path, tmp_path: Path, monkeypatch, caplog
) -> None:
    bed = parse_set(b"name: x\npads: [{name: bed, prompt: warm pad, bars: 1}]")

    async def run() -> None:
        async with stage_rig(tiny_folder, tmp_path) as rig:
            pads = rig.stage.pads
            await rig.stage.use_set(bed)
            await rig.until(lambda: pads.reports()[0].state == "ready")
            monkeypatch.setattr(pads._takes, "cut", failing(1, pads._takes.cut))
            for bpm in (150.0, 100.0):
                old = pads._slots[1].clips
                rig.stage.clock.set_tempo(bpm)
                await until(lambda: pads._realigning is not None)
                await until(lambda: pads._realigning is None)
                assert (pads._slots[1].clips is old) == (bpm == 150.0)

    asyncio.run(run())
    assert "pad bed is not back on the bar" in caplog.text


@pytest.mark.integration
def test_a_render_for_a_bar_that_breaks_is_reported_as_failed(
    tiny_folder: Path, tmp_path: Path, monkeypatch, caplog
) -> None:
    async def run() -> None:
        async with stage_rig(tiny_folder, tmp_path) as rig:
            reports: list[BarReport] = []
            request = TextToAudio(prompt="riser", bars=1.0, bpm=120.0, num_inference_steps=2)
            monkeypatch.setattr(rig.stage.renders, "render", failing(1, rig.stage.renders.render))
            for _ in range(2):
                bar = rig.stage.transport.position()[0] + 50
                rig.stage.bars.render(request, bar, reports.append)
                before = len(reports)
                await rig.until(lambda before=before: len(reports) > before)
            assert [report.state for report in reports] == ["failed", "ready"]
            assert reports[0].error == "internal error; see the log"

    asyncio.run(run())
    assert "the render for bar 51 failed" in caplog.text
