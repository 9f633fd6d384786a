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
    take = tiny_pipeline.render(Upscale(clip=clip, seed=1, bandwidth="model"))[0]
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
        tiny_pipeline.render(Upscale(clip=clip, bandwidth="model"))
    given = Upscale(clip=clip, cutoff_hz=2000.0, seed=1, bandwidth="model")
    take = tiny_pipeline.render(given)[0]
    change = take.waveform.samples[:, 0] - Waveform.read(Path(clip)).samples[:, 0]
    assert band_db(change, 16000, 0, 1950) < band_db(change, 16000, 2200, 8000) - 60
    with pytest.raises(InvalidRequest, match="renders up to 8000"):
        tiny_pipeline.render(Upscale(clip=clip, cutoff_hz=7900.0, bandwidth="model"))


def test_a_clip_below_the_models_rate_comes_out_at_the_models_rate(
    tiny_pipeline: Pipeline, tmp_path: Path
) -> None:
    clip = write(tmp_path / "in.wav", noise(2.0, 8000), 8000)
    take = tiny_pipeline.render(Upscale(clip=clip, seed=1, bandwidth="model"))[0]
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


@pytest.mark.parametrize(("rate", "cutoff"), [(8000, 3500.0), (16000, 3000.0), (44100, 6000.0)])
def test_the_full_band_reaches_20_khz_over_an_untouched_clip(
    tiny_pipeline: Pipeline, tmp_path: Path, rate: int, cutoff: float
) -> None:
    clip = write(tmp_path / "in.wav", dull(rate, cutoff), rate, "FLOAT")
    take = tiny_pipeline.render(Upscale(clip=clip, seed=1))[0]
    own = max(rate, 48000 if rate < 32000 else rate)
    assert take.waveform.sample_rate == own
    assert take.waveform.frames == 3 * own
    old, new = Waveform.read(Path(clip)).resample(own).samples[:, 0], take.waveform.samples[:, 0]
    assert band_db(new - old, own, 0, 2700) < band_db(old, own, 0, 2700) - 60
    for low_hz in (9000, 13000, 16000):
        assert band_db(new, own, low_hz, low_hz + 3000) > band_db(old, own, low_hz, 19000) + 20
    assert take.measures["added_db"] > -60
    assert not take.warnings


@pytest.mark.parametrize("rate", [16000, 44100, 48000])
def test_a_clip_that_ends_at_8_khz_needs_no_model(
    tiny_pipeline: Pipeline, tmp_path: Path, rate: int
) -> None:
    sound = Waveform(noise(2.0).astype(np.float32), 16000).resample(rate)
    clip = write(tmp_path / "in.wav", sound.samples, rate, "FLOAT")
    take = tiny_pipeline.render(Upscale(clip=clip, seed=1))[0]
    assert take.measures["cutoff_hz"] == pytest.approx(8000, rel=0.05)
    again = tiny_pipeline.render(Upscale(clip=clip, seed=1))[0]
    np.testing.assert_array_equal(take.waveform.samples, again.waveform.samples)
    out = take.waveform
    assert (
        band_db(out.samples[:, 0], out.sample_rate, 9000, 19000)
        > band_db(out.samples[:, 0], out.sample_rate, 0, 7000) - 40
    )


def test_a_job_that_adds_nothing_says_so(tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    time = np.arange(96000) / 48000
    bass = 0.5 * np.sin(2 * np.pi * 100 * time)[:, None]
    clip = write(tmp_path / "in.wav", bass, 48000, "FLOAT")
    take = tiny_pipeline.render(Upscale(clip=clip, seed=1, cutoff_hz=7990.0))[0]
    assert take.measures["added_db"] < -60
    assert ["nothing that could be heard was added" in said for said in take.warnings] == [True]
