"""A sound that is near the note of its prompt is brought to it, and no other."""

from __future__ import annotations

import numpy as np
import pytest

from server.audio.pitch import cents_from, note_pitch
from server.audio.waveform import Waveform
from server.render.finishing.tuning import FURTHEST_CENTS, NEAR_CENTS, tuned

RATE = 48000
A4 = 69.0


class Voice:
    """Decodes a tone, so many cents off A4, at the pitch that is asked for."""

    def __init__(self, cents: float, noise: float = 0.0) -> None:
        self.hertz = 440.0 * 2.0 ** (cents / 1200.0)
        self.noise = noise
        self.pitches = list[float]()

    def __call__(self, pitch: float) -> Waveform:
        self.pitches.append(pitch)
        time = np.arange(RATE) / RATE
        partials = sum(np.sin(2 * np.pi * k * self.hertz * pitch * time) / k for k in range(1, 6))
        noise = np.random.default_rng(0).standard_normal(RATE)
        return Waveform.mono(0.1 * (1.0 - self.noise) * partials + 0.3 * self.noise * noise, RATE)


def cents_of(sound: Waveform) -> float:
    return cents_from(note_pitch(sound.resample(16000).downmix()).hz, A4)


@pytest.mark.parametrize("cents", [-205.0, -40.0, 12.0, 198.0])
def test_a_sound_beside_its_note_is_brought_to_it(cents: float) -> None:
    sound, moved = tuned(Voice(cents), A4)
    assert cents_of(sound) == pytest.approx(0.0, abs=1.0)
    assert moved == pytest.approx(-cents, abs=1.0)


def test_a_sound_of_another_octave_stays_in_it() -> None:
    sound, moved = tuned(Voice(-1170.0), A4)
    assert cents_of(sound) == pytest.approx(-1200.0, abs=1.0)
    assert moved == pytest.approx(-30.0, abs=1.0)


@pytest.mark.parametrize("cents", [0.5 * NEAR_CENTS, FURTHEST_CENTS + 20.0])
def test_a_sound_that_is_right_or_another_note_stays_as_it_is(cents: float) -> None:
    voice = Voice(cents)
    sound, moved = tuned(voice, A4)
    assert (voice.pitches, moved) == ([1.0], 0.0)
    assert cents_of(sound) == pytest.approx(cents, abs=1.0)


def test_noise_has_no_note_to_be_brought_to() -> None:
    voice = Voice(30.0, noise=1.0)
    assert tuned(voice, A4)[1] == 0.0
    assert voice.pitches == [1.0]


def test_without_a_note_nothing_is_measured() -> None:
    voice = Voice(30.0)
    assert tuned(voice, 0.0)[1] == 0.0
    assert voice.pitches == [1.0]


def test_a_move_that_does_not_help_is_not_made() -> None:
    voice = Voice(30.0)
    sound, moved = tuned(lambda pitch: voice(1.0), A4)
    assert moved == 0.0
    assert cents_of(sound) == pytest.approx(30.0, abs=1.0)
