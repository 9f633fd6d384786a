"""Notes and tempi that a prompt names, and how a unet that takes notation receives them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from server.model.schedule import Latents
from server.render.denoise import UnetCall
from server.render.pipeline import Pipeline
from server.requests.notation import Notation, read_key, read_notation
from server.requests.request import TextToAudio

A4 = 69.0


@pytest.mark.parametrize(
    ("words", "note"),
    [
        ("piano A4", A4),
        ("A piano plays A4.", A4),
        ("a4 on a trumpet", A4),
        ("a single A#4, violin", A4 + 1),
        ("Bb3 clarinet", 58),
        ("E♭3 tuba", 51),
        ("a flute, F sharp 5", 78),
        ("E flat 2 bass", 39),
        ("grand piano playing middle C", 60),
        ("sine wave, 440 hertz", A4),
        ("an 880 Hz beep", A4 + 12),
        ("a 1 kHz test tone", 69 + 12 * np.log2(1000 / 440)),
    ],
)
def test_one_note_is_read(words: str, note: float) -> None:
    assert read_notation(words) == Notation(note=pytest.approx(note))


@pytest.mark.parametrize(
    "words",
    [
        "",
        "an mp3 player",
        "R2-D2 beeping",
        "a B52 bomber",
        "version b2.5 of it",
        "melody in A minor",
        "take 5 of a 4 bar loop",
        "C4 E4 G4 chord",
        "note C99",
        "an F-1 engine",
        "0 Hz",
    ],
)
def test_no_note_is_made_up(words: str) -> None:
    assert read_notation(words) == Notation()


@pytest.mark.parametrize(
    ("words", "bpm"),
    [
        ("drum loop at 128 bpm", 128),
        ("92.5BPM beat", 92.5),
        ("60 bpm, or 60 BPM", 60),
        ("between 100 bpm and 120 bpm", 0),
        ("5000 bpm", 0),
    ],
)
def test_tempo(words: str, bpm: float) -> None:
    assert read_notation(words).bpm == bpm


@pytest.mark.parametrize(
    ("words", "key"),
    [
        ("warm pad in A minor", "A minor"),
        ("piano in the key of F# major", "F# major"),
        ("C minor chord, then silence", "C minor"),
        ("organ, b flat minor", "Bb minor"),
        ("strings in e-flat major", "Eb major"),
        ("A-flat major", "Ab major"),
        ("C minor, then G major", ""),
        ("a minor change", ""),
        ("A major city at night", ""),
        ("noise in a minor accident", ""),
        ("the minor third", ""),
        ("", ""),
    ],
)
def test_key(words: str, key: str) -> None:
    assert read_key(words) == key


@pytest.fixture
def columns(
    tiny_pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[np.ndarray[Any, Any]]]:
    """The notation columns of each unet call, by a model with notation."""
    manifest = msgspec.structs.replace(tiny_pipeline.manifest, notation=True)
    monkeypatch.setattr(tiny_pipeline, "manifest", manifest)
    size = manifest.embedding_dim
    seen: list[np.ndarray[Any, Any]] = []
    unet = tiny_pipeline.unet

    class Listening:
        frames_a_call = unet.frames_a_call

        def __call__(self, call: UnetCall) -> Latents:
            seen.append(call.embedding[:, size:])
            return unet(UnetCall(call.sample, call.timestep, call.embedding[:, :size]))

    monkeypatch.setattr(tiny_pipeline, "unet", Listening())

    def render(**settings: Any) -> list[np.ndarray[Any, Any]]:
        tiny_pipeline.render(TextToAudio(num_inference_steps=2, seed=1, **settings))
        return seen

    return render


def test_guidance_leads_away_from_no_notation(columns: Callable[..., Any]) -> None:
    for rows in columns(prompt="piano A4, 120 bpm", guidance_scale=2.0, audio_length_in_s=1.0):
        np.testing.assert_array_equal(rows, [[0, 0, 0], [A4, 120, 0]])


def test_later_windows_get_their_place_in_the_bar(columns: Callable[..., Any]) -> None:
    rows = np.concatenate(
        columns(prompt="beat, 120 bpm", guidance_scale=1.0, audio_length_in_s=30.0)
    )
    beats = np.unique(rows[:, 2])
    assert beats[0] == 0.0
    assert len(beats) > 2
    # 120 bpm are two beats a second, and the last window ends with the take.
    assert 30.0 < beats[-1] < 60.0


def test_beats_fill_a_loop_exactly(columns: Callable[..., Any], tiny_pipeline: Pipeline) -> None:
    rows = columns(prompt="beat, 90 bpm", bars=2, bpm=133, loop=True, guidance_scale=1.0)[0]
    seconds = 8 * 60 / 133
    frame = tiny_pipeline.manifest.seconds_per_latent_frame
    assert rows[0, 1] / 60 * round(seconds / frame) * frame == pytest.approx(8.0)


def test_a_model_without_a_notation_gets_none(tiny_pipeline: Pipeline) -> None:
    tiny_pipeline.render(TextToAudio(prompt="piano A4", num_inference_steps=1, seed=1))
