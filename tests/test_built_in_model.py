"""The model that ships: what its decoder leaves of a sound, and that it plays what is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from synthetic_sounds import tone

import models
from server.audio.beat import grid_alignment, onset_times
from server.audio.pitch import cents_from, note_pitch
from server.render.pipeline import Pipeline
from server.requests.request import TextToAudio
from training.evaluation.texture import ring_db

pytestmark = pytest.mark.integration

Samples = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline(Path(models.__path__[0]) / "tiny", "cpu", 2)


def through(pipeline: Pipeline, samples: Samples) -> Samples:
    """``samples`` through VAE and vocoder."""
    latent = pipeline.autoencoder.encode(samples)
    return np.asarray(pipeline.autoencoder.decode(latent)[: len(samples)])


def test_noise_does_not_ring(pipeline: Pipeline) -> None:
    draw = np.random.default_rng(0)
    white = [0.1 * draw.standard_normal(48000) for _ in range(3)]
    dull = [np.convolve(noise, np.ones(8) / 8, "same") for noise in white]
    noises = [noise.astype(np.float32) for noise in white + dull]
    assert abs(ring_db(noises, [through(pipeline, noise) for noise in noises])) < 2.0


@pytest.mark.parametrize("midi", [48, 60, 72])
def test_a_note_stays_in_tune(pipeline: Pipeline, midi: int) -> None:
    pitch = note_pitch(through(pipeline, tone(midi, seconds=2.0)))
    assert abs(cents_from(pitch.hz, midi)) < 50
    assert pitch.steady > 0.9


def test_beats_are_where_the_named_tempo_has_them(pipeline: Pipeline) -> None:
    named, unnamed = list[float](), list[float]()
    for bpm, other in ((100, 137), (137, 100)):
        for seed in range(3):
            request = TextToAudio(prompt=f"a techno drum loop at {bpm} bpm", seed=seed)
            times = onset_times(pipeline.render(request)[0].waveform.resample(16000).downmix())
            named.append(grid_alignment(times, bpm))
            unnamed.append(grid_alignment(times, other))
    assert np.mean(named) > np.mean(unnamed) + 0.3
