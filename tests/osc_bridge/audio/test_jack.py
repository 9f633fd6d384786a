"""The sound card for real: a JACK server with the dummy driver, recorded back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from jack_server import HAVE_JACK, Recorder, find_in, jack_server

from osc_bridge.audio.arena import ArenaShape
from osc_bridge.audio.card import CardOutput
from osc_bridge.audio.clips import Loop
from osc_bridge.audio.device import DeviceReport, DeviceSettings
from osc_bridge.audio.player import Player
from osc_bridge.audio.portaudio import list_devices
from server.audio.waveform import Waveform

pytestmark = [
    pytest.mark.daw,
    pytest.mark.skipif(not HAVE_JACK, reason="needs jackd2 (make clients)"),
]
RATE = 48000
SHAPE = ArenaShape(store_frames=RATE * 10, capture_frames=RATE * 10)


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def test_a_take_comes_out_of_the_sound_card_bit_for_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    take = Waveform(rng.uniform(-0.5, 0.5, (RATE, 2)).astype(np.float32), RATE)

    async def run() -> tuple[np.ndarray, int]:
        player = Player(CardOutput(), SHAPE)
        opened = await player.open(DeviceSettings())
        assert "JACK" in opened.host_api
        assert opened.sample_rate == RATE
        recorder = Recorder("PortAudio:out", 3.0)
        try:
            clip = await player.load(take)
            begin = player.frame_now() + 4800
            voice = player.start(clip, begin)
            await until(lambda: not player.is_playing(voice))
            await until(lambda: player.frame_now() > begin + RATE + 4096)
            captured = player.capture(1.0, end_frame=begin + RATE)
            np.testing.assert_array_equal(captured.samples, take.samples)
            assert player.status().under_runs == 0 or recorder.xruns
            return recorder.samples[: recorder.frames], recorder.xruns
        finally:
            recorder.close()
            await player.close()
            player.shut_down()

    with jack_server(tmp_path / "jackd.log", period=1024):
        heard, _ = asyncio.run(run())
    at = find_in(heard, take.samples)
    np.testing.assert_array_equal(heard[at : at + RATE], take.samples)
    assert not heard[:at].any()
    assert not heard[at + RATE :].any()


def test_the_server_is_restarted_at_another_rate_while_a_loop_plays(tmp_path: Path) -> None:
    async def run(server) -> None:
        player = Player(CardOutput(), SHAPE)
        reports: list[DeviceReport] = []
        player.device.listen(reports.append)
        await player.open(DeviceSettings())
        tone = 0.5 * np.sin(np.arange(RATE) * (2 * np.pi * 1000 / RATE))
        loop = player.start(await player.load(Waveform.mono(tone, RATE), Loop()))
        await asyncio.sleep(0.3)
        server.stop()
        await until(lambda: [r.state for r in reports] == ["open", "lost"])
        server.start(sample_rate=44100)
        await until(lambda: len(reports) == 3)
        assert reports[2].state == "open"
        assert player.sample_rate == 44100
        assert player.is_playing(loop)
        begin = player.frame_now()
        await until(lambda: player.frame_now() > begin + 44100)
        heard = player.capture(0.9).samples[:, 0]
        spectrum = np.abs(np.fft.rfft(heard * np.hanning(heard.size)))
        assert spectrum.argmax() == 900
        await player.close()
        player.shut_down()

    with jack_server(tmp_path / "jackd.log", period=1024) as server:
        asyncio.run(run(server))


def test_inputs_are_recorded(tmp_path: Path) -> None:
    """What the card plays is patched into its inputs, as the dummy driver has no loopback."""
    take = Waveform(np.random.default_rng(8).uniform(-0.5, 0.5, (4800, 2)).astype(np.float32), RATE)

    async def run() -> np.ndarray:
        import jack

        player = Player(CardOutput(), SHAPE)
        await player.open(DeviceSettings())
        patchbay = jack.Client("patchbay", no_start_server=True)
        with patchbay:
            for source, sink in zip(
                patchbay.get_ports("PortAudio:out"), patchbay.get_ports("PortAudio:in"), strict=True
            ):
                patchbay.connect(source, sink)
            begin = player.frame_now() + 9600
            player.start(await player.load(take), begin)
            await until(lambda: player.frame_now() > begin + 24000)
            recorded = player.capture(0.5, "recorded", begin + 24000)
        await player.close()
        player.shut_down()
        return recorded.samples

    with jack_server(tmp_path / "jackd.log", period=1024):
        recorded = asyncio.run(run())
    at = find_in(recorded, take.samples)
    np.testing.assert_array_equal(recorded[at : at + 4800], take.samples)


@pytest.mark.slow  # counts on a machine whose host leaves it the processor
def test_a_busy_program_does_not_reach_the_audio(tmp_path: Path) -> None:
    """Two threads of ours fight for the interpreter while eight loops play in blocks of 128.

    The ten-minute run with the model is ``python -m benchmarks.audio_latency under-runs``; what
    is counted here are lost blocks, of which a machine that others share always has a few.
    """
    stop = threading.Event()

    def burn() -> None:
        while not stop.is_set():
            sum(n * n for n in range(10_000))

    async def run() -> tuple[int, int]:
        player = Player(CardOutput(), SHAPE)
        await player.open(DeviceSettings())
        noise = np.random.default_rng(1).uniform(-0.05, 0.05, (RATE, 2)).astype(np.float32)
        clip = await player.load(Waveform(noise, RATE), Loop())
        for _ in range(8):
            player.start(clip)
        burners = [threading.Thread(target=burn) for _ in range(2)]
        for burner in burners:
            burner.start()
        before, begin = player.status(), player.frame_now()
        await until(lambda: player.frame_now() > begin + 5 * RATE, 60.0)
        after = player.status()
        stop.set()
        for burner in burners:
            burner.join()
        await player.close()
        player.shut_down()
        assert after.glitches == 0
        assert after.voices == 8
        assert after.blocksize == 128
        return after.under_runs - before.under_runs, 5 * RATE // 128

    with jack_server(tmp_path / "jackd.log", period=128, realtime=True):
        lost, blocks = asyncio.run(run())
    assert lost < 0.05 * blocks


def test_devices_are_listed_with_their_host(tmp_path: Path) -> None:
    import subprocess
    import sys

    program = "from osc_bridge.audio.portaudio import list_devices; print(list_devices())"
    with jack_server(tmp_path / "jackd.log"):
        completed = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert b"JACK Audio Connection Kit" in completed.stdout
    assert b"'system'" in completed.stdout
    assert isinstance(list_devices(), tuple)
