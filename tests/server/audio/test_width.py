"""The correlation of channels is measured in one sound and given to another."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.audio.width import correlation, mixing_of, with_correlation


def related(channels: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return correlation(rng.standard_normal((40, channels)).astype(np.float32))


def white(channels: int, shared: float, frames: int = 48000) -> np.ndarray:
    rng = np.random.default_rng(5)
    common = rng.standard_normal((frames, 1))
    own = rng.standard_normal((frames, channels))
    return np.asarray(shared * common + (1 - shared) * own, np.float32)


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 8), st.floats(0.0, 0.6), st.integers(0, 1000))
def test_a_sound_gets_the_correlation_that_is_wanted(
    channels: int, shared: float, seed: int
) -> None:
    wanted, sound = related(channels, seed), white(channels, shared)
    out = with_correlation(sound, wanted)
    np.testing.assert_allclose(correlation(out), wanted, atol=0.03)
    np.testing.assert_allclose(out.std(axis=0), sound.std(axis=0), rtol=0.01)


@pytest.mark.parametrize("wanted", [0.9, 0.0, -0.5, -0.95])
def test_left_and_right(wanted: float) -> None:
    out = with_correlation(white(2, 0.3), np.array([[1.0, wanted], [wanted, 1.0]]))
    assert correlation(out)[0, 1] == pytest.approx(wanted, abs=0.02)


def test_what_fits_is_left_as_it_is() -> None:
    sound = white(3, 0.3)
    np.testing.assert_allclose(with_correlation(sound, correlation(sound)), sound, atol=1e-4)


def test_silence_and_equal_channels_stay_finite() -> None:
    for sound in (np.zeros((100, 2)), np.repeat(white(1, 0.0), 2, axis=1), white(2, 0.0, 1)):
        out = with_correlation(sound.astype(np.float32), np.eye(2))
        assert np.isfinite(out).all()
        assert np.abs(out).max() <= 4 * np.abs(sound).max() + 1e-6


@pytest.mark.parametrize("channels", [2, 6])
def test_noise_is_mixed_to_a_correlation_and_the_first_channel_is_its_own(channels: int) -> None:
    wanted = related(channels, 3)
    own = np.random.default_rng(1).standard_normal((channels, 100_000)).astype(np.float32)
    mixed = mixing_of(wanted) @ own
    np.testing.assert_allclose(np.corrcoef(mixed), wanted, atol=0.02)
    np.testing.assert_allclose(mixed[0], own[0], atol=1e-5)
