"""Live sets: rendered ahead, on the beat to the sample, refreshed behind, swapped on the bar."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from numpy_engine import LEVEL, pitch
from stage_rig import RATE, stage_rig

from osc_bridge.stage.liveset import list_sets, load_set, parse_set
from osc_bridge.stage.pads.slot import PadReport
from server.errors import InvalidRequest, NotFound
from server.requests.request import TextToAudio

SET = b"""
name: Test
tempo_bpm: 125
pads:
  - {name: kick, prompt: kick, mode: one_shot, seconds: 0.5, quantise: sixteenth, note: 36}
  - {name: bed, prompt: warm bed, bars: 1, choke: 1}
  - {name: other, prompt: cold bed, bars: 1, choke: 1, takes: 2}
  - {name: free, prompt: swoosh, mode: one_shot, seconds: 0.3, quantise: none, gain_db: -6}
"""
BEAT = RATE * 60 / 125


def frequency(sound: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(sound[:, 0] * np.hanning(len(sound))))
    return float(spectrum.argmax()) * RATE / len(sound)


def first_sound(heard: np.ndarray) -> int:
    return int(np.flatnonzero(np.abs(heard).max(axis=1) > 1e-6)[0])


async def loaded(rig) -> None:
    await rig.stage.use_set(parse_set(SET))
    await rig.until(lambda: all(r.state == "ready" for r in rig.stage.pads.reports()))


def test_a_hit_sounds_on_its_grid_to_the_sample(tiny_folder: Path, tmp_path: Path) -> None:
    async def run() -> None:
        async with stage_rig(tiny_folder, tmp_path) as rig:
            await loaded(rig)
            line = rig.stage.transport.map
            for number, grid in ((1, 0.25), (2, 4.0)):
                frame = rig.stage.pads.hit(number)
                beat = line.next_multiple(rig.stage.player.frame_now(), grid)
                assert frame == line.frame_of(beat)
                before = rig.stage.player.frame_now()
                heard = await rig.run(2.5)
                assert before + first_sound(heard) - frame in (0, 1)  # a sine may begin at zero
                rig.stage.player.stop_all()
                await rig.run(0.1)
            now = rig.stage.player.frame_now()
            assert rig.stage.pads.hit("free") == 0
            assert first_sound(await rig.run(0.2)) <= 1
            assert rig.stage.player.frame_now() - now == round(0.2 * RATE)

    asyncio.run(run())


def test_a_loop_keeps_its_bar_and_stops_on_the_bar(tiny_folder: Path, tmp_path: Path) -> None:
    async def run() -> None:
        async with stage_rig(tiny_folder, tmp_path) as rig:
            await loaded(rig)
            rig.stage.pads.hit("bed")
            await rig.until(lambda: _state(rig, 2) == "playing")
            playing = await rig.run(8.0)
            assert np.sqrt((playing**2).mean()) == pytest.approx(LEVEL / np.sqrt(2), rel=0.05)
            end = rig.stage.pads.hit("bed")
            assert (end - rig.stage.transport.map.frame_of(0)) % round(4 * BEAT) == 0
            now = rig.stage.player.frame_now()
            heard = await rig.run(3.0)
            last = now + int(np.flatnonzero(np.abs(heard).max(axis=1) > 1e-4)[-1])
            assert end < last <= end + 0.011 * RATE
            assert _state(rig, 2) == "ready"

    asyncio.run(run())


def test_pads_of_a_group_take_turns_without_a_gap(tiny_folder: Path, tmp_path: Path) -> None:
    async def run() -> None:
        async with stage_rig(tiny_folder, tmp_path) as rig:
            await loaded(rig)
            rig.stage.pads.hit("bed")
            await rig.until(lambda: _state(rig, 2) == "playing")
            at = rig.stage.pads.hit("other") - rig.stage.player.frame_now()
            heard = await rig.run(4.0)
            assert frequency(heard[:at]) == pytest.approx(pitch("warm bed"), abs=2)
            assert frequency(heard[at + 480 :]) == pytest.approx(pitch("cold bed"), abs=2)
            assert np.abs(heard).max(axis=1).reshape(-1, 480).max(axis=1).min() > 0.1
            assert [_state(rig, n) for n in (2, 3)] == ["ready", "playing"]

    asyncio.run(run())


def test_hitting_twice_before_the_bar_takes_it_back(tiny_folder: Path, tmp_path: Path) -> None:
    async def run() -> None:
        async with stage_rig(tiny_folder, tmp_path) as rig:
            await loaded(rig)
            rig.stage.pads.hit("bed")
            assert _state(rig, 2) == "queued"
            await rig.run(0.02)
            rig.stage.pads.hit("bed")
            assert not (await rig.run(4.0)).any()
            assert _state(rig, 2) == "ready"

    asyncio.run(run())


def test_refresh_renders_behind_and_swaps_on_the_bar(tiny_folder: Path, tmp_path: Path) -> None:
    async def run() -> None:
        async with stage_rig(tiny_folder, tmp_path) as rig:
            await loaded(rig)
            rig.stage.pads.hit("bed")
            await rig.until(lambda: _state(rig, 2) == "playing")
            rig.stage.pads.refresh("bed", "bright bed")
            await rig.until(lambda: not rig.stage.pads.reports()[1].refreshing)
            line = rig.stage.transport.map
            swap = line.frame_of(line.next_multiple(rig.stage.player.frame_now(), 4.0))
            at = swap - rig.stage.player.frame_now()
            heard = await rig.run(5.0)
            assert frequency(heard[at + 480 :]) == pytest.approx(pitch("bright bed"), abs=2)
            if at > RATE // 4:
                assert frequency(heard[:at]) == pytest.approx(pitch("warm bed"), abs=4)
            assert np.abs(heard).max(axis=1).reshape(-1, 480).max(axis=1).min() > 0.1
            assert len(rig.stage.player.clips) == 1 + 1 + 2 + 1

    asyncio.run(run())


def test_a_tempo_change_moves_what_waits_and_cuts_the_loops(
    tiny_folder: Path, tmp_path: Path
) -> None:
    async def run() -> None:
        async with stage_rig(tiny_folder, tmp_path) as rig:
            await loaded(rig)
            rig.stage.pads.hit("bed")
            await rig.run(0.05)
            rig.stage.clock.set_tempo(150.0)
            line = rig.stage.transport.map
            start = line.frame_of(line.next_multiple(rig.stage.player.frame_now(), 4.0))
            now = rig.stage.player.frame_now()
            heard = await rig.run(2.5)
            assert now + first_sound(heard) - start in (0, 1)
            period = RATE * 4 * 60 / 150
            await rig.until(
                lambda: any(
                    abs(clip.period - period) < 1 for clip in rig.stage.player.clips._clips.values()
                )
            )
            assert _state(rig, 2) in ("playing", "queued")

    asyncio.run(run())


def test_what_cannot_be_rendered_is_said(tiny_folder: Path, tmp_path: Path) -> None:
    async def run() -> None:
        async with stage_rig(tiny_folder, tmp_path) as rig:
            with pytest.raises(NotFound, match="no live set is loaded"):
                rig.stage.pads.hit(1)
            rig.engine.down.clear()
            await rig.stage.use_set(parse_set(SET))
            with pytest.raises(NotFound, match="pad 'kick' has no take yet; it is rendering"):
                rig.stage.pads.hit("kick")
            with pytest.raises(NotFound, match="pad 'snare': there are pads 1 to 4"):
                rig.stage.pads.hit("snare")
            states = [n.state for n in rig.notices if isinstance(n, PadReport)]
            assert set(states) == {"rendering"}

    asyncio.run(run())


def test_the_bar_locked_render_is_in_time_and_on_its_bar(tiny_folder: Path, tmp_path: Path) -> None:
    async def run() -> None:
        async with stage_rig(tiny_folder, tmp_path, step_s=0.01) as rig:
            stage, reported = rig.stage, []
            request = TextToAudio(
                prompt="riser", bars=1.0, bpm=120.0, num_inference_steps=20,
                num_waveforms_per_prompt=3,
            )  # fmt: skip
            first = await rig.stage.renders.render(request)
            assert stage.renders.speed.measured == 1
            assert first.num_steps == 20
            plan = stage.bars.render(request, 2, reported.append)
            assert plan.state == "planned"
            assert plan.margin_s > 0
            await rig.until(lambda: bool(reported))
            assert reported[0].state in ("ready", "late")
            bar = reported[0].bar
            now, start = stage.player.frame_now(), stage.transport.bar_frame(bar)
            heard = await rig.run(4.5)
            assert now + first_sound(heard) - start in (0, 1)
            with pytest.raises(InvalidRequest, match="the first bar that can be reached is"):
                stage.bars.render(request, stage.transport.position()[0], reported.append)

    asyncio.run(run())


def test_sets_that_ship_can_be_loaded() -> None:
    assert "first-steps" in list_sets()
    for name in list_sets():
        assert load_set(name).name
    for spelling in ("First steps", "first_steps", "FIRST-STEPS", "first-steps.yaml"):
        assert load_set(spelling).name == "First steps"
    with pytest.raises(NotFound, match="did you mean 'first-steps'"):
        load_set("first-step")
    for nonsense in ("nonsense", "../kick", "/etc/passwd", "x.yaml"):
        with pytest.raises(NotFound, match=r"there are 'first-steps', 'weather-station'$"):
            load_set(nonsense)


def test_the_set_in_the_documentation_is_one() -> None:
    text = (Path(__file__).parents[3] / "docs" / "stage.md").read_text("utf-8")
    example = text.split("```yaml\n")[1].split("```")[0]
    live_set = parse_set(example.encode())
    assert [pad.name for pad in live_set.pads] == ["kick", "bed"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"name: x\npads: [{name: a, prompt: b}, {name: a, prompt: c}]", "two pads have the name"),
        (b"name: x\npads: [{name: a, prompt: b, takes: 99}]", "takes"),
        (b"name: x\npads: [{name: a, prompt: b, mode: sideways}]", "mode"),
        (b"name: x\nspeed: 3", "speed"),
        (b"[", "."),
        (b"name: x\npads: [{name: a, prompt: b, note: 1}, {name: c, prompt: c, note: 1}]", "note"),
    ],
)
def test_sets_that_cannot_be_understood(text: bytes, sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        parse_set(text)


def _state(rig, number: int) -> str:
    return rig.stage.pads.reports()[number - 1].state
