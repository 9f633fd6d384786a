"""The listening companion: what it measures, what makes room, and the ceiling."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import numpy as np
import pytest
from numpy_engine import pitch
from scipy import signal
from stage_rig import RATE, Rig, stage_rig

from osc_bridge.stage.listening.companion import ListenReport, ListenSettings
from osc_bridge.stage.listening.measures import heard_in, merged, occupied
from osc_bridge.stage.listening.shape import Shape
from osc_bridge.stage.liveset import parse_set
from server.audio.waveform import Waveform
from server.errors import DeviceError, InvalidRequest, NotFound

SET = b"""
name: Test
tempo_bpm: 120
pads:
  - {name: bed, prompt: warm bed, bars: 1, gain_db: 6}
"""
SECONDS = 6


def band(low: float, high: float, level: float = 0.1) -> np.ndarray:
    """Noise in a band, [frames]."""
    noise = np.random.default_rng(1).standard_normal(RATE * SECONDS)
    filtered = signal.sosfilt(
        signal.butter(8, (low, high), "bandpass", fs=RATE, output="sos"), noise
    )
    return np.asarray(level * filtered / np.std(filtered))


def beats(bpm: float) -> np.ndarray:
    """1 where the noise of a beat sounds."""
    since = (np.arange(RATE * SECONDS) / RATE) % (60.0 / bpm)
    return np.exp(-since / 0.05)


def stereo(mono: np.ndarray) -> np.ndarray:
    return np.repeat(mono.astype(np.float32)[:, None], 2, axis=1)


def level_db(heard: np.ndarray, hertz: float) -> float:
    """The level of one tone."""
    turns = np.exp(-2j * np.pi * hertz * np.arange(len(heard)) / RATE) * np.hanning(len(heard))
    return 20.0 * math.log10(4.0 * abs(np.mean(turns * heard[:, 0])) + 1e-9)


def test_level_density_tempo_and_bands_are_measured() -> None:
    heard = heard_in(Waveform(stereo(band(500, 1000) * beats(100.0)), RATE))
    assert heard.bpm == pytest.approx(100.0, rel=0.02)
    assert heard.density == pytest.approx(100.0 / 60.0, rel=0.15)
    ((low, high),) = merged(occupied(heard.bands_db))
    assert low == pytest.approx(450, rel=0.3)
    assert high == pytest.approx(1100, rel=0.3)
    steady = heard_in(Waveform(stereo(band(500, 1000)), RATE))
    assert steady.level_db == pytest.approx(-20.0, abs=0.5)
    assert steady.bpm == 0.0
    assert heard_in(Waveform(stereo(np.zeros(RATE)), RATE)).silent


def test_occupied_bands_do_not_flicker_and_leave_half_of_all() -> None:
    levels = [-100.0] * 26
    levels[10], levels[20] = -20.0, -34.0
    taken = occupied(tuple(levels))
    assert taken == {10, 20}
    levels[20] = -38.0
    assert occupied(tuple(levels), taken) == {10, 20}
    assert occupied(tuple(levels)) == {10}
    assert len(occupied((-20.0,) * 26)) == 12


@pytest.mark.parametrize("rate", [16000, 48000, 96000])
def test_a_shape_leaves_its_bands_and_keeps_its_ceiling(rate: int) -> None:
    noise = np.random.default_rng(2).standard_normal((rate * 3, 2)).astype(np.float32)
    sound = Waveform(noise / 3.0, rate)
    quiet = Shape(((400.0, 1200.0),), 24.0, 20.0).of(sound)
    hertz, before = signal.welch(sound.samples[:, 0], rate, nperseg=4096)
    change_db = 10.0 * np.log10(signal.welch(quiet.samples[:, 0], rate, nperseg=4096)[1] / before)
    assert change_db[(hertz > 450) & (hertz < 1100)].max() < -22.0
    assert np.abs(change_db[(hertz > 1500) & (hertz < 7000)]).max() < 0.5
    loud = Shape((), 0.0, -12.0).of(sound)
    assert loud.peak <= 10.0 ** (-12.0 / 20.0) / math.sqrt(2.0)
    looped = Shape(((400.0, 1200.0),), 24.0, 20.0)
    rolled = looped.of(Waveform(np.roll(sound.samples, 999, axis=0), rate), loops=True)
    expected = np.roll(looped.of(sound, loops=True).samples, 999, axis=0)
    assert np.abs(rolled.samples - expected).max() < 1e-4


async def listening(rig: Rig, hertz: float, bpm: float, **settings: object) -> None:
    """The companion when it has heard noise around ``hertz`` with a beat, twice."""
    rig.recorded = stereo(band(hertz / 1.3, hertz * 1.3) * beats(bpm))
    await rig.stage.listening.start(ListenSettings(**settings), steps=True)  # type: ignore[arg-type]
    await rig.run(6.0)
    for _ in range(2):
        await rig.run(1.0)
        await rig.stage.listening.step()


async def more_chunks(rig: Rig) -> None:
    """Play until the stream has rendered chunks that begin after now."""
    wanted = rig.stage.stream.status().rendered + 4
    await rig.until(lambda: rig.stage.stream.status().rendered >= wanted)


@pytest.mark.integration
def test_the_stream_leaves_what_comes_in_and_follows_its_tempo(
    tiny_folder: Path, tmp_path: Path
) -> None:
    async def run() -> None:
        async with stage_rig(tiny_folder, tmp_path) as rig:
            stage, tone = rig.stage, pitch("rain")
            await stage.start_stream("rain")
            await rig.until(lambda: stage.stream.status().rendered >= 2)
            before = level_db(await rig.run(1.0), tone)
            await listening(rig, tone, 110.0, depth_db=20.0, ceiling_db=-6.0)
            report = stage.listening.status()
            assert report.state == "listening"
            assert any(low < tone < high for low, high in report.bands)
            assert stage.transport.bpm == pytest.approx(110.0, rel=0.02)
            rig.recorded = None
            await more_chunks(rig)
            assert level_db(await rig.run(1.0), tone) < before - 17.0
            await stage.listening.stop()
            await more_chunks(rig)
            assert level_db(await rig.run(1.0), tone) == pytest.approx(before, abs=1.0)
            states = [n.state for n in rig.notices if isinstance(n, ListenReport)]
            assert (states[0], states[-1]) == ("waiting", "off")
            assert "listening" in states

    asyncio.run(run())


def test_the_ceiling_holds_from_the_first_moment(tiny_folder: Path, tmp_path: Path) -> None:
    async def run() -> None:
        async with stage_rig(tiny_folder, tmp_path) as rig:
            stage, ceiling = rig.stage, 10.0 ** (-30.0 / 20.0)
            stage.stream.set_gain(6.0)
            await stage.start_stream("rain")
            await rig.until(lambda: stage.stream.status().rendered >= 2)
            assert np.abs(await rig.run(1.0)).max() > ceiling
            await stage.listening.start(ListenSettings(ceiling_db=-30.0), steps=True)
            await rig.run(0.05)
            stage.stream.set_prompt("wind", 1.0)
            assert np.abs(await rig.run(8.0)).max() <= ceiling
            with pytest.raises(InvalidRequest, match="level must be at most 0 dB"):
                stage.stream.set_gain(3.0)
            await stage.listening.stop()
            stage.stream.set_gain(3.0)

    asyncio.run(run())


def test_a_pad_makes_room_on_its_next_bar(tiny_folder: Path, tmp_path: Path) -> None:
    async def run() -> None:
        async with stage_rig(tiny_folder, tmp_path) as rig:
            stage, tone = rig.stage, pitch("warm bed")
            with pytest.raises(NotFound, match="no live set"):
                await stage.listening.start(ListenSettings(target="bed"), steps=True)
            await stage.use_set(parse_set(SET))
            await rig.until(lambda: stage.pads.reports()[0].state == "ready")
            stage.pads.hit("bed")
            await rig.run(4.0)
            before = level_db(await rig.run(1.0), tone)
            await listening(rig, tone, 120.0, target="bed", depth_db=20.0, ceiling_db=-20.0)
            heard = await rig.run(6.0)
            assert level_db(heard[-RATE:], tone) < before - 20.0
            assert np.abs(heard).max() <= 10.0 ** (-20.0 / 20.0)
            with pytest.raises(InvalidRequest, match="level must be at most 0 dB"):
                stage.pads.set_gain("bed", 6.0)
            await stage.listening.stop()
            await rig.run(4.0)
            after = level_db(await rig.run(1.0), tone)
            assert after == pytest.approx(before - 6.0, abs=1.0)  # its level was lowered to 0 dB
            assert stage.pads.reports()[0].state == "playing"

    asyncio.run(run())


def test_silence_takes_nothing_and_another_clock_keeps_its_tempo(
    tiny_folder: Path, tmp_path: Path
) -> None:
    async def run() -> None:
        async with stage_rig(tiny_folder, tmp_path) as rig:
            await rig.stage.clock.choose("osc")
            await listening(rig, 700.0, 100.0)
            assert rig.stage.transport.bpm == 120.0
            rig.recorded = np.zeros((RATE, 2), np.float32)
            await rig.run(6.1)
            await rig.stage.listening.step()
            assert rig.stage.listening.status().state == "silence"
            assert rig.stage.listening.status().bands == ()
            await rig.stage.player.close()
            with pytest.raises(DeviceError):
                await rig.stage.listening.start(ListenSettings())

    asyncio.run(run())
