"""Stereo and beds from a mono take: the mono sum is that take, and the bass stays in the middle."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from server.audio.waveform import Waveform
from server.fullband.width import spread

RATE = 48_000


def take(seconds: float = 4.0) -> Waveform:
    noise = np.random.default_rng(0).standard_normal(round(seconds * RATE)).astype(np.float32)
    return Waveform.mono(0.1 * noise, RATE)


def third_octaves_db(samples: np.ndarray) -> np.ndarray:
    power = np.square(np.abs(np.fft.rfft(samples)))
    hz = np.fft.rfftfreq(len(samples), 1.0 / RATE)
    edges = 40.0 * 2.0 ** (np.arange(28) / 3.0)
    bands = [power[(hz >= a) & (hz < b)].sum() for a, b in pairwise(edges)]
    return 10.0 * np.log10(np.array(bands) + 1e-20)


@pytest.mark.parametrize("channels", [2, 6, 8])
@pytest.mark.parametrize("width", [0.0, 0.6, 1.0])
def test_the_mono_sum_is_the_take(channels: int, width: float) -> None:
    """Within 0.5 dB in each third octave; in fact to rounding."""
    mono = take()
    wide = spread(mono, channels, width, 3, circular=False)
    stereo = wide.as_channels(2).samples
    difference = third_octaves_db(stereo.mean(axis=1)) - third_octaves_db(mono.samples[:, 0])
    assert np.abs(difference).max() < 0.01


def test_no_width_is_dual_mono() -> None:
    wide = spread(take(), 2, 0.0, 3, circular=False).samples
    np.testing.assert_array_equal(wide[:, 0], wide[:, 1])


def test_the_middle_has_the_bass_and_the_side_has_the_level_of_recordings() -> None:
    wide = spread(take(), 2, 1.0, 3, circular=False).samples
    side = third_octaves_db(wide[:, 0] - wide[:, 1]) - third_octaves_db(wide.sum(axis=1))
    centres = 40.0 * 2.0 ** ((np.arange(27) + 0.5) / 3.0)
    assert side[centres < 140.0].max() < -30.0
    assert side[np.argmin(np.abs(centres - 1_000.0))] == pytest.approx(-3.5, abs=1.0)
    assert side[np.argmin(np.abs(centres - 8_000.0))] == pytest.approx(-1.1, abs=1.0)


def test_neither_side_is_louder_or_coloured() -> None:
    """No combing: each side follows the take within 3 dB in every third octave."""
    mono = take(8.0)
    wide = spread(mono, 2, 0.6, 3, circular=False).samples
    for side in wide.T:
        colour = third_octaves_db(side) - third_octaves_db(mono.samples[:, 0])
        assert np.abs(colour - colour.mean()).max() < 3.0
    left, right = (Waveform.mono(side, RATE).rms_db for side in np.ascontiguousarray(wide.T))
    assert left == pytest.approx(right, abs=1.0)


@pytest.mark.parametrize("channels", [6, 8])
def test_a_bed_folds_to_the_stereo_take(channels: int) -> None:
    stereo = spread(take(), 2, 0.8, 3, circular=False).samples
    bed = spread(take(), channels, 0.8, 3, circular=False)
    assert bed.channels == channels
    folded = bed.as_channels(2).samples
    scale = np.float32(np.sum(folded * stereo) / np.sum(stereo * stereo))
    np.testing.assert_allclose(folded, scale * stereo, atol=1e-4)
    assert not bed.samples[:, 3].any()
    behind = np.corrcoef(bed.samples[:, 4:].T)
    assert np.abs(behind - np.eye(channels - 4)).max() < 0.3


def test_a_loop_stays_a_loop() -> None:
    mono = take(1.0)
    wide = spread(mono, 2, 1.0, 3, circular=True).samples
    turned = spread(
        mono.with_samples(np.roll(mono.samples, 1000, axis=0)), 2, 1.0, 3, circular=True
    ).samples
    np.testing.assert_allclose(np.roll(wide, 1000, axis=0), turned, atol=1e-5)


def test_a_seed_is_a_room() -> None:
    first, again, other = (spread(take(), 2, 1.0, k, circular=False).samples for k in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01


def test_a_hit_keeps_its_edge() -> None:
    """The side comes after the hit, never before it, and within 60 ms."""
    hit = np.zeros(RATE, np.float32)
    hit[10_000] = 1.0
    wide = spread(Waveform.mono(hit, RATE), 2, 1.0, 3, circular=False).samples
    side = np.abs(wide[:, 0] - wide[:, 1])
    assert side[: 10_000 - 48].max() < 0.02 * side.max()
    power = np.square(side)
    assert power[10_000 : 10_000 + 2_880].sum() > 0.95 * power.sum()
