"""The model that ships: what its decoder leaves of a sound, and that it plays what is named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx.reference import ReferenceEvaluator
from onnx.version_converter import convert_version
from synthetic_sounds import tone

import models
from server.audio.beat import grid_alignment, onset_times
from server.audio.pitch import cents_from, note_pitch
from server.checkpoints.templates import built_in_templates
from server.config import Config
from server.model.examples import example_inputs, picked, snr_db
from server.model.manifest import COMPONENTS, LISTENER, Manifest
from server.render.pipeline import Pipeline
from server.requests.request import TextToAudio
from server.store.installed import find_installed
from server.store.verify import GOLDEN_FILE, Verification
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


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*COMPONENTS, LISTENER} - {"vocoder"}))
def test_the_outputs_that_ship_are_those_of_the_reference(name: str) -> None:
    """ONNX's own evaluator, in numpy; it cannot run the vocoder.

    Another model needs another file: delete it, then ``audioldm-server model verify built-in``.
    """
    folder = Path(models.__path__[0]) / "tiny"
    kept = json.loads((folder / GOLDEN_FILE).read_bytes())[name]
    graph = convert_version(onnx.load(folder / f"{name}.onnx"), 19)  # dequantises since 19
    found = ReferenceEvaluator(graph).run(None, example_inputs(Manifest.load(folder))[name])
    outputs = (output.name for output in graph.graph.output)
    named = {key: picked(np.asarray(value)) for key, value in zip(outputs, found, strict=True)}
    assert snr_db(named, kept["outputs"]) > 80


def test_this_machine_computes_what_ships() -> None:
    folder = Path(models.__path__[0]) / "tiny"
    model = find_installed([folder], "built-in")
    checks = Verification(model, Config(threads=2), built_in_templates())
    for checked in checks.graphs():
        assert checked.own_db is not None, f"{checks.path} is of another model; see above"
        assert checked.own_db > 60
