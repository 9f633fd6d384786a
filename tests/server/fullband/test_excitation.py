"""Onsets stay sharp and tones stay on their grid: the measures of the stage, on what ships."""

from __future__ import annotations

import numpy as np

from server.fullband.analysis import inverse_stft, stft
from server.fullband.excitation import excitation, follower, octave_of
from server.fullband.noise import noise_ring
from server.fullband.upper_band import built_in_upper_band


def test_a_spectrum_gives_its_sound_back() -> None:
    sound = np.random.default_rng(0).standard_normal(10_001).astype(np.float32)
    back = inverse_stft(stft(sound), len(sound))
    np.testing.assert_allclose(back[512:-512], sound[512:-512], atol=1e-5)


def test_the_follower_rises_at_once_and_falls_slowly() -> None:
    click = np.zeros(4800, np.float32)
    click[1000] = 1.0
    level = follower(click)
    assert level[999] < 1e-6
    assert np.isclose(level[1000], 1.0)
    assert 0.3 < level[1000 + 576] < 0.45


def test_nothing_sounds_before_a_hit() -> None:
    hit = np.zeros(9600, np.float32)
    hit[4800:] = np.random.default_rng(0).standard_normal(4800)
    octave = octave_of(hit)
    noise, overtones = excitation(octave, noise_ring()[:9600])
    for sound in (noise, overtones):
        assert np.abs(sound[: 4800 - 48]).max() < 1e-3 * np.abs(sound).max()


def test_the_ring_is_even_noise_that_repeats_without_a_step() -> None:
    ring = noise_ring()
    assert np.abs(ring).max() < 6.0
    assert abs(float(ring[0] - ring[-1])) < 5.0
    assert np.isclose(float(np.mean(np.square(ring, dtype=np.float64))), 1.0, atol=1e-3)


def test_a_hit_starts_in_both_bands_at_once_and_without_a_pre_echo() -> None:
    from training.fullband.probes import onset_probe
    from training.fullband.systems import systems

    found = onset_probe(systems(built_in_upper_band())["air"])
    assert found["onset_ms"] <= 1.0
    assert found["pre_echo_db"] <= -40.0


def test_partials_of_a_saw_go_on_in_its_own_grid() -> None:
    from training.fullband.probes import harmonic_share
    from training.fullband.systems import systems

    assert harmonic_share(systems(built_in_upper_band())["air"])["harmonic_share"] >= 0.5
