"""No combination of values crashes a render: it gives a sound of the right size, or a sentence."""

# ruff: noqa: PLR0917

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sounds import noise, write

from server.errors import AudioLDMError
from server.render.pipeline import Pipeline
from server.requests.request import (
    Continue,
    Delivery,
    Inpaint,
    Morph,
    TextToAudio,
    Transfer,
    Upscale,
)

pytestmark = pytest.mark.integration

few = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
rates = st.sampled_from([8000, 11025, 16000, 22050, 44100, 48000, 96000])
seeds = st.integers(0, 2**63 - 1)
shared = {
    "num_inference_steps": st.integers(1, 5),
    "guidance_scale": st.floats(0, 50),
    "sampler": st.sampled_from([None, "ddim", "dpmpp_2m", "unipc"]),
    "eta": st.sampled_from([0.0, 0.0, 0.5, 1.0]),
    "seed": seeds,
}
one_step = {"num_inference_steps": 1, "guidance_scale": 0.0, "sampler": None, "eta": 0.0, "seed": 0}


def rendered(pipeline: Pipeline, request):  # type: ignore[no-untyped-def]
    """The takes, or None where the request was refused; anything else that is raised fails."""
    try:
        takes = pipeline.render(request)
    except AudioLDMError:
        return None
    for take in takes:
        assert np.isfinite(take.waveform.samples).all()
        assert len(take.encode()) > 100
    return takes


@few
@given(
    st.fixed_dictionaries(shared),
    st.floats(0.3, 8.0),
    rates,
    st.booleans(),
    st.floats(0, 1),
    st.integers(1, 3),
)
def test_any_length_and_rate(tiny_pipeline, common, seconds, rate, loop, width, takes) -> None:  # type: ignore[no-untyped-def]
    request = TextToAudio(
        prompt="low:1 + high:0.5",
        audio_length_in_s=seconds,
        loop=loop,
        width=width,
        num_waveforms_per_prompt=takes,
        delivery=Delivery(sample_rate=rate),
        **common,
    )
    for take in rendered(tiny_pipeline, request) or []:
        assert take.waveform.frames == round(seconds * rate)
        assert take.waveform.channels == (2 if width else 1)
        assert take.waveform.peak <= 10 ** (-1 / 20) + 1e-6


@few
@given(st.floats(0.125, 16), st.floats(10, 999), st.integers(1, 12), rates, seeds)
def test_any_tempo(tiny_pipeline, bars, bpm, beats, rate, seed) -> None:  # type: ignore[no-untyped-def]
    request = TextToAudio(
        prompt="comb",
        bars=bars,
        bpm=bpm,
        beats_per_bar=beats,
        loop=True,
        num_inference_steps=1,
        seed=seed,
        delivery=Delivery(sample_rate=rate),
    )
    seconds = bars * beats * 60 / bpm
    if seconds > 30:
        return
    for take in rendered(tiny_pipeline, request) or []:
        assert take.waveform.frames == round(seconds * rate)


@few
@given(
    st.fixed_dictionaries(shared),
    st.floats(0.01, 4.0),
    st.floats(0, 4.5),
    st.floats(0, 4.5),
    st.sampled_from(["", "hz:500:3000@", "hz:3000:7000@", "hz:0.5:20@"]),
    rates,
    st.integers(1, 3),
    st.floats(0, 1),
)
def test_any_region(
    tiny_pipeline, tmp_path, common, seconds, start, end, band, rate, channels, crossfade
) -> None:  # type: ignore[no-untyped-def]
    sound = noise(seconds, rate, channels)
    clip = write(tmp_path / "in.wav", sound, rate, "FLOAT")
    request = Inpaint(clip=clip, regions=f"{band}{start}:{end}", crossfade_s=crossfade, **common)
    for take in rendered(tiny_pipeline, request) or []:
        new, old = take.waveform.samples, sound.astype(np.float32)
        assert new.shape == old.shape
        first = max(0, round(start * rate) - round(crossfade * rate) - 1)
        last = round(end * rate) + round(crossfade * rate) + 1
        assert np.array_equal(new[:first], old[:first])
        assert np.array_equal(new[last:], old[last:])


@few
@given(
    st.fixed_dictionaries(shared),
    st.floats(0.001, 3.0),
    st.floats(0.3, 5.0),
    st.sampled_from(["after", "before"]),
    rates,
)
def test_any_continuation(tiny_pipeline, tmp_path, common, seconds, added, side, rate) -> None:  # type: ignore[no-untyped-def]
    sound = noise(seconds, rate)
    clip = write(tmp_path / "in.wav", sound, rate)
    request = Continue(clip=clip, audio_length_in_s=added, side=side, **common)
    for take in rendered(tiny_pipeline, request) or []:
        assert take.waveform.frames == len(sound) + round(added * rate)


@few
@example(one_step, 1.0, 8.5e-281, False, 8000, 1)
@given(
    st.fixed_dictionaries(shared),
    st.floats(0.001, 5.0),
    st.floats(0, 1),
    st.booleans(),
    rates,
    st.integers(1, 2),
)
def test_any_transfer(tiny_pipeline, tmp_path, common, seconds, strength, loop, rate, channels):  # type: ignore[no-untyped-def]
    sound = noise(seconds, rate, channels)
    clip = write(tmp_path / "in.wav", sound, rate)
    request = Transfer(clip=clip, strength=strength, loop=loop, prompt="high", **common)
    for take in rendered(tiny_pipeline, request) or []:
        assert take.waveform.samples.shape == sound.shape


@few
@given(st.floats(0.01, 3.0), rates, st.one_of(st.none(), st.floats(200, 20000)), seeds)
def test_any_cutoff(tiny_pipeline, tmp_path, seconds, rate, cutoff, seed) -> None:  # type: ignore[no-untyped-def]
    clip = write(tmp_path / "in.wav", noise(seconds, rate), rate)
    rendered(tiny_pipeline, Upscale(clip=clip, cutoff_hz=cutoff, seed=seed))


@few
@given(
    st.lists(st.sampled_from(["low", "high:1 + mid:2", "comb", "a b"]), min_size=1, max_size=5),
    st.floats(0.3, 12.0),
    st.booleans(),
    seeds,
)
def test_any_morph(tiny_pipeline, stages, seconds, loop, seed) -> None:  # type: ignore[no-untyped-def]
    request = Morph(
        prompt=" > ".join(stages), audio_length_in_s=seconds, loop=loop, seed=seed, width=0.3
    )
    takes = rendered(tiny_pipeline, request)
    assert (takes is None) == (len(stages) < 2)


@few
@given(st.text(max_size=60))
def test_any_text_is_a_prompt(tiny_pipeline, text) -> None:  # type: ignore[no-untyped-def]
    rendered(tiny_pipeline, TextToAudio(prompt=text, audio_length_in_s=0.3, num_inference_steps=1))


@pytest.mark.parametrize(
    "text", ["low:nan + high:1", "low:1e999 + high:1", "😀" * 500, "\0", " + "]
)
def test_odd_prompts(tiny_pipeline: Pipeline, tmp_path: Path, text: str) -> None:
    rendered(tiny_pipeline, TextToAudio(prompt=text, audio_length_in_s=0.3))
