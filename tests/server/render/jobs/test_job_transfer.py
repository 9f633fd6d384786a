"""Style transfer and variations: how near the result stays to where it came from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from sounds import log_spectra, similarity, stored, tones, write

from server.audio.waveform import Waveform
from server.errors import InvalidRequest
from server.render.pipeline import Pipeline
from server.render.recipe import Recipe
from server.requests.request import Delivery, Inpaint, TextToAudio, Transfer, Vary

pytestmark = pytest.mark.integration

STRENGTHS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)


@pytest.fixture(scope="module")
def take_file(tiny_pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("takes") / "take.wav"
    request = TextToAudio(prompt="low", seed=1, audio_length_in_s=2.0)
    path.write_bytes(tiny_pipeline.render(request)[0].encode())
    return path


@pytest.mark.parametrize(("rate", "channels"), [(16000, 1), (44100, 2), (48000, 6)])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_strength_0_is_the_clip_itself(
    tiny_pipeline: Pipeline, tmp_path: Path, rate: int, channels: int, subtype: str
) -> None:
    clip = write(tmp_path / "in.wav", tones(0.7, rate, channels, level=0.3), rate, subtype)
    take = tiny_pipeline.render(Transfer(prompt="high", clip=clip, strength=0.0))[0]
    out = tmp_path / "out.wav"
    out.write_bytes(take.encode())
    assert soundfile.info(out).subtype == subtype
    dtype = {"FLOAT": "float32", "DOUBLE": "float64"}.get(subtype, "int32")
    np.testing.assert_array_equal(stored(out, dtype), stored(clip, dtype))


@pytest.mark.parametrize("sampler", ["ddim", "dpmpp_2m", "unipc"])
def test_strength_1_is_text_to_audio(tiny_pipeline: Pipeline, tmp_path: Path, sampler: str) -> None:
    clip = write(tmp_path / "in.wav", tones(2.0))
    settings = {"prompt": "high", "seed": 9, "sampler": sampler}
    at_rate = Delivery(sample_rate=16000, level="model")
    words = TextToAudio(**settings, audio_length_in_s=2.0, delivery=at_rate)
    whole = Transfer(**settings, clip=clip, strength=1.0, delivery=at_rate)
    a, b = (tiny_pipeline.render(request)[0].waveform for request in (words, whole))
    np.testing.assert_array_equal(a.samples, b.samples)


@pytest.mark.parametrize("num_steps", [8, 20])
def test_the_stronger_the_farther_from_the_clip(
    tiny_pipeline: Pipeline, tmp_path: Path, num_steps: int
) -> None:
    clip = write(tmp_path / "in.wav", tones(2.0))
    source = log_spectra(Waveform.read(Path(clip)))
    nearness, highness = [], []
    for strength in STRENGTHS:
        request = Transfer(
            prompt="high",
            clip=clip,
            strength=strength,
            seed=4,
            num_inference_steps=num_steps,
        )
        sound = tiny_pipeline.render(request)[0].waveform
        nearness.append(np.corrcoef(log_spectra(sound).ravel(), source.ravel())[0, 1])
        highness.append(similarity(tiny_pipeline, sound, "high"))
    assert nearness[0] == pytest.approx(1.0, abs=1e-6)
    assert all(later <= earlier + 0.02 for earlier, later in zip(nearness, nearness[1:]))  # noqa: B905, RUF007
    assert nearness[-1] < nearness[1] - 0.2
    assert highness[-1] == max(highness) or highness[-1] > 0.5
    assert highness[-1] > highness[0] + 0.3


def test_a_loop_stays_a_loop(tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    n = 27_123
    phase = 2 * np.pi * np.arange(n) / n
    ring = 0.1 * sum(np.sin(k * 300 * phase) / k for k in range(1, 8))
    clip = write(tmp_path / "in.wav", ring[:, None])
    take = tiny_pipeline.render(Transfer(clip=clip, strength=0.6, loop=True, seed=1))[0]
    assert take.waveform.frames == n
    assert take.measures["seam_db"] < 3.0


def test_the_clip_s_level_is_kept_at_small_strengths(
    tiny_pipeline: Pipeline, tmp_path: Path
) -> None:
    for level in (0.2, 0.002):
        clip = write(tmp_path / "in.wav", tones(2.0, level=level), 16000, "FLOAT")
        take = tiny_pipeline.render(Transfer(clip=clip, strength=0.1, seed=1))[0]
        assert abs(take.waveform.rms_db - Waveform.read(Path(clip)).rms_db) < 5.0


def test_distance_0_is_the_take_and_1_is_another_seed(
    tiny_pipeline: Pipeline, take_file: Path
) -> None:
    original = Recipe.read(take_file).request
    base = tiny_pipeline.render(original)[0].waveform.samples
    same, other = (
        tiny_pipeline.render(Vary(clip=str(take_file), distance=d, seed=77))[0].waveform.samples
        for d in (0.0, 1.0)
    )
    np.testing.assert_allclose(same, base, atol=1e-5)
    fresh = TextToAudio(prompt="low", seed=77, audio_length_in_s=2.0)
    np.testing.assert_allclose(other, tiny_pipeline.render(fresh)[0].waveform.samples, atol=1e-5)


def test_the_larger_the_distance_the_less_alike(tiny_pipeline: Pipeline, take_file: Path) -> None:
    base = log_spectra(Waveform.read(take_file))
    nearness = []
    for distance in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        request = Vary(clip=str(take_file), distance=distance, seed=5, num_waveforms_per_prompt=4)
        takes = tiny_pipeline.render(request)
        nearness.append(
            np.mean(
                [np.corrcoef(log_spectra(t.waveform).ravel(), base.ravel())[0, 1] for t in takes]
            )
        )
    assert nearness == sorted(nearness, reverse=True)
    assert nearness[0] > 0.999
    assert nearness[-1] < 0.99


def test_a_variation_is_made_again_from_its_file_alone_and_can_be_varied(
    tiny_pipeline: Pipeline, take_file: Path, tmp_path: Path
) -> None:
    first = tiny_pipeline.render(Vary(clip=str(take_file), distance=0.5, seed=5))[0]
    path = tmp_path / "variation.wav"
    path.write_bytes(first.encode())
    recipe = Recipe.read(path).request
    moved = type(recipe)(
        **{name: getattr(recipe, name) for name in recipe.__struct_fields__} | {"clip": "gone.wav"}
    )
    again = tiny_pipeline.render(moved)[0]
    np.testing.assert_array_equal(again.waveform.samples, first.waveform.samples)
    # A take may even be written over by its own variation.
    second = tiny_pipeline.render(Vary(clip=str(path), distance=0.5, seed=6))[0]
    path.write_bytes(second.encode())
    third = tiny_pipeline.render(Vary(clip=str(path), distance=0.0, seed=6))[0]
    np.testing.assert_allclose(third.waveform.samples, second.waveform.samples, atol=1e-5)


def test_an_edit_can_be_varied_too(tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    clip = write(tmp_path / "in.wav", tones(2.0))
    edited = tiny_pipeline.render(Inpaint(clip=clip, regions="0.5:1", seed=1))[0]
    path = tmp_path / "edited.wav"
    path.write_bytes(edited.encode())
    varied = tiny_pipeline.render(Vary(clip=str(path), distance=0.5, seed=2))[0]
    assert np.array_equal(varied.waveform.samples[:7000], edited.waveform.samples[:7000])
    assert not np.array_equal(varied.waveform.samples, edited.waveform.samples)


def test_a_recipe_names_only_the_clips_it_was_made_from(
    tiny_pipeline: Pipeline, tmp_path: Path
) -> None:
    clip = write(tmp_path / "in.wav", tones(2.0))
    edited = tiny_pipeline.render(Inpaint(clip=clip, regions="0.5:1", seed=1))[0]
    path = tmp_path / "edited.wav"
    path.write_bytes(edited.encode())
    assert Recipe.read(path).clips.keys() == {clip}
    write(tmp_path / "in.wav", tones(2.0, level=0.2))
    with pytest.raises(InvalidRequest, match="not the clip"):
        tiny_pipeline.render(Vary(clip=str(path), distance=0.5, seed=2))


def test_what_cannot_be_varied_says_why(tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    clip = write(tmp_path / "in.wav", tones(1.0))
    with pytest.raises(InvalidRequest, match="no recipe"):
        tiny_pipeline.render(Vary(clip=clip))


def test_a_take_of_another_model_is_not_varied(
    tiny_pipeline: Pipeline, take_file: Path, tmp_path: Path
) -> None:
    from tiny_model import make_tiny_folder

    other = Pipeline(make_tiny_folder(tmp_path / "other", "epsilon"), "cpu", 1)
    with pytest.raises(InvalidRequest, match="load that model"):
        other.render(Vary(clip=str(take_file)))
