"""The tests' own model means what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_model import make_tiny_folder

from server.render.pipeline import Pipeline
from server.requests.request import Delivery, TextToAudio


def similarities(pipeline: Pipeline, prompt: str) -> np.ndarray:
    """CLAP similarity of a take of ``prompt`` with "low" and with "high"."""
    take = pipeline.render(TextToAudio(prompt=prompt, seed=3))[0]
    rate = pipeline.manifest.sample_rate
    sound = take.waveform.resample(rate).downmix()[None]
    embedding = pipeline.graphs["audio_encoder"](waveform=sound)[0][0]
    return np.array([embedding @ pipeline.text("low"), embedding @ pipeline.text("high")])


@pytest.mark.parametrize("prediction", ["flow", "epsilon", "v_prediction"])
def test_low_sounds_low_and_high_sounds_high(tmp_path: Path, prediction: str) -> None:
    pipeline = Pipeline(make_tiny_folder(tmp_path, prediction), "cpu", 1)  # type: ignore[arg-type]
    low, high = similarities(pipeline, "low hum"), similarities(pipeline, "high hiss")
    assert low[0] > 0.5 > low[1]
    assert high[1] > 0.5 > high[0]


def test_it_is_small(tiny_folder: Path) -> None:
    assert sum(path.stat().st_size for path in tiny_folder.iterdir()) < 200_000


def test_the_vae_and_the_vocoder_give_a_sound_back(tiny_folder: Path) -> None:
    pipeline = Pipeline(tiny_folder, "cpu", 1)
    plain = Delivery(level="model", sample_rate=16000)
    request = TextToAudio(prompt="comb", seed=1, bandwidth="model", delivery=plain)
    wave = pipeline.render(request)[0].waveform
    sound = wave.crop(15360).downmix()[None]
    mean = pipeline.graphs["vae_encoder"](waveform=sound)[0]
    log_mel = pipeline.graphs["vae_decoder"](latent=mean)[0]
    again = pipeline.graphs["vocoder"](log_mel=log_mel)[0][:, :15360]
    mean_again = pipeline.graphs["vae_encoder"](waveform=again)[0]
    assert np.corrcoef(mean.ravel(), mean_again.ravel())[0, 1] > 0.95
