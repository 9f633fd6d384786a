"""Long files are played while they are decoded: no more memory than a few seconds of them."""

from __future__ import annotations

import asyncio
import resource
from pathlib import Path

import numpy as np
import pytest
import soundfile
from stage_rig import RATE, Rig, stage_rig

from osc_bridge.stage.long_sound import MAX_LONG_SOUNDS
from osc_bridge.stage.sounds import LONG_S
from server.errors import AudioLDMError, QueueFull, TooLarge, UnreadableAudio

pytestmark = pytest.mark.integration

MIB = 2**20


def sweep(path: Path, seconds: float, rate: int = RATE, channels: int = 2) -> np.ndarray:
    """A sound of which no two seconds are alike."""
    t = np.arange(round(seconds * rate)) / rate
    mono = 0.2 * np.sin(2 * np.pi * (200 + 5 * t) * t)
    sound = np.stack([mono * (1 if k % 2 == 0 else -0.5) for k in range(channels)], axis=1)
    soundfile.write(path, sound, rate, "PCM_24")
    return sound.astype(np.float32)


def silence(path: Path, seconds: int, channels: int) -> Path:
    """Hours in a few hundred kilobytes."""
    with soundfile.SoundFile(path, "w", 8000, channels, "PCM_16", format="FLAC") as file:
        for _ in range(seconds // 10):
            file.write(np.zeros((80_000, channels), np.float32))
    return path


async def played(rig: Rig, seconds: float) -> np.ndarray:
    """What is heard, slowly enough for a thread that decodes."""
    blocks = []
    for _ in range(round(seconds * 4)):
        blocks.append(await rig.run(0.25))
        await asyncio.sleep(0.03)
    return np.concatenate(blocks)


def test_it_is_heard_to_the_sample_and_then_it_is_over(tiny_folder: Path, tmp_path: Path) -> None:
    sound = sweep(tmp_path / "long.flac", 30.0)

    async def scenario() -> None:
        async with stage_rig(tiny_folder, tmp_path) as rig:
            free = rig.stage.player.clips.free_frames
            await rig.stage.play(tmp_path / "long.flac")
            heard = await played(rig, 32.0)
            begin = int(np.argmax(np.abs(heard).max(axis=1) > 1e-4)) - 1
            found = heard[begin : begin + len(sound)]
            # The first sample is 0, so that where it begins is known to one.
            shift = min(range(-2, 3), key=lambda k: _difference(found, sound, k))
            assert _difference(found, sound, shift) < 1e-3
            assert np.abs(heard[begin + len(sound) + 4 :]).max() == 0.0
            states = [notice.state for notice in rig.notices if hasattr(notice, "voice")]
            assert states == ["playing", "ended"]
            await asyncio.sleep(0.2)
            assert rig.stage.player.clips.free_frames == free

    asyncio.run(scenario())


def _difference(found: np.ndarray, sound: np.ndarray, shift: int) -> float:
    n = len(sound) - 8
    return float(np.abs(found[4 + shift : n + shift] - sound[4:n]).max())


@pytest.mark.parametrize(("rate", "channels"), [(44100, 2), (96000, 1), (22050, 6)])
def test_it_is_heard_at_the_rate_of_the_device(
    tiny_folder: Path, tmp_path: Path, rate: int, channels: int
) -> None:
    sweep(tmp_path / "long.wav", LONG_S + 2.0, rate, channels)

    async def scenario() -> None:
        async with stage_rig(tiny_folder, tmp_path) as rig:
            await rig.stage.play(tmp_path / "long.wav", quantise="bar")
            heard = await played(rig, LONG_S + 6.0)
            loud = np.flatnonzero(np.abs(heard).max(axis=1) > 1e-4)
            assert (loud[-1] - loud[0]) / RATE == pytest.approx(LONG_S + 2.0, abs=0.05)

    asyncio.run(scenario())


def test_it_stops_when_it_is_told_and_frees_its_room(tiny_folder: Path, tmp_path: Path) -> None:
    path = silence(tmp_path / "hour.flac", 3600, 2)

    async def scenario() -> None:
        async with stage_rig(tiny_folder, tmp_path) as rig:
            free = rig.stage.player.clips.free_frames
            voice, _ = await rig.stage.play(path)
            await played(rig, 1.0)
            rig.stage.player.stop(voice)
            await rig.run(0.5)
            await rig.stage.play(path)
            rig.stage.stop_all(0.0)
            await rig.run(0.5)
            await asyncio.sleep(0.5)
            assert rig.stage.player.clips.free_frames == free

    asyncio.run(scenario())


def test_hours_cost_no_memory_and_many_at_once_are_refused(
    tiny_folder: Path, tmp_path: Path
) -> None:
    hour, wide = (silence(tmp_path / f"{c}.flac", s, c) for s, c in ((3600, 2), (880, 8)))
    assert hour.stat().st_size < MIB

    async def scenario() -> None:
        async with stage_rig(tiny_folder, tmp_path) as rig:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            for number in range(MAX_LONG_SOUNDS):
                await asyncio.wait_for(rig.stage.play((hour, wide)[number % 2]), 20)
            with pytest.raises(QueueFull, match="stop one"):
                await rig.stage.play(hour)
            await played(rig, 2.0)
            with pytest.raises(TooLarge, match="no room"):
                await asyncio.wait_for(rig.stage.play(hour, loop=True), 20)
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            assert grown < 96 * 1024

    asyncio.run(scenario())


def test_what_cannot_be_played_is_refused_and_leaves_nothing(
    tiny_folder: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF")

    async def scenario() -> None:
        async with stage_rig(tiny_folder, tmp_path) as rig:
            free = rig.stage.player.clips.free_frames
            for path in (broken, tmp_path / "none.wav", Path("/dev/zero"), tmp_path):
                with pytest.raises(AudioLDMError) as error:
                    await rig.stage.play(path)
                assert not isinstance(error.value, QueueFull)
            with pytest.raises(UnreadableAudio):
                await rig.stage.play(broken, loop=True)
            assert rig.stage.player.clips.free_frames == free

    asyncio.run(scenario())
