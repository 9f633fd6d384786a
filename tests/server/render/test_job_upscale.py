"""Super-resolution: where a clip's band ends, and what is added above it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sounds import band_db, noise, write

from server.audio.splice import band_of
from server.audio.waveform import Waveform
from server.errors import InvalidRequest
from server.render.pipeline import Pipeline
from server.render.plans.upscale import cutoff_of
from server.requests.request import Upscale

pytestmark = pytest.mark.integration


def dull(rate: int, cutoff: float, seconds: float = 3.0) -> np.ndarray:
    sound = noise(seconds, rate).astype(np.float32)
    return band_of(sound, rate, 0.0, cutoff * 1.05)


@pytest.mark.parametrize("cutoff", [1500.0, 3000.0, 5000.0])
@pytest.mark.parametrize("rate", [16000, 44100])
def test_upscaling_adds_above_the_cutoff_and_leaves_what_is_below(
    tiny_pipeline: Pipeline, tmp_path: Path, rate: int, cutoff: float
) -> None:
    clip = write(tmp_path / "in.wav", dull(rate, cutoff), rate, "FLOAT")
    take = tiny_pipeline.render(Upscale(clip=clip, seed=1))[0]
    old, new = Waveform.read(Path(clip)).samples[:, 0], take.waveform.samples[:, 0]
    assert take.waveform.sample_rate == rate
    found = take.measures["cutoff_hz"]
    assert 0.8 * cutoff < found < 1.25 * cutoff
    assert band_db(new - old, rate, 0, 0.97 * found) < band_db(old, rate, 0, found) - 70
    added = band_db(new, rate, 1.2 * found, 7500) - band_db(old, rate, 1.2 * found, 7500)
    assert added > 20


def test_a_given_cutoff_is_used(tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    clip = write(tmp_path / "in.wav", noise(2.0), 16000, "FLOAT")
    with pytest.raises(InvalidRequest, match="cutoff_hz"):
        tiny_pipeline.render(Upscale(clip=clip))
    take = tiny_pipeline.render(Upscale(clip=clip, cutoff_hz=2000.0, seed=1))[0]
    change = take.waveform.samples[:, 0] - Waveform.read(Path(clip)).samples[:, 0]
    assert band_db(change, 16000, 0, 1950) < band_db(change, 16000, 2200, 8000) - 60
    with pytest.raises(InvalidRequest, match="renders up to 8000"):
        tiny_pipeline.render(Upscale(clip=clip, cutoff_hz=7900.0))


def test_a_clip_below_the_models_rate_comes_out_at_the_models_rate(
    tiny_pipeline: Pipeline, tmp_path: Path
) -> None:
    clip = write(tmp_path / "in.wav", noise(2.0, 8000), 8000)
    take = tiny_pipeline.render(Upscale(clip=clip, seed=1))[0]
    assert take.waveform.sample_rate == 16000
    assert take.waveform.frames == 32000
    reference = Waveform.read(Path(clip)).resample(16000).samples[:, 0]
    change = take.waveform.samples[:, 0] - reference
    assert band_db(change, 16000, 0, 3400) < band_db(reference, 16000, 0, 3400) - 70


def test_the_cutoff_is_found_where_it_is_and_not_where_it_is_not() -> None:
    for rate, cutoff in ((16000, 2500.0), (44100, 4000.0), (48000, 6000.0)):
        found = cutoff_of(Waveform(dull(rate, cutoff), rate), 8000.0)
        assert found is not None
        assert 0.85 * cutoff < found < 1.15 * cutoff
    pink = np.cumsum(noise(3.0), axis=0)
    bass = np.sin(np.arange(48000)[:, None] * 2 * np.pi * 220 / 16000)
    over_hiss = 0.6 * bass + noise(3.0, level=0.02)
    for sound in (noise(3.0), pink - pink.mean(), np.zeros((16000, 1)), over_hiss):
        assert cutoff_of(Waveform(sound.astype(np.float32), 16000), 8000.0) is None
