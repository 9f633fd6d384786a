"""The upper band of a take: what it must never do, whatever the weights are."""

from __future__ import annotations

import tracemalloc
from functools import cache

import numpy as np
import pytest

from server.audio.waveform import Waveform
from server.fullband.upper_band import UpperBand, built_in_upper_band

RATE = 48_000


@cache
def upper_band() -> UpperBand:
    return UpperBand(built_in_upper_band(), threads=1)


def dull(seconds: float, seed: int = 0, rate: int = 16_000) -> Waveform:
    """Noise that ends at 8 kHz, at 48 kHz."""
    samples = np.random.default_rng(seed).standard_normal(round(seconds * rate)) * 0.1
    return Waveform.mono(samples.astype(np.float32), rate).resample(RATE)


def band_db(samples: np.ndarray, low: float, high: float) -> float:
    power = np.square(np.abs(np.fft.rfft(samples)))
    hz = np.fft.rfftfreq(len(samples), 1.0 / RATE)
    return float(10.0 * np.log10(power[(hz >= low) & (hz < high)].sum() + 1e-20))


def test_what_is_below_the_crossover_comes_through_untouched() -> None:
    sound = dull(3.0)
    upper = upper_band().of(sound, 1).samples[:, 0]
    low = band_db(sound.samples[:, 0], 0.0, 7_000.0)
    assert low - band_db(upper, 0.0, 7_000.0) > 60.0
    assert band_db(upper, 8_500.0, 20_000.0) > low - 40.0


def test_the_same_seed_is_the_same_sound_and_another_one_is_not() -> None:
    sound = dull(1.0)
    first, again, other = (upper_band().of(sound, seed).samples for seed in (7, 7, 8))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3
    assert band_db(first[:, 0], 9e3, 2e4) == pytest.approx(band_db(other[:, 0], 9e3, 2e4), abs=1.0)


@pytest.mark.parametrize("frames", [1, 10, 255, 4097])
def test_short_sounds_keep_their_length(frames: int) -> None:
    sound = dull(1.0).crop(frames)
    upper = upper_band().of(sound, 1)
    assert upper.samples.shape == sound.samples.shape
    assert np.isfinite(upper.samples).all()


@pytest.mark.parametrize("rate", [22_050, 32_000, 44_100, 96_000])
def test_any_rate_keeps_its_length(rate: int) -> None:
    sound = dull(1.0).resample(rate)
    upper = upper_band().of(sound, 1)
    assert (upper.frames, upper.sample_rate) == (sound.frames, rate)


def test_silence_stays_silent() -> None:
    silent = Waveform(np.zeros((RATE, 2), np.float32), RATE)
    assert not upper_band().of(silent, 1).samples.any()
    half = dull(2.0).samples.copy()
    half[RATE:] = 0.0
    upper = upper_band().of(Waveform(half, RATE), 1).samples
    assert np.abs(upper[RATE + 4800 :]).max() < 1e-5


def test_a_louder_take_has_the_same_band_louder() -> None:
    sound = dull(1.0)
    soft, loud = (
        upper_band().of(sound.with_samples(sound.samples * np.float32(gain)), 1).samples
        for gain in (0.01, 1.0)
    )
    np.testing.assert_allclose(soft * 100.0, loud, atol=1e-3)


def test_a_loop_stays_a_loop() -> None:
    ring = dull(1.0)
    upper = upper_band().of(ring, 1, circular=True).samples[:, 0]
    assert len(upper) == ring.frames
    steps = np.abs(np.diff(np.concatenate((upper, upper[:1]))))
    assert steps[-1] <= np.quantile(steps, 0.999)
    around = np.concatenate((upper[-480:], upper[:480]))
    assert Waveform.mono(around, RATE).rms_db == pytest.approx(
        Waveform.mono(upper, RATE).rms_db, abs=2.5
    )


def test_a_loop_of_any_length_keeps_it_to_the_sample() -> None:
    for frames in (5_001, 48_123):
        ring = dull(2.0).crop(frames)
        assert upper_band().of(ring, 1, circular=True).frames == frames


def test_long_takes_join_without_seams_in_bounded_memory() -> None:
    sound = dull(60.0)
    upper_band().of(dull(1.0), 1)
    tracemalloc.start()
    try:
        upper = upper_band().of(sound, 1).samples[:, 0]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 160e6
    piece = 469 * 1024
    for seam in range(piece, len(upper), piece):
        around = sound.with_samples(sound.samples[seam - 4 * RATE : seam + 4 * RATE])
        seamless = upper_band().of(around, 1).samples[2 * RATE : 6 * RATE, 0]
        joined = upper[seam - 2 * RATE : seam + 2 * RATE]
        for part in range(0, 4 * RATE, RATE // 2):
            level = Waveform.mono(seamless[part : part + RATE // 2], RATE).rms_db
            here = Waveform.mono(joined[part : part + RATE // 2], RATE).rms_db
            assert here == pytest.approx(level, abs=0.7)
        steps = np.abs(np.diff(upper[seam - 2400 : seam + 2400]))
        assert steps[2399] <= np.quantile(steps, 0.999)


def test_a_piece_is_what_the_whole_take_has_there() -> None:
    """The network sees no more than the context that a piece is given."""
    sound = dull(24.0)
    whole = upper_band().of(sound, 1).samples[:, 0]
    alone = upper_band().of(sound.crop(12 * RATE), 1).samples[:, 0]
    seconds = slice(RATE, 9 * RATE)
    difference = np.abs(whole[seconds] - alone[seconds]).max()
    assert difference < 2e-2 * np.abs(whole).max()


def test_both_sides_of_a_mono_take_get_the_same_band() -> None:
    sound = dull(1.0)
    twice = Waveform(np.repeat(sound.samples, 2, axis=1), RATE)
    upper = upper_band().of(twice, 1).samples
    np.testing.assert_array_equal(upper[:, 0], upper[:, 1])


def test_the_band_is_as_wide_as_the_clip() -> None:
    left, right = dull(2.0).samples[:, 0], dull(2.0, 1).samples[:, 0]
    upper = upper_band().of(Waveform(np.stack([left, right], axis=1), RATE), 1).samples
    assert abs(np.corrcoef(upper.T)[0, 1]) < 0.1


def test_an_inverted_side_gets_the_inverted_band() -> None:
    left = dull(1.0).samples[:, 0]
    upper = upper_band().of(Waveform(np.stack([left, -0.5 * left], axis=1), RATE), 1).samples
    assert np.corrcoef(upper.T)[0, 1] < -0.999
