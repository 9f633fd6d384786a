"""Edits keep the width of the clip: inverted, uncorrelated and silent channels, and surround."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sounds import familiar, noise, tones, write

from server.audio.waveform import Waveform
from server.audio.width import correlation
from server.render.channels import Channels
from server.render.pipeline import Pipeline
from server.requests.request import (
    ClipRequest,
    Continue,
    Delivery,
    Inpaint,
    TextToAudio,
    Transfer,
    Upscale,
)

pytestmark = pytest.mark.integration

RATE = 16000


def jobs(clip: str, prompt: str = "low") -> list[tuple[ClipRequest, slice]]:
    """Jobs on a clip of 3 s, and where their new sound is."""
    few = {"clip": clip, "prompt": prompt, "seed": 1, "num_inference_steps": 3}
    return [
        (Inpaint(**few, regions="1:2"), slice(17600, 30400)),
        (Continue(**few, audio_length_in_s=1.0), slice(49600, 62400)),
        (Continue(**few, audio_length_in_s=1.0, side="before"), slice(1600, 14400)),
        (Transfer(**few, strength=0.6), slice(0, 48000)),
    ]


def level_db(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-12))


@pytest.mark.parametrize("right", [-1.0, -0.9, -0.5, 0.7])
@pytest.mark.parametrize("prompt", ["low", ""])
def test_the_same_sound_softer_or_inverted_stays_that(
    tiny_pipeline: Pipeline, tmp_path: Path, right: float, prompt: str
) -> None:
    left = familiar(tiny_pipeline, 3.0)
    clip = write(tmp_path / "in.wav", np.hstack([left, right * left]), RATE, "PCM_24")
    for request, new in jobs(clip, prompt):
        part = tiny_pipeline.render(request)[0].waveform.samples[new]
        assert correlation(part)[0, 1] * np.sign(right) > 0.98, type(request)
        ratio = level_db(part[:, 1]) - level_db(part[:, 0])
        assert ratio == pytest.approx(20 * np.log10(abs(right)), abs=1.5)
        assert level_db(part) > level_db(left) - 25


@pytest.mark.parametrize("wanted", [0.0, 0.6, -0.6])
def test_a_wide_clip_stays_as_wide(tiny_pipeline: Pipeline, tmp_path: Path, wanted: float) -> None:
    a, b = noise(3.0, channels=2).T
    sound = np.stack([a, wanted * a + np.sqrt(1 - wanted**2) * b], axis=1)
    clip = write(tmp_path / "in.wav", sound, RATE, "PCM_24")
    for request, new in jobs(clip, ""):
        part = tiny_pipeline.render(request)[0].waveform.samples[new]
        assert correlation(part)[0, 1] == pytest.approx(wanted, abs=0.25), type(request)


def test_the_noise_above_the_models_band_is_as_wide(
    tiny_pipeline: Pipeline, tmp_path: Path
) -> None:
    left = noise(3.0, 48000)
    for right in (-left, noise(3.0, 48000, 2)[:, 1:]):
        clip = write(tmp_path / "in.wav", np.hstack([left, right]), 48000, "PCM_24")
        request = Inpaint(clip=clip, regions="1:2", seed=1)
        part = tiny_pipeline.render(request)[0].waveform.samples[50400:93600]
        spectra = np.fft.rfft(part, axis=0)[len(part) * 10000 // 48000 :]
        cross = np.sum(spectra[:, 0] * spectra[:, 1].conj()).real
        related = cross / np.sqrt(np.prod(np.sum(np.abs(spectra) ** 2, axis=0)))
        clip_related = correlation(np.hstack([left, right]).astype(np.float32))[0, 1]
        assert related == pytest.approx(clip_related, abs=0.1)


def test_a_silent_channel_stays_silent(tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    left = familiar(tiny_pipeline, 3.0)
    clip = write(tmp_path / "in.wav", np.hstack([left, 0 * left]), RATE, "PCM_24")
    for request, new in jobs(clip):
        part = tiny_pipeline.render(request)[0].waveform.samples[new]
        assert not part[:, 1].any()
        assert level_db(part[:, 0]) > -60


def test_six_channels_keep_their_relations(tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    a, b, c = noise(3.0, channels=3).T
    sound = np.stack([a, b, c, 0 * a, -a, 0.5 * b], axis=1)
    clip = write(tmp_path / "in.wav", sound, RATE, "PCM_24")
    for request, new in jobs(clip):
        take = tiny_pipeline.render(request)[0]
        related = correlation(take.waveform.samples[new])
        assert related[0, 4] < -0.98
        assert related[1, 5] > 0.98
        assert np.abs(related[:3, :3] - np.eye(3)).max() < 0.3
        assert not take.waveform.samples[new][:, 3].any()


def test_regions_with_other_channels_each_keep_their_own(
    tiny_pipeline: Pipeline, tmp_path: Path
) -> None:
    """Two places far apart: mono at the one, wide at the other."""
    a, b = noise(30.0, channels=2).T
    sound = np.stack([a, np.where(np.arange(len(a)) < 15 * RATE, a, b)], axis=1)
    clip = write(tmp_path / "in.wav", sound, RATE, "PCM_24")
    take = tiny_pipeline.render(Inpaint(clip=clip, regions="4:5, 25:26", seed=1))[0]
    first, last = (take.waveform.samples[round(at * RATE) :][:12800] for at in (4.1, 25.1))
    assert correlation(first)[0, 1] > 0.99
    assert abs(correlation(last)[0, 1]) < 0.3


def test_same_sounds_are_rendered_once() -> None:
    left = tones(1.0).astype(np.float32)
    for right, distinct in ((left, 1), (-0.9 * left, 1), (0 * left, 1), (noise(1.0), 2)):
        sound = Waveform(np.hstack([left, right]).astype(np.float32), RATE)
        assert len(Channels.of(sound, RATE)) == distinct


@pytest.mark.parametrize("right", [-1.0, -0.9])
def test_an_inverted_clip_is_brightened(
    tiny_pipeline: Pipeline, tmp_path: Path, right: float
) -> None:
    from server.audio.splice import band_of

    dull = band_of(noise(3.0).astype(np.float32), RATE, 0.0, 3000.0)
    clip = write(tmp_path / "in.wav", np.hstack([dull, right * dull]), RATE, "FLOAT")
    take = tiny_pipeline.render(Upscale(clip=clip, seed=1))[0]
    assert take.measures["cutoff_hz"] == pytest.approx(2900, abs=400)
    high = band_of(take.waveform.samples, RATE, 4000.0, 8000.0)
    assert correlation(high)[0, 1] < -0.9


@pytest.mark.parametrize("right", [-1.0, -0.9, 0.0])
def test_a_take_delivered_in_mono_is_heard(
    tiny_pipeline: Pipeline, tmp_path: Path, right: float
) -> None:
    left = familiar(tiny_pipeline, 3.0)
    sound = np.hstack([left, right * left])
    clip = write(tmp_path / "in.wav", sound, RATE, "PCM_24")
    for request, new in jobs(clip):
        mono = type(request)(
            **{name: getattr(request, name) for name in request.__struct_fields__}
            | {"delivery": Delivery(channels=1)}
        )
        take = tiny_pipeline.render(mono)[0]
        assert take.waveform.channels == 1
        assert not take.silent
        assert level_db(take.waveform.samples) > level_db(sound) - 6
        assert level_db(take.waveform.samples[new]) > -60


def test_surround_is_delivered_in_stereo_by_folding_it_down(
    tiny_pipeline: Pipeline, tmp_path: Path
) -> None:
    sound = noise(2.0, channels=6, level=0.05)
    clip = write(tmp_path / "in.wav", sound, RATE, "PCM_24")
    request = Transfer(clip=clip, strength=0.0, delivery=Delivery(channels=2), seed=1)
    out = tiny_pipeline.render(request)[0].waveform.samples
    left, right = (sound[:, k] + 0.70711 * (sound[:, 2] + sound[:, k + 4]) for k in (0, 1))
    np.testing.assert_allclose(out, np.stack([left, right], axis=1), atol=1e-5)


def test_a_wide_take_in_mono_keeps_its_level(tiny_pipeline: Pipeline) -> None:
    wide = {"prompt": "low", "seed": 2, "audio_length_in_s": 2.0}
    stereo = tiny_pipeline.render(TextToAudio(**wide, width=1.0))[0].waveform
    assert level_db(stereo.as_channels(1).samples) == pytest.approx(stereo.rms_db, abs=1.0)
