"""What leaves: the asked rate and loudness, never clipped, never NaN, never silent unsaid."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyloudnorm
import pytest
from sounds import noise, tones

from server.audio.waveform import Waveform
from server.errors import RenderError
from server.render.finishing.delivery import Delivered, deliver
from server.render.pipeline import Pipeline
from server.render.plan import Finished
from server.requests.request import Delivery, TextToAudio

pytestmark = pytest.mark.integration


def made(samples: np.ndarray, rate: int = 48000, **flags: Any) -> Finished:
    return Finished(Waveform(np.ascontiguousarray(samples, np.float32), rate), **flags)


def sound_of(delivered: Delivered) -> tuple[Waveform, dict[str, object]]:
    return delivered.sound, delivered.measures


def loudness(sound: Waveform) -> float:
    return float(pyloudnorm.Meter(sound.sample_rate).integrated_loudness(sound.samples))


@pytest.mark.parametrize("target", [-30.0, -23.0, -16.0])
@pytest.mark.parametrize("channels", [1, 2])
def test_the_loudness_target_is_met(target: float, channels: int) -> None:
    for sound in (noise(3.0, 48000, channels), tones(3.0, 48000, channels, level=0.01)):
        out, measures = sound_of(deliver(made(sound), Delivery(loudness_lufs=target)))
        assert loudness(out) == pytest.approx(target, abs=0.1)
        assert measures["gain_db"] == pytest.approx(
            20 * np.log10(out.samples.std() / sound.std()), abs=0.05
        )


def test_the_ceiling_goes_before_the_loudness() -> None:
    out, _ = sound_of(deliver(made(noise(2.0, 48000)), Delivery(loudness_lufs=-5.0)))
    assert out.peak == pytest.approx(10 ** (-1 / 20), rel=1e-5)
    out, _ = sound_of(
        deliver(made(noise(2.0, 48000)), Delivery(loudness_lufs=-5.0, ceiling_dbfs=-12.0))
    )
    assert out.peak == pytest.approx(10 ** (-12 / 20), rel=1e-5)
    assert loudness(out) < -5.0


def test_short_sounds_have_a_loudness_too() -> None:
    out, _ = sound_of(deliver(made(tones(0.05, 48000, level=0.01)), Delivery(loudness_lufs=-20.0)))
    repeated = Waveform(np.resize(out.samples, (48000, 1)), 48000)
    assert loudness(repeated) == pytest.approx(-20.0, abs=1.0)


@pytest.mark.parametrize("level", [0.01, 0.5, 1.0, 30.0])
def test_new_sound_never_clips(level: float) -> None:
    sound = level * np.sin(np.arange(48000)[:, None] * 0.1)
    out, measures = sound_of(deliver(made(sound), Delivery()))
    assert out.peak <= 10 ** (-1 / 20) + 1e-7
    assert measures["gain_db"] <= 0.0
    if level < 0.5:
        np.testing.assert_array_equal(out.samples, sound.astype(np.float32))


def test_silence_is_said() -> None:
    assert deliver(made(np.zeros((48000, 1))), Delivery()).measures["silent"] is True
    assert deliver(made(noise(1.0, 48000, level=1e-4)), Delivery()).measures["silent"] is True
    assert deliver(made(noise(1.0, 48000)), Delivery()).measures["silent"] is False
    assert deliver(made(np.zeros((48000, 1))), Delivery(loudness_lufs=-20.0, trim=True)).measures[
        "silent"
    ]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_no_sound_are_an_error(bad: float) -> None:
    sound = noise(0.1, 48000)
    sound[100] = bad
    with pytest.raises(RenderError, match="no sound"):
        deliver(made(sound), Delivery())


def test_trim_takes_silence_off_both_ends_and_nothing_else() -> None:
    sound = np.concatenate([np.zeros((12000, 1)), noise(0.5, 48000), np.zeros((30000, 1))])
    out, _ = sound_of(deliver(made(sound), Delivery(trim=True)))
    assert 24000 <= out.frames <= 24000 + 2 * 240
    assert np.square(out.samples).sum() == pytest.approx(np.square(sound).sum(), rel=1e-5)


def test_fades_begin_and_end_in_silence() -> None:
    out, _ = sound_of(
        deliver(made(np.full((48000, 2), 0.5)), Delivery(fade_in_s=0.1, fade_out_s=0.25))
    )
    level = out.samples[:, 0] / 0.5
    assert level[0] < 1e-3 > level[-1]
    assert np.all(np.diff(level[:4800]) > 0)
    assert np.all(np.diff(level[36000:]) < 0)
    assert np.all(level[4800:36000] == 1.0)
    out, _ = sound_of(deliver(made(noise(0.01, 48000)), Delivery(fade_in_s=1.0, fade_out_s=1.0)))
    assert np.isfinite(out.samples).all()


def test_exact_samples_are_left_alone_until_asked() -> None:
    sound = np.full((100, 1), 1.5, np.float32)
    kept = made(sound, keeps_clip=True, file_format="wav32f")
    out, _ = sound_of(deliver(kept, Delivery()))
    np.testing.assert_array_equal(out.samples, sound)
    out, _ = sound_of(deliver(made(sound, keeps_clip=True), Delivery(ceiling_dbfs=0.0)))
    assert out.peak <= 1.0


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000, 96000, 192000])
@pytest.mark.parametrize("channels", [1, 2])
def test_the_session_s_rate_and_channels(tiny_pipeline: Pipeline, rate: int, channels: int) -> None:
    wanted = Delivery(sample_rate=rate, channels=channels)
    request = TextToAudio(prompt="low", seed=1, audio_length_in_s=0.77, delivery=wanted)
    sound = tiny_pipeline.render(request)[0].waveform
    assert (sound.sample_rate, sound.channels) == (rate, channels)
    assert sound.frames == round(0.77 * rate)


def test_extreme_guidance_is_still_a_sound(tiny_pipeline: Pipeline) -> None:
    take = tiny_pipeline.render(TextToAudio(prompt="low", guidance_scale=50.0, seed=1))[0]
    assert np.isfinite(take.waveform.samples).all()
    assert take.waveform.peak <= 10 ** (-1 / 20) + 1e-7
