"""Takes that play what was named come first."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from server.audio.waveform import Waveform
from server.render.note_tempo_check import measured, mismatch
from server.render.pipeline import Pipeline
from server.requests.notation import Notation
from server.requests.request import TextToAudio

A4 = Notation(note=69.0)
RATE = 48000


def tone(hertz: float, seconds: float = 1.0) -> Waveform:
    time = np.arange(round(seconds * RATE)) / RATE
    partials = sum(np.sin(2 * np.pi * k * hertz * time) / k for k in range(1, 6))
    return Waveform.mono((0.2 * partials).astype(np.float32), RATE)


def clicks(bpm: float, seconds: float = 5.0) -> Waveform:
    samples = np.zeros(round(seconds * RATE), np.float32)
    noise = np.random.default_rng(0).standard_normal(1200) * np.exp(-np.arange(1200) / 300)
    for beat in np.arange(0.0, seconds - 0.1, 60.0 / bpm):
        samples[round(beat * RATE) :][:1200] += 0.3 * noise
    return Waveform.mono(samples, RATE)


def test_what_is_played_is_measured() -> None:
    assert measured(tone(440.0), A4)["note_cents"] == pytest.approx(0.0, abs=5)
    assert measured(tone(466.2), A4)["note_cents"] == pytest.approx(100.0, abs=5)
    assert measured(clicks(100), Notation(bpm=120.0))["tempo_bpm"] == pytest.approx(100, rel=0.03)


def test_where_nothing_is_named_nothing_is_measured() -> None:
    assert measured(tone(440.0), Notation()) == {}


def test_silence_plays_nothing() -> None:
    silence = Waveform.mono(np.zeros(RATE, np.float32), RATE)
    both = Notation(note=69.0, bpm=120.0)
    assert measured(silence, both) == {"note_cents": None, "tempo_bpm": None}
    assert mismatch(measured(silence, both), both) == 2.0


@pytest.mark.parametrize(
    ("cents", "fault"), [(0.0, 0.0), (-49.0, 0.0), (51.0, 1.0), (1210.0, 0.5), (-2400.0, 0.5)]
)
def test_an_octave_is_half_a_fault(cents: float, fault: float) -> None:
    assert mismatch({"note_cents": cents}, A4) == fault


@pytest.mark.parametrize(("tempo", "fault"), [(101.0, 0.0), (50.0, 0.5), (200.0, 0.5), (83, 1.0)])
def test_half_the_tempo_is_half_a_fault(tempo: float, fault: float) -> None:
    assert mismatch({"tempo_bpm": tempo}, Notation(bpm=100.0)) == fault


def test_the_take_in_tune_is_the_one_that_is_kept(
    tiny_pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    sounds: list[bytes] = []

    def third_is_in_tune(sound: Waveform, notation: Notation) -> dict[str, Any]:
        sounds.append(sound.samples.tobytes())
        return {"note_cents": 0.0 if len(sounds) == 3 else 300.0}

    monkeypatch.setattr("server.render.pipeline.measured", third_is_in_tune)
    request = TextToAudio(prompt="hum A4", num_candidates=4, num_inference_steps=2, seed=1)
    (take,) = tiny_pipeline.render(request)
    assert take.waveform.samples.tobytes() == sounds[2]
    assert take.measures["rank"] == 1
