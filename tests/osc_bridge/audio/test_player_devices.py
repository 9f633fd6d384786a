"""The player when devices come and go: what plays goes on in its place."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

import numpy as np
import pytest
from player_rig import RATE, SHAPE, FlakyDevice, noise, playing

from osc_bridge.audio.card import CardOutput
from osc_bridge.audio.clips import Loop
from osc_bridge.audio.device import DeviceInfo, DeviceReport, DeviceSettings
from osc_bridge.audio.offline import OfflineDevice
from osc_bridge.audio.player import Player
from osc_bridge.audio.portaudio import find_device
from server.audio.waveform import Waveform
from server.errors import DeviceError


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


def test_a_device_that_goes_is_reported_and_loops_are_taken_up(monkeypatch) -> None:
    monkeypatch.setattr("osc_bridge.audio.output.REOPEN_S", 0.02)

    async def run() -> None:
        device = FlakyDevice()
        reports: list[DeviceReport] = []
        async with playing(device) as (player, render):
            player.device.listen(reports.append)
            click = np.zeros((RATE, 2), np.float32)
            click[0] = 0.5
            begin = player.frame_now() + 100
            loop = await player.load(Waveform(click, RATE), Loop(seam_s=0.0))
            leaving = player.start(loop, begin)
            player.stop(leaving, begin + 100 * RATE)
            once = await player.load(noise(RATE))
            lasting = player.start(loop, begin)
            gone = player.start(once, begin)
            render(RATE // 2)
            player.set_master(-6.0)
            device.pulled = "the cable was pulled"
            await until(lambda: bool(reports))
            assert reports[0] == DeviceReport(state="lost", reason="the cable was pulled")
            assert player.status().state == "lost"
            player.set_master(0.0)
            device.pulled = ""
            await until(lambda: player.device.reopened == 1)
            assert [r.state for r in reports] == ["lost", "open"]
            assert player.is_playing(lasting)
            assert player.is_playing(leaving)
            assert player._voices[leaving].stop is not None
            assert not player.is_playing(gone)
            now = player.frame_now()
            clicks = now + np.flatnonzero(render(RATE * 2)[:, 0] > 0.4)
            np.testing.assert_array_equal((clicks - begin) % RATE, 0)
            assert len(clicks) == 2

    asyncio.run(run())


def test_a_loop_that_was_joined_late_keeps_its_place_however_often_the_device_goes(
    monkeypatch,
) -> None:
    monkeypatch.setattr("osc_bridge.audio.output.REOPEN_S", 0.02)

    async def run() -> None:
        device = FlakyDevice()
        async with playing(device) as (player, render):
            click = np.zeros((RATE // 2, 2), np.float32)
            click[0] = 0.5
            loop = await player.load(Waveform(click, RATE), Loop(seam_s=0.0))
            render(RATE)
            begin = player.frame_now() - 12345
            player.start(loop, begin)
            for times in (1, 2, 3):
                now = player.frame_now()
                clicks = now + np.flatnonzero(render(RATE)[:, 0] > 0.4)
                assert len(clicks) == 2
                np.testing.assert_array_equal((clicks - begin) % (RATE // 2), 0)
                device.pulled = "the cable was pulled"
                await until(lambda: player.status().state == "lost")
                device.pulled = ""
                await until(lambda times=times: player.device.reopened == times)

    asyncio.run(run())


def test_another_device_takes_over_what_plays() -> None:
    """While one is closed and the next one opened, nothing is refused."""

    class Slow(OfflineDevice):
        async def close(self) -> None:
            await asyncio.sleep(0.02)
            await super().close()

    async def run() -> None:
        async with playing(Slow(RATE)) as (player, render):
            clip = await player.load(noise(RATE), Loop())
            before = player.start(clip)
            render(128)
            opening = asyncio.create_task(player.open(DeviceSettings()))
            await asyncio.sleep(0.01)
            assert player.status().state == "lost"
            meanwhile = player.start(clip)
            await opening
            assert render(256).any()
            assert player.status().voices == 2
            assert player.is_playing(before)
            assert player.is_playing(meanwhile)

    asyncio.run(run())


def test_another_rate_converts_everything(monkeypatch) -> None:
    monkeypatch.setattr("osc_bridge.audio.output.REOPEN_S", 0.02)

    async def run() -> None:
        device = FlakyDevice()
        async with playing(device) as (player, render):
            tone = 0.5 * np.sin(np.arange(RATE) * (2 * np.pi * 1000 / RATE))
            player.start(await player.load(Waveform.mono(tone, RATE), Loop()))
            render(1000)
            device.pulled, device.sample_rate = "server restarted", 44100
            await until(lambda: player.status().state == "lost")
            device.pulled = ""
            await until(lambda: player.device.reopened == 1)
            assert player.sample_rate == 44100
            spectrum = np.abs(np.fft.rfft(render(44100)[:, 0] * np.hanning(44100)))
            assert spectrum.argmax() == 1000

    asyncio.run(run())


def test_a_loop_that_began_long_ago_keeps_its_place_at_a_higher_rate(monkeypatch) -> None:
    monkeypatch.setattr("osc_bridge.audio.output.REOPEN_S", 0.02)

    async def run() -> None:
        device = FlakyDevice()
        device.sample_rate = 44100
        async with playing(device) as (player, render):
            click = np.zeros((22050, 2), np.float32)
            click[0] = 0.5
            loop = await player.load(Waveform(click, 44100), Loop(seam_s=0.0))
            begin = player.frame_now() + 1000
            player.start(loop, begin)
            render(60 * 44100 + 5000)
            device.pulled, device.sample_rate = "server restarted", 48000
            await until(lambda: player.status().state == "lost")
            device.pulled = ""
            await until(lambda: player.device.reopened == 1)
            now = player.frame_now()
            due = (begin - now) * 48000 / 44100
            clicks = np.flatnonzero(render(48000)[:, 0] > 0.3)
            assert len(clicks) == 2
            off = (clicks - due + 12000) % 24000 - 12000
            assert np.abs(off).max() <= 1.0

    asyncio.run(run())


def test_without_a_device_it_says_so() -> None:
    async def run() -> None:
        player = Player(OfflineDevice(), SHAPE)
        clip = await player.load(noise(100))
        with pytest.raises(DeviceError, match="no audio device is open"):
            player.start(clip)
        before = player.frame_now()
        await asyncio.sleep(0.01)
        assert player.frame_now() > before
        player.shut_down()

    asyncio.run(run())


@pytest.mark.integration
def test_the_output_without_a_card_keeps_time_in_its_own_process() -> None:
    async def run() -> None:
        output = CardOutput()
        player = Player(output, SHAPE)
        opened = await player.open(DeviceSettings(device="none", blocksize=256))
        assert opened.sample_rate == 48000
        clip = await player.load(noise(RATE))
        voice = player.start(clip)
        begin = player.frame_now()
        await until(lambda: not player.is_playing(voice))
        assert player.frame_now() - begin >= RATE - 512
        assert player.capture(0.5).peak > 0.2
        pid = output.pid
        await player.close()
        player.shut_down()
        assert pid is not None

    asyncio.run(run())


@pytest.mark.integration
def test_a_killed_audio_process_is_replaced_and_the_loop_goes_on_in_its_place() -> None:
    async def run() -> None:
        output = CardOutput()
        player = Player(output, SHAPE)
        reports: list[DeviceReport] = []
        player.device.listen(reports.append)
        await player.open(DeviceSettings(device="none", blocksize=256))
        click = np.zeros((RATE // 4, 2), np.float32)
        click[0] = 0.5
        loop = await player.load(Waveform(click, RATE), Loop(seam_s=0.0))
        begin = player.frame_now() + 4800
        voice = player.start(loop, begin)
        await until(lambda: player.frame_now() > begin + RATE // 2)
        assert output.pid is not None
        os.kill(output.pid, signal.SIGKILL)
        await until(lambda: [r.state for r in reports] == ["open", "lost", "open"])
        assert "code -9" in reports[1].reason
        assert player.is_playing(voice)
        back = player.frame_now()
        await until(lambda: player.frame_now() > back + RATE)
        now = player.frame_now()
        heard = player.capture((now - back) / RATE, end_frame=now)
        clicks = back + np.flatnonzero(heard.samples[:, 0] > 0.4)
        np.testing.assert_array_equal((clicks - begin) % (RATE // 4), 0)
        assert len(clicks) >= 3
        await player.close()
        player.shut_down()

    asyncio.run(run())


def test_devices_that_do_not_exist_are_refused() -> None:
    async def run() -> None:
        player = Player(CardOutput(), SHAPE)
        with pytest.raises(DeviceError, match=r"no output devices for 'Nonsense 9000'|PortAudio"):
            await player.open(DeviceSettings(device="Nonsense 9000"))
        assert player.status().state == "closed"
        player.shut_down()

    asyncio.run(run())


def test_finding_a_device() -> None:
    cards = (
        DeviceInfo(id=0, name="Scarlett 2i2", host_api="ALSA", inputs=2, outputs=2,
                   sample_rate=44100, default=True),
        DeviceInfo(id=1, name="HDMI", host_api="ALSA", inputs=0, outputs=8, sample_rate=48000),
        DeviceInfo(id=2, name="Mic", host_api="ALSA", inputs=1, outputs=0, sample_rate=48000),
    )  # fmt: skip
    jack = DeviceInfo(
        id=3, name="system", host_api="JACK Audio Connection Kit", inputs=2, outputs=2,
        sample_rate=48000, default=True,
    )  # fmt: skip
    assert find_device(DeviceSettings(), cards).id == 0
    assert find_device(DeviceSettings(), (*cards, jack)).id == 3
    assert find_device(DeviceSettings(host_api="alsa"), (*cards, jack)).id == 0
    assert find_device(DeviceSettings(device="hdm"), cards).id == 1
    assert find_device(DeviceSettings(device="1"), (*cards, jack)).id == 1
    assert find_device(DeviceSettings(input_device="mic"), cards, to_record=True).id == 2
    with pytest.raises(DeviceError, match="2 output devices for 'i'"):
        find_device(DeviceSettings(device="i"), cards)
    with pytest.raises(DeviceError, match="none at all"):
        find_device(DeviceSettings(), ())
