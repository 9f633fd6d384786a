"""The player on the in-memory output: clips, voices, capture."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from player_rig import RATE, noise, playing

from osc_bridge.audio.clips import Loop
from osc_bridge.audio.player import decibels
from server.audio.waveform import Samples, Waveform
from server.errors import InvalidRequest, NotFound, TooLarge


def test_a_take_bit_for_bit_on_its_frame() -> None:
    async def run() -> tuple[Samples, Waveform]:
        async with playing() as (player, render):
            take = noise(5000)
            clip = await player.load(take)
            player.start(clip, player.frame_now() + 1234)
            return render(8192), take

    out, take = asyncio.run(run())
    np.testing.assert_array_equal(out[1234:6234], take.samples)
    assert not out[:1234].any()
    assert not out[6234:].any()


def test_mono_sits_in_the_middle_and_rates_are_converted() -> None:
    async def run() -> Samples:
        async with playing() as (player, render):
            tone = 0.5 * np.sin(np.arange(16000) * (2 * np.pi * 1000 / 16000))
            player.start(await player.load(Waveform.mono(tone, 16000)))
            return render(RATE)

    out = asyncio.run(run())
    np.testing.assert_array_equal(out[:, 0], out[:, 1])
    spectrum = np.abs(np.fft.rfft(out[:, 0] * np.hanning(RATE)))
    assert spectrum.argmax() == 1000


def test_surround_is_folded_down_and_inverted_sides_stay() -> None:
    sound = 0.1 * np.random.default_rng(3).standard_normal((6000, 6)).astype(np.float32)
    sound[:, :2] = np.stack([sound[:, 0], -sound[:, 0]], axis=1)

    async def run() -> Samples:
        async with playing() as (player, render):
            player.start(await player.load(Waveform(sound, RATE)), player.frame_now() + 100)
            return render(4096)

    out = asyncio.run(run())[100:4096]
    heard = sound[: len(out)]
    for side in (0, 1):
        wanted = heard[:, side] + 0.70711 * (heard[:, 2] + heard[:, 4 + side])
        np.testing.assert_allclose(out[:, side], wanted, atol=1e-5)


def test_a_loop_has_no_seam_and_the_first_pass_is_untouched() -> None:
    async def run() -> tuple[Samples, Samples]:
        async with playing() as (player, render):
            tone = 0.5 * np.sin(np.arange(RATE) * (2 * np.pi * 440.3 / RATE))
            clip = await player.load(Waveform.mono(tone, RATE), Loop(seam_s=0.05))
            player.start(clip)
            return render(RATE * 3)[:, 0], tone

    out, tone = asyncio.run(run())
    np.testing.assert_allclose(out[: RATE - 2400], tone[: RATE - 2400], atol=1e-6)
    assert np.abs(np.diff(out)).max() < 1.5 * np.abs(np.diff(tone)).max()


def test_a_loop_of_a_bar_comes_round_on_the_bar() -> None:
    async def run() -> Samples:
        async with playing() as (player, render):
            click = np.zeros(RATE, np.float32)
            click[0] = 0.5
            period = 60 / 117.3 * 2
            clip = await player.load(Waveform.mono(click, RATE), Loop(period_s=period))
            player.start(clip, player.frame_now())
            return render(RATE * 30)[:, 0]

    clicks = np.flatnonzero(asyncio.run(run()) > 0.4)
    period = RATE * 60 / 117.3 * 2
    np.testing.assert_array_equal(clicks, [round(n * period) for n in range(len(clicks))])


def test_capture_is_what_was_heard_and_can_be_played_again() -> None:
    async def run() -> None:
        async with playing() as (player, render):
            player.start(await player.load(noise(RATE)))
            heard = np.concatenate([render(RATE), render(RATE // 2)])
            again = player.capture(1.5)
            np.testing.assert_array_equal(again.samples, heard)
            middle = player.capture(0.5, end_frame=player.frame_now() - RATE // 2)
            np.testing.assert_array_equal(middle.samples, heard[RATE // 2 : RATE])
            recorded = noise(RATE, seed=9).samples
            render(RATE, recorded)
            np.testing.assert_array_equal(player.capture(1.0, "recorded").samples, recorded)
            with pytest.raises(InvalidRequest, match="up to 3 s"):
                player.capture(100.0)
            with pytest.raises(NotFound, match="not in memory"):
                player.capture(1.0, end_frame=player.frame_now() + 10)

    asyncio.run(run())


def test_memory_comes_back_when_the_voice_is_done() -> None:
    async def run() -> None:
        async with playing() as (player, render):
            free = player.clips.free_frames
            clips = [await player.load(noise(RATE)) for _ in range(10)]
            with pytest.raises(TooLarge, match="no room for 1 s"):
                await player.load(noise(RATE))
            player.start(clips[3])
            for clip in clips:
                player.unload(clip)
            assert player.clips.free_frames == free - RATE
            render(RATE + 128)
            player.poll()
            assert player.clips.free_frames == free
            assert len(player.clips) == 0

    asyncio.run(run())


def test_the_end_of_a_voice_is_told() -> None:
    async def run() -> list[str]:
        ended: list[str] = []
        async with playing() as (player, render):
            clip = await player.load(noise(1000))
            voice = player.start(clip, on_end=lambda: ended.append("done"))
            waiting = player.start(
                clip, player.frame_now() + 10**6, on_end=lambda: ended.append("x")
            )
            render(512)
            player.poll()
            assert player.is_playing(voice)
            player.stop(waiting)
            render(1024)
            player.poll()
            assert not player.is_playing(voice)
            assert not player.is_playing(waiting)
        return ended

    assert asyncio.run(run()) == ["x", "done"]


def test_levels() -> None:
    async def run() -> None:
        async with playing() as (player, render):
            flat = Waveform(np.full((RATE, 2), 0.5, np.float32), RATE)
            voice = player.start(await player.load(flat), gain_db=-6.0)
            assert render(128)[-1, 0] == pytest.approx(0.5 * decibels(-6.0))
            player.set_gain(voice, 0.0)
            player.set_master(-20.0)
            assert render(1024)[-1, 0] == pytest.approx(0.05)
            player.stop_all()
            assert not render(2048)[-128:].any()
            assert player.status().voices == 0

    asyncio.run(run())
