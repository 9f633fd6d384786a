"""Takes reach 20 kHz: new sounds everywhere, edits in their new parts only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sounds import band_db, noise, tones, write

from server.audio.waveform import Waveform
from server.render.pipeline import Pipeline
from server.requests.request import (
    REQUESTS,
    Continue,
    Delivery,
    Inpaint,
    Request,
    TextToAudio,
    Transfer,
    Vary,
)

pytestmark = pytest.mark.integration
RATE = 48000
FEW = {"seed": 3, "num_inference_steps": 2}


def upper_db(sound: Waveform) -> float:
    """What lies above the model's band, against what lies below it."""
    mono, rate = sound.downmix(), sound.sample_rate
    return band_db(mono, rate, 8500, 20000) - band_db(mono, rate, 0, 7500)


def text(**values: object) -> TextToAudio:
    values = {"prompt": "bright", "audio_length_in_s": 1.0} | FEW | values
    return TextToAudio(**values)  # type: ignore[arg-type]


def test_a_new_sound_reaches_20_khz_and_the_models_band_is_its_own(
    tiny_pipeline: Pipeline,
) -> None:
    as_made = Delivery(level="model")
    full = tiny_pipeline.render(text(delivery=as_made))[0]
    model = tiny_pipeline.render(text(bandwidth="model", delivery=as_made))[0]
    assert upper_db(full.waveform) > -45
    assert upper_db(model.waveform) < -70
    added = full.waveform.samples[:, 0] - model.waveform.samples[:, 0]
    low = band_db(model.waveform.samples[:, 0], RATE, 0, 7000)
    assert band_db(added, RATE, 0, 7000) < low - 60
    assert full.measures["upper_band_db"] < 0
    assert "upper_band_db" not in model.measures


@pytest.mark.parametrize("bandwidth", ["full", "model"])
def test_the_recipe_has_the_bandwidth_and_renders_it_again(
    tiny_pipeline: Pipeline, bandwidth: str
) -> None:
    take = tiny_pipeline.render(text(bandwidth=bandwidth))[0]
    assert take.recipe.request.bandwidth == bandwidth
    again = tiny_pipeline.render(take.recipe.request)[0]
    np.testing.assert_array_equal(take.waveform.samples, again.waveform.samples)


def test_full_is_the_default_and_a_low_rate_has_no_room_for_it(tiny_pipeline: Pipeline) -> None:
    assert tiny_pipeline.render(text())[0].recipe.request.bandwidth == "full"
    low = tiny_pipeline.render(text(delivery=Delivery(sample_rate=16000)))[0]
    assert "upper_band_db" not in low.measures


def test_every_kind_of_job_has_a_bandwidth() -> None:
    for kind in REQUESTS:
        assert "bandwidth" in kind.__struct_fields__
        assert issubclass(kind, Request)


@pytest.mark.parametrize("rate", [22050, 44100, 48000, 96000])
def test_loops_stay_loops_to_the_sample(tiny_pipeline: Pipeline, rate: int) -> None:
    loop = text(
        audio_length_in_s=None, bars=1, bpm=133.0, loop=True, delivery=Delivery(sample_rate=rate)
    )
    take = tiny_pipeline.render(loop)[0]
    assert take.waveform.frames == round(4 * 60 / 133 * rate)
    samples = take.waveform.samples[:, 0]
    steps = np.abs(np.diff(np.concatenate((samples, samples[:1]))))
    assert steps[-1] <= steps.max()


def test_the_mono_sum_of_a_stereo_take_is_the_mono_take(tiny_pipeline: Pipeline) -> None:
    as_made = {"level": "model"}
    mono = tiny_pipeline.render(text(delivery=Delivery(**as_made)))[0].waveform  # type: ignore[arg-type]
    for width in (None, 1.0):
        stereo = tiny_pipeline.render(
            text(width=width, delivery=Delivery(channels=2, **as_made))  # type: ignore[arg-type]
        )[0].waveform
        assert stereo.channels == 2
        assert np.abs(stereo.samples[:, 0] - stereo.samples[:, 1]).max() > 0.01
        np.testing.assert_allclose(stereo.samples.mean(axis=1), mono.samples[:, 0], atol=2e-3)


@pytest.mark.parametrize("channels", [6, 8])
def test_beds_are_delivered_and_fold_down(tiny_pipeline: Pipeline, channels: int) -> None:
    bed = tiny_pipeline.render(text(delivery=Delivery(channels=channels)))[0].waveform
    assert bed.channels == channels
    assert bed.as_channels(2).rms_db == pytest.approx(bed.as_channels(1).rms_db, abs=4.0)


def clip_of(pipeline: Pipeline, path: Path, channels: int = 1) -> tuple[str, np.ndarray]:
    """What the model would make, with more above 8 kHz than is predicted."""
    request = text(audio_length_in_s=4.0, delivery=Delivery(channels=channels, level="model"))
    sound = 0.2 * pipeline.render(request)[0].waveform.samples
    spectrum, hz = np.fft.rfft(sound, axis=0), np.fft.rfftfreq(len(sound), 1 / RATE)
    sound = np.fft.irfft(spectrum * (1 + 2 * (hz > 8000))[:, None], len(sound), axis=0)
    name = write(path, sound.astype(np.float32), RATE, "FLOAT")
    return name, Waveform.read(path).samples


BANDS = ((8500, 12000), (12000, 16000), (16000, 20000))


@pytest.mark.parametrize("channels", [1, 2])
def test_edits_are_bit_identical_outside_and_meet_the_clip_above_8_khz(
    tiny_pipeline: Pipeline, tmp_path: Path, channels: int
) -> None:
    name, old = clip_of(tiny_pipeline, tmp_path / "in.wav", channels)
    take = tiny_pipeline.render(Inpaint(clip=name, regions="1.5:2.5", prompt="bright", **FEW))[0]
    new, fade = take.waveform.samples, round(0.1 * RATE)
    assert take.measures["seam_db"] < 3.0
    np.testing.assert_array_equal(new[: 72000 - fade], old[: 72000 - fade])
    np.testing.assert_array_equal(new[120000 + fade :], old[120000 + fade :])
    sides = ((slice(57600, 67200), slice(74400, 84000)),
             (slice(124800, 134400), slice(108000, 117600)))  # fmt: skip
    for before, after in sides:
        for low_hz, high_hz in BANDS:
            outside = band_db(old[before, 0], RATE, low_hz, high_hz)
            inside = band_db(new[after, 0], RATE, low_hz, high_hz)
            assert inside == pytest.approx(outside, abs=5.0), (low_hz, before)


def test_a_continuation_goes_on_above_8_khz(tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    name, old = clip_of(tiny_pipeline, tmp_path / "in.wav")
    request = Continue(clip=name, audio_length_in_s=1.0, prompt="bright", **FEW)
    new = tiny_pipeline.render(request)[0].waveform.samples
    np.testing.assert_array_equal(new[: 4 * RATE - 4800], old[: 4 * RATE - 4800])
    for low_hz, high_hz in BANDS:
        level = band_db(new[4 * RATE + 1200 :][:9600, 0], RATE, low_hz, high_hz)
        outside = band_db(old[-14400:-4800, 0], RATE, low_hz, high_hz)
        assert level == pytest.approx(outside, abs=6.0), low_hz


def test_a_darker_part_falls_no_more_above_8_khz_than_below(
    tiny_pipeline: Pipeline, tmp_path: Path
) -> None:
    sound = noise(4.0, RATE)
    name = write(tmp_path / "in.wav", sound, RATE, "FLOAT")
    take = tiny_pipeline.render(Inpaint(clip=name, regions="1.5:2.5", prompt="low", **FEW))[0]
    after, before = take.waveform.samples[72480:77280, 0], sound[67200:72000, 0]
    high, low = (
        band_db(after, RATE, low_hz, high_hz) - band_db(before, RATE, low_hz, high_hz)
        for low_hz, high_hz in ((8500, 16000), (4000, 7500))
    )
    assert high > low - 3.0


def test_a_dull_clip_stays_dull(tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    """The new part has no upper band where the clip around it has none."""
    dull = Waveform(noise(4.0).astype(np.float32), 16000).resample(RATE)
    name = write(tmp_path / "in.wav", dull.samples, RATE, "FLOAT")
    take = tiny_pipeline.render(Inpaint(clip=name, regions="1.5:2.5", prompt="low", **FEW))[0]
    part = take.waveform.samples[76800:115200, 0]
    assert band_db(part, RATE, 9000, 20000) < band_db(part, RATE, 0, 7500) - 45


def test_a_transfer_and_a_variation_are_full_too(tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    name = write(tmp_path / "in.wav", tones(2.0, RATE), RATE)
    transfer = tiny_pipeline.render(Transfer(clip=name, prompt="bright", strength=1.0, **FEW))[0]
    assert upper_db(transfer.waveform) > -50
    for bandwidth in ("full", "model"):
        take = tiny_pipeline.render(text(bandwidth=bandwidth))[0]
        path = tmp_path / f"{bandwidth}.wav"
        path.write_bytes(take.encode())
        varied = tiny_pipeline.render(Vary(clip=str(path), seed=9))[0]
        assert (upper_db(varied.waveform) > -50) == (bandwidth == "full")
