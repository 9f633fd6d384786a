"""Channels that become fewer: nothing cancels, and surround is folded as BS.775 says."""

from __future__ import annotations

import numpy as np
import pyloudnorm
import pytest
from sounds import noise, tones

from server.audio.downmix import loudness_channels, to_mono, to_stereo
from server.audio.waveform import Waveform
from server.render.delivery import loudness_lufs

RATE = 48000


def level_db(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-12))


def stereo(right: float, rate: int = RATE) -> np.ndarray:
    left = noise(2.0, rate)
    return np.hstack([left, right * left]).astype(np.float32)


@pytest.mark.parametrize("right", [1.0, 0.5, 0.0, -0.5, -0.9, -1.0])
@pytest.mark.parametrize("rate", [8000, 48000, 192000])
def test_mono_has_the_power_of_left_and_right(right: float, rate: int) -> None:
    sound = stereo(right, rate)
    assert level_db(to_mono(sound, rate)) == pytest.approx(level_db(sound), abs=0.4)


def test_mid_and_side_are_both_heard() -> None:
    t = np.arange(2 * RATE) / RATE
    mid, side = np.sin(2 * np.pi * 300 * t), np.sin(2 * np.pi * 2000 * t)
    mono = to_mono(np.stack([mid + side, mid - side], 1).astype(np.float32), RATE)
    spectrum = np.abs(np.fft.rfft(mono)) / RATE
    assert spectrum[600] == pytest.approx(1.0, abs=0.02)
    assert spectrum[4000] == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("hz", [30.0, 60.0, 10000.0])
def test_an_inverted_bass_is_heard_too(hz: float) -> None:
    wave = np.sin(2 * np.pi * hz * np.arange(2 * RATE) / RATE)
    mono = to_mono(np.stack([wave, -wave], 1).astype(np.float32), RATE)
    assert level_db(mono[RATE // 2 : -RATE // 2]) == pytest.approx(-3.0, abs=1.0)


def test_left_and_right_are_treated_alike() -> None:
    sound = noise(2.0, RATE).astype(np.float32)
    silence = np.zeros_like(sound)
    left = level_db(to_mono(np.hstack([sound, silence]), RATE))
    right = level_db(to_mono(np.hstack([silence, sound]), RATE))
    assert left == pytest.approx(right, abs=0.05)


def test_equal_channels_stay_to_the_bit() -> None:
    sound = np.repeat(tones(1.0, RATE).astype(np.float32), 2, axis=1)
    assert np.array_equal(to_mono(sound, RATE), sound[:, 0])
    assert np.array_equal(to_stereo(sound[:, :1]), sound)


@pytest.mark.parametrize("frames", [0, 1, 10, 300])
def test_any_length_is_mixed(frames: int) -> None:
    sound = stereo(-1.0)[:frames]
    assert to_mono(sound, RATE).shape == (frames,)
    assert to_stereo(np.zeros((frames, 6), np.float32)).shape == (frames, 2)


def test_surround_is_folded_down_as_the_standard_says() -> None:
    names = ("left", "right", "centre", "lfe", "left surround", "right surround")
    gains = ((1, 0), (0, 1), (0.7071, 0.7071), (0, 0), (0.7071, 0), (0, 0.7071))
    for channel, (name, wanted) in enumerate(zip(names, gains, strict=True)):
        sound = np.zeros((100, 6), np.float32)
        sound[:, channel] = 1.0
        # The other channels sound too, or the LFE would be all there is.
        sound[:, 0] += 1e-3
        folded = to_stereo(sound)[0] - (1e-3 if channel else np.float32(1e-3)) * np.array([1, 0])
        np.testing.assert_allclose(folded, wanted, atol=1e-4, err_msg=name)


def test_an_lfe_alone_is_not_lost() -> None:
    sound = np.zeros((100, 6), np.float32)
    sound[:, 3] = 0.5
    assert to_stereo(sound).min() > 0.3


def test_the_mask_says_which_channel_is_which() -> None:
    sound = np.zeros((100, 4), np.float32)
    sound[:, 2] = 1.0
    np.testing.assert_allclose(to_stereo(sound)[0], [0.7071, 0.0], atol=1e-4)  # back left
    centred = to_stereo(sound, 0x107)[0]  # left, right, centre, back centre
    np.testing.assert_allclose(centred, [0.7071, 0.7071], atol=1e-4)
    unnamed = np.ones((10, 11), np.float32)
    assert to_stereo(unnamed).min() > 1.0


def test_the_loudness_of_surround_leaves_out_the_lfe() -> None:
    sound = noise(3.0, RATE, 6).astype(np.float32)
    sound[:, 3] *= 8.0
    weighted = pyloudnorm.Meter(RATE).integrated_loudness(sound[:, [0, 1, 2, 4, 5]])
    assert loudness_lufs(Waveform(sound, RATE)) == pytest.approx(weighted, abs=1e-4)
    assert loudness_channels(8) == [0, 1, 2, 4, 5]
    assert loudness_channels(1) == [0]


def test_channels_of_a_waveform() -> None:
    sound = Waveform(stereo(-1.0), RATE)
    assert level_db(sound.as_channels(1).samples) > level_db(sound.samples) - 0.5
    assert sound.as_channels(2) is sound
    film = Waveform(noise(0.5, RATE, 6).astype(np.float32), RATE, 0x3F)
    assert film.as_channels(2).samples.std() > film.samples.std()
    assert film.as_channels(2).speakers == 0
