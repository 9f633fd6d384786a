"""Pitch, tempo and texture meters on sounds whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from synthetic_sounds import band_noise, click_loop, tone

from server.audio.beat import grid_alignment, onset_times, related_tempo, tempo_bpm
from server.audio.pitch import cents_from, note_pitch, octave_error
from training.evaluation.texture import block_excess_db, mel_l1, modulation_difference_db, ring_db

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("midi", [33, 40, 48, 60, 69, 76, 88, 96])
def test_pitch_of_a_note(midi: int) -> None:
    pitch = note_pitch(tone(midi))
    assert abs(cents_from(pitch.hz, midi)) < 5
    assert pitch.voiced > 0.95
    assert pitch.steady > 0.95


def test_pitch_of_a_bare_sine_in_noise_and_silence() -> None:
    random = np.random.default_rng(0)
    samples = np.pad(tone(64, num_partials=1), (8000, 20000))
    samples = samples + 0.003 * random.normal(size=len(samples))
    assert abs(cents_from(note_pitch(samples).hz, 64)) < 10


def test_a_detuned_note_is_measured_as_it_is() -> None:
    assert cents_from(note_pitch(tone(60.4)).hz, 60) == pytest.approx(40.0, abs=3.0)


def test_noise_and_silence_have_no_pitch() -> None:
    noise = note_pitch(band_noise("high", 1.0, seed=0))
    assert noise.voiced < 0.2
    silence = note_pitch(np.zeros(8000))
    assert math.isnan(silence.hz)
    assert silence.voiced == 0.0


def test_a_gliding_tone_is_not_steady() -> None:
    time = np.arange(16000) / 16000
    glide = np.sin(2 * np.pi * (220.0 * time + 110.0 * time**2))
    assert note_pitch(glide).steady < 0.5


@pytest.mark.parametrize(
    ("hz", "octaves", "cents"),
    [(440.0, 0, 0.0), (880.0, 1, 0.0), (110.0, -2, 0.0), (440.0 * 2 ** (1 / 12), 0, 100.0)],
)
def test_octaves_are_counted_apart(hz: float, octaves: int, cents: float) -> None:
    assert octave_error(hz, 69) == (octaves, pytest.approx(cents, abs=1e-6))


@pytest.mark.parametrize("bpm", [72.0, 90.0, 120.0, 140.0, 174.0])
def test_tempo_of_a_click_loop(bpm: float) -> None:
    measured = tempo_bpm(click_loop(bpm))
    assert related_tempo(measured, bpm) in ("same", "related")
    if 85 < bpm < 150:
        assert measured == pytest.approx(bpm, rel=0.02)


def test_onsets_are_where_the_clicks_are() -> None:
    times = onset_times(click_loop(120.0, seconds=4.0))
    clicks = 0.05 + 0.25 * np.arange(16)
    assert len(times) == len(clicks)
    assert np.abs(times - clicks).max() < 0.02


def test_silence_has_no_onsets_and_no_tempo() -> None:
    assert len(onset_times(np.zeros(32000))) == 0
    assert math.isnan(tempo_bpm(np.zeros(32000)))


def test_grid_alignment_separates_a_machine_from_random_onsets() -> None:
    machine = onset_times(click_loop(110.0, seconds=8.0))
    mess = onset_times(click_loop(110.0, seconds=8.0, swing_s=0.1))
    assert grid_alignment(machine, 110.0) > 0.95
    assert grid_alignment(mess, 110.0) < 0.6
    assert grid_alignment(machine, 123.0) < 0.5
    assert grid_alignment(np.zeros(0), 110.0) == 0.0


@pytest.mark.parametrize(
    ("measured", "relation"),
    [(120.0, "same"), (123.0, "same"), (60.0, "related"), (180.0, "related"), (97.0, "other")],
)
def test_related_tempi(measured: float, relation: str) -> None:
    assert related_tempo(measured, 120.0) == relation


def _smooth_mels(count: int = 6) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    kernel = np.hanning(9) / np.hanning(9).sum()
    mels = []
    for _ in range(count):
        frames = random.normal(size=(192, 64))
        frames = np.apply_along_axis(np.convolve, 0, frames, kernel, "same")
        mels.append(np.apply_along_axis(np.convolve, 1, frames, kernel, "same"))
    return mels


def test_a_block_pattern_shows_on_its_axis_and_only_there() -> None:
    references = _smooth_mels()
    pattern = 0.05 * (np.arange(192) % 4 == 0)[:, None] * np.ones((1, 64))
    blocked = [frames + pattern for frames in references]
    assert block_excess_db(references, references, 4, axis=0) == 0.0
    assert block_excess_db(references, blocked, 4, axis=0) > 6.0
    assert abs(block_excess_db(references, blocked, 4, axis=1)) < 0.5
    turned = [frames + pattern[:64, 0] for frames in references]
    assert block_excess_db(references, turned, 4, axis=1) > 6.0


def test_mel_l1_is_over_the_frames_both_have() -> None:
    assert mel_l1(np.zeros((10, 4)), np.full((8, 4), 0.5)) == pytest.approx(0.5)


def test_modulation_of_a_smoothed_spectrogram_differs() -> None:
    references = _smooth_mels()
    smoothed = [0.5 * (frames + np.roll(frames, 1, axis=0)) for frames in references]
    assert modulation_difference_db(references, references) == 0.0
    assert modulation_difference_db(references, smoothed) > 1.0


def test_ringing_at_the_frame_rate_is_found() -> None:
    sounds = [band_noise("mid", 1.0, seed=seed) for seed in range(3)]
    time = np.arange(16000) / 16000
    comb = sum(np.sin(2 * np.pi * 100.0 * k * time) for k in range(1, 80))
    ringing = [samples + 0.002 * comb for samples in sounds]
    assert ring_db(sounds, sounds) == 0.0
    assert ring_db(sounds, ringing) > 10.0
