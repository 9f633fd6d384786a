"""The sound when programs die: the audio process, the program, and both again."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
import soundfile
from daw_process import quiet_settings, running_daw
from memory_engine import MemoryEngine
from player_rig import RATE, SHAPE

from osc_bridge.audio.arena import Arena, Gauge, Op
from osc_bridge.audio.card import CardOutput
from osc_bridge.audio.device import DeviceSettings, Playing
from osc_bridge.audio.player import Player
from osc_bridge.audio.voice_state import Levels
from osc_bridge.client.client import Client
from osc_bridge.daw import _open_sound
from osc_bridge.stage.stage import Stage
from server.config import Config
from server.model.manifest import Manifest

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform == "win32", reason="kills with signals"),
]


@pytest.fixture
def dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The audio process is killed at its start as often as the number in this file says."""
    left = tmp_path / "deaths"
    script = tmp_path / "python"
    script.write_text(
        f"#!/bin/sh\nn=$(cat {left})\necho $((n - 1)) > {left}\n"
        f'[ "$n" -gt 0 ] && kill -9 $$\nexec {sys.executable} "$@"\n'
    )
    script.chmod(0o755)
    monkeypatch.setattr("osc_bridge.audio.card.sys", SimpleNamespace(executable=str(script)))
    monkeypatch.setattr("osc_bridge.audio.card._PAUSE_S", 0.05)
    monkeypatch.setattr("osc_bridge.audio.output.REOPEN_S", 0.05)
    return left


def test_an_audio_process_that_is_killed_at_its_start_is_started_again(dies: Path) -> None:
    dies.write_text("2")

    async def run() -> None:
        player = Player(CardOutput(), SHAPE)
        await player.open(DeviceSettings(device="none"))
        assert player.status().state == "open"
        await player.close()
        player.shut_down()

    asyncio.run(run())


def test_however_often_it_is_killed_the_program_goes_on(
    dies: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    dies.write_text("9")

    async def run() -> None:
        engine = MemoryEngine(Manifest.load(tiny_folder), tmp_path)
        stage = Stage(engine, lambda notice: None, CardOutput(), SHAPE)
        said = await _open_sound(stage, Config(sound_card="none"))
        assert said.startswith("none (the audio process ended with code -9")
        assert stage.player.status().state == "lost"
        async with asyncio.timeout(30):
            while stage.player.status().state != "open":
                await asyncio.sleep(0.05)
        await stage.close()

    asyncio.run(run())


# --- the program is killed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a loop that is never silent."""
    takes = tmp_path / "takes"
    takes.mkdir()
    tone = 0.2 * np.sin(np.arange(RATE) * (2 * np.pi * 440 / RATE))
    soundfile.write(takes / "tone.wav", tone, RATE, subtype="FLOAT")
    return tmp_path


def playing(folder: Path) -> Playing:
    return msgspec.json.decode((folder / "state" / "audio.json").read_bytes(), type=Playing)


@contextmanager
def memory(playing: Playing) -> Iterator[Arena]:
    arena = Arena.attach(Path(playing.arena), playing.shape)
    try:
        yield arena
    finally:
        arena.let_go()


def is_gone(pid: int, within_s: float) -> bool:
    until_s = time.monotonic() + within_s
    while time.monotonic() < until_s:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def loudness(samples: np.ndarray) -> np.ndarray:
    """The level of each hundredth of a second."""
    frames = RATE // 100
    blocks = samples[: len(samples) // frames * frames, 0].reshape(-1, frames)
    return np.sqrt((blocks**2).mean(axis=1))


def start_loop(port: int, folder: Path) -> None:
    with Client(port=port) as client:
        client.query("/ldm/take/play", str(folder / "takes" / "tone.wav"), 0.0, 1)
        client.send("/ldm/master/gain", -1.5)
        time.sleep(1.0)


def test_a_killed_program_is_taken_over_by_the_next(tiny_folder: Path, folder: Path) -> None:
    flags = quiet_settings(tiny_folder, folder)
    with running_daw(*flags) as (process, port, _):
        start_loop(port, folder)
        before = playing(folder)
        process.kill()
        process.wait()
    for _ in range(2):
        time.sleep(1.0)
        with running_daw(*flags) as (process, port, printed):
            assert "sound   none, as asked" in printed
            assert playing(folder) == before
            with Client(port=port) as client:
                path = client.query("/ldm/capture/save", 3.0)[0]
                assert client.query("/ldm/device/status")[0] == "open"
            heard, rate = soundfile.read(path, always_2d=True)
            assert rate == RATE
            assert loudness(heard).min() > 0.1
            process.kill()
            process.wait()
    with running_daw(*flags) as (process, port, _), memory(before) as arena:
        assert Levels(arena).in_db(Op.MASTER, 0.0) == -1.5
        with Client(port=port) as client:
            client.send("/ldm/stop")
            start_loop(port, folder)
            assert int(arena.gauges[Gauge.FIRST_OWN]) == 0
            assert int(arena.gauges[Gauge.VOICES]) == 1
            client.send("/ldm/stop")
            time.sleep(0.5)
            assert int(arena.gauges[Gauge.PEAK]) == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert is_gone(before.pid, 3)
    assert not (folder / "state" / "audio.json").exists()


def test_the_stream_of_a_killed_program_goes_on(tiny_folder: Path, folder: Path) -> None:
    flags = quiet_settings(tiny_folder, folder)
    with running_daw(*flags) as (process, port, _):
        with Client(port=port) as client:
            client.query("/ldm/stream/start", "rain", timeout_s=30)
            until_s = time.monotonic() + 60
            while client.query("/ldm/stream/status")[0] != "playing":
                assert time.monotonic() < until_s
                time.sleep(0.2)
            time.sleep(1.5)
        left = playing(folder)
        process.kill()
        process.wait()
    time.sleep(6.0)
    with memory(left) as arena:
        end = int(arena.gauges[Gauge.FRAME])
        frames = np.arange(end - 6 * RATE, end) % len(arena.played)
        assert loudness(arena.played[frames]).min() > 1e-4
        with running_daw(*flags) as (process, _, __):
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        assert is_gone(left.pid, 3)


def test_nobody_takes_over_and_the_sound_ends(tiny_folder: Path, folder: Path) -> None:
    flags = (*quiet_settings(tiny_folder, folder), "--audio-hold-s", "2")
    with running_daw(*flags) as (process, port, _):
        start_loop(port, folder)
        left = playing(folder)
        with memory(left) as arena:
            process.kill()
            process.wait()
            time.sleep(1.0)
            assert int(arena.gauges[Gauge.PEAK]) > 10_000
            assert is_gone(left.pid, 8)
            assert int(arena.gauges[Gauge.PEAK]) < 10_000
    with running_daw(*flags):
        assert playing(folder).pid != left.pid


def test_without_a_hold_the_sound_ends_with_the_program(tiny_folder: Path, folder: Path) -> None:
    flags = (*quiet_settings(tiny_folder, folder), "--audio-hold-s", "0")
    with running_daw(*flags) as (process, _, __):
        children = f"/proc/{process.pid}/task/{process.pid}/children"
        pids = [int(pid) for pid in Path(children).read_text().split()]
        process.kill()
        process.wait()
    assert all(is_gone(pid, 5) for pid in pids)
    assert not (folder / "state" / "audio.json").exists()


def test_a_second_program_leaves_the_first_ones_sound_alone(folder: Path) -> None:
    from osc_bridge.handover import Handover

    async def run() -> None:
        with Handover(folder, 60.0) as first:
            player = Player(CardOutput(60.0, first.found, first.note), SHAPE)
            opened = await player.open(DeviceSettings(device="none"))
            pid = player.device.output.pid  # type: ignore[attr-defined]
            with Handover(folder, 60.0) as second:
                assert second.found is None
                second.note(None)
            assert (folder / "audio.json").exists()
            assert pid
            assert opened.name == "none"
            await player.close()
            player.shut_down()
        assert not (folder / "audio.json").exists()

    asyncio.run(run())
