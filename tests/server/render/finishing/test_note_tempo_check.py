"""Takes that play what was named come first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from server.audio.waveform import Waveform
from server.render.finishing.note_tempo_check import measured, mismatch, missed
from server.render.pipeline import Pipeline
from server.requests.notation import Notation
from server.requests.request import Inpaint, TextToAudio

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


def chord(*notes: int) -> Waveform:
    parts = [tone(440.0 * 2 ** ((note - 69) / 12), 1.0).samples for note in notes]
    return Waveform(np.sum(parts, axis=0, dtype=np.float32) / len(parts), RATE)


def progression(*chords: tuple[int, ...]) -> Waveform:
    return Waveform(np.concatenate([chord(*notes).samples for notes in chords]), RATE)


A_MINOR = ((57, 60, 64), (50, 53, 57), (52, 55, 59), (57, 60, 64))


@pytest.mark.parametrize(
    ("key", "fits"),
    [("A minor", True), ("C major", True), ("F# major", False), ("C minor", False)],
)
def test_a_key_is_heard(key: str, fits: bool) -> None:
    asked = Notation(key=key)
    measures = measured(progression(*A_MINOR), asked)
    assert (measures["key_share"] >= 0.95, measures["key_share"] <= 0.65) == (fits, not fits)
    assert mismatch(measures, asked) == float(not fits)
    said = missed(measures, asked, 4.0, beat_expected=False)
    assert said == ("" if fits else f"only {measures['key_share']:.0%} of its tones are in {key}")


def test_noise_is_in_no_key_and_that_is_said() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 4 * RATE).astype(np.float32)
    asked = Notation(key="A minor")
    measures = measured(Waveform.mono(noise, RATE), asked)
    assert measures == {"key_share": None}
    assert mismatch(measures, asked) == 0.0
    said = missed(measures, asked, 4.0, beat_expected=False)
    assert said == "no tones were found, A minor was asked for"


def test_a_texture_as_long_as_bars_has_no_tempo() -> None:
    hiss = np.random.default_rng(3).normal(0, 0.1, 4 * RATE)
    asked = Notation(bpm=120.0)
    measures = measured(Waveform.mono(hiss.astype(np.float32), RATE), asked)
    assert measures == {"tempo_bpm": None}
    assert missed(measures, asked, 4.0, beat_expected=False) == ""


def test_a_short_take_has_tones() -> None:
    asked = Notation(note=69.0, key="Eb major")
    measures = measured(tone(440.0, 0.5), asked)
    assert measures["key_share"] == 0.0
    said = missed(measures, asked, 0.5, beat_expected=False)
    assert said == "only 0% of its tones are in Eb major"


@pytest.mark.parametrize("hertz", [98.0, 185.0, 440.0, 1318.5])
@pytest.mark.parametrize("noise", [0.0, 0.1, 0.35, 0.5])
def test_a_note_in_noise_keeps_its_octave(hertz: float, noise: float) -> None:
    hiss = np.random.default_rng(0).normal(0, noise, 2 * RATE)
    samples = np.sqrt(2.0) * np.sin(2 * np.pi * hertz * np.arange(2 * RATE) / RATE) + hiss
    midi = 69.0 + 12.0 * np.log2(hertz / 440.0)
    measures = measured(Waveform.mono(0.1 * samples, RATE), Notation(note=midi))
    assert abs(measures["note_cents"]) < 15.0


@pytest.mark.parametrize(("key", "share"), [("A minor", 1.0), ("Eb major", 0.0)])
def test_a_lone_note_is_in_its_keys(
    monkeypatch: pytest.MonkeyPatch, key: str, share: float
) -> None:
    """Where the spectrum has no peaks that stand out, the note that was found is what counts."""
    monkeypatch.setattr("server.render.finishing.note_tempo_check.scale_share", lambda *_: None)
    measures = measured(tone(440.0, 1.0), Notation(note=69.0, key=key))
    assert measures["key_share"] == share


@pytest.mark.parametrize(
    ("measures", "sentence"),
    [
        ({"note_cents": 12.0}, ""),
        ({"note_cents": None}, "no steady note was found, A4 was asked for"),
        ({"note_cents": 112.0}, "it plays A#4 +12 cents, A4 was asked for"),
        ({"note_cents": -1210.0}, "it plays one octave below A4"),
        ({"note_cents": 2400.0}, "it plays 2 octaves above A4"),
    ],
)
def test_a_missed_note_is_said(measures: dict[str, Any], sentence: str) -> None:
    assert missed(measures, A4, 1.0, beat_expected=True) == sentence


@pytest.mark.parametrize(
    ("tempo", "seconds", "beat_expected", "sentence"),
    [
        (101.0, 4.0, True, ""),
        (50.0, 4.0, True, ""),
        (200.0, 4.0, True, ""),
        (83.0, 4.0, False, "its tempo is 83 bpm, 100 was asked for"),
        (150.0, 4.0, False, "its tempo is 150 bpm, 100 was asked for"),
        (83.0, 2.0, True, ""),
        (None, 4.0, True, "no beat was found, 100 bpm was asked for"),
        (None, 4.0, False, ""),
    ],
)
def test_a_missed_tempo_is_said(
    tempo: float | None, seconds: float, beat_expected: bool, sentence: str
) -> None:
    asked = Notation(bpm=100.0)
    said = missed({"tempo_bpm": tempo}, asked, seconds, beat_expected=beat_expected)
    assert said == sentence


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (TextToAudio(prompt="hum A4", seed=1), "A4"),
        (TextToAudio(prompt="hum, in C minor", seed=1, audio_length_in_s=4.0), "C minor"),
        (TextToAudio(prompt="hum", key="C minor", seed=1, audio_length_in_s=4.0), "C minor"),
        (TextToAudio(prompt="hum at 97 bpm", seed=1, audio_length_in_s=4.0), "97"),
    ],
)
def test_a_take_says_what_it_misses(
    tiny_pipeline: Pipeline, request_: TextToAudio, sentence: str
) -> None:
    quick = msgspec.structs.replace(request_, num_inference_steps=2)
    (take,) = tiny_pipeline.render(quick)  # it plays noise
    (warning,) = take.warnings
    assert sentence in warning
    (plain,) = tiny_pipeline.render(TextToAudio(prompt="hum", seed=1, num_inference_steps=2))
    assert plain.warnings == ()


@pytest.mark.parametrize(("regions", "told"), [("2:3", True), ("hz:2000:4000@2:3", False)])
def test_an_edit_is_checked_in_its_new_part(
    tiny_pipeline: Pipeline, tmp_path: Path, regions: str, told: bool
) -> None:
    clip = tmp_path / "a4.wav"
    clip.write_bytes(tone(440.0, 4.0).encode("wav24"))
    (take,) = tiny_pipeline.render(
        Inpaint(clip=str(clip), regions=regions, prompt="hum A4", seed=1, num_inference_steps=2)
    )
    # The rest of the clip plays A4; a new band has no note of its own.
    assert ("note_cents" in take.measures) == told
    assert any("A4" in warning for warning in take.warnings) == told
