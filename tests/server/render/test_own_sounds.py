"""Sounds of the user in a request: one to start from, and an embedding to resemble."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from sample_folder import noise, tone, write

from server.audio.waveform import Waveform
from server.errors import InvalidRequest
from server.render.pipeline import Pipeline
from server.render.recipe import Recipe
from server.requests.request import Delivery, TextToAudio, Vary, validate

pytestmark = pytest.mark.integration


@pytest.fixture
def hiss(tmp_path: Path) -> str:
    noise(tmp_path / "hiss.wav", seconds=0.4)
    return str(tmp_path / "hiss.wav")


def asked(**values: Any) -> TextToAudio:
    few: dict[str, Any] = {"seed": 1, "audio_length_in_s": 0.5, "num_inference_steps": 4}
    return TextToAudio(delivery=Delivery(sample_rate=16000), **{**few, **values})


def embedding_of(pipeline: Pipeline, path: str, **values: str) -> dict[str, str]:
    numbers = pipeline.audio(Waveform.read(Path(path))).astype("<f2").tobytes()
    return {
        "of": "Hisses",
        "audio_tower": pipeline.manifest.audio_tower,
        "values": base64.b64encode(numbers).decode(),
        **values,
    }


def test_a_take_keeps_as_much_of_the_sound_as_grounding_says(
    tiny_pipeline: Pipeline, hiss: str
) -> None:
    def rendered(grounding: float) -> np.ndarray:
        request = asked(prompt="low", grounding=grounding, grounding_sound=hiss)
        return tiny_pipeline.render(request)[0].waveform.samples[:, 0]

    whole = rendered(1.0)
    near, far = (float(np.corrcoef(whole, rendered(share))[0, 1]) for share in (0.9, 0.1))
    assert near > far


def test_the_recipe_names_the_sound_and_gives_the_take_again(
    tiny_pipeline: Pipeline, hiss: str, tmp_path: Path
) -> None:
    take = tiny_pipeline.render(asked(prompt="low", grounding=0.5, grounding_sound=hiss))[0]
    assert take.measures["grounded_in"] == take.recipe.grounded_in == "hiss.wav"
    assert take.recipe.clips.keys() == {hiss}
    stored = tmp_path / "take.wav"
    stored.write_bytes(take.encode())
    read = Recipe.read(stored)
    again = tiny_pipeline.render(read.request)[0]
    np.testing.assert_allclose(again.waveform.samples, take.waveform.samples, atol=1e-5)
    varied = tiny_pipeline.render(Vary(clip=str(stored), seed=2))[0]
    assert varied.recipe.grounded_in == "hiss.wav"
    tone(Path(hiss))  # another sound under the same name
    with pytest.raises(InvalidRequest, match="is not the clip"):
        tiny_pipeline.render(Vary(clip=str(stored), seed=2))


def test_a_sound_that_cannot_ground_a_take_is_refused(
    tiny_pipeline: Pipeline, hiss: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidRequest, match="grounding is 0"):
        validate(asked(prompt="low", grounding_sound=hiss))
    write(tmp_path / "silence.wav", np.zeros(8000))
    silent = asked(prompt="low", grounding=0.5, grounding_sound=str(tmp_path / "silence.wav"))
    with pytest.raises(InvalidRequest, match=r"silence\.wav is silent"):
        tiny_pipeline.render(silent)


@pytest.mark.parametrize("prompt", ["", "low"])
def test_an_embedding_is_as_good_as_the_sound_itself(
    tiny_pipeline: Pipeline, hiss: str, prompt: str
) -> None:
    by_sound = tiny_pipeline.render(asked(prompt=prompt, audio_prompt=hiss))[0]
    given = embedding_of(tiny_pipeline, hiss)
    by_embedding = tiny_pipeline.render(asked(prompt=prompt, audio_embedding=given))[0]
    np.testing.assert_allclose(by_embedding.waveform.samples, by_sound.waveform.samples, atol=0.02)
    assert by_embedding.recipe.clips == {}  # it can be rendered again without any file
    again = tiny_pipeline.render(by_embedding.recipe.request)[0]
    np.testing.assert_array_equal(again.waveform.samples, by_embedding.waveform.samples)


def test_an_embedding_of_another_kind_is_refused(tiny_pipeline: Pipeline, hiss: str) -> None:
    good = embedding_of(tiny_pipeline, hiss)
    zeros = base64.b64encode(bytes(2 * tiny_pipeline.manifest.embedding_dim)).decode()
    for changed, why in (
        ({"audio_tower": "another"}, "'Hisses' is not of the audio tower"),
        ({"values": "AAAA" * 2}, "'Hisses' is not of the audio tower"),
        ({"values": zeros}, "points in no direction"),
        ({"values": "AAAA"}, "whole float16"),
        ({"values": "?????"}, "base64"),
        ({"values": 7}, "audio_embedding"),
    ):
        with pytest.raises(InvalidRequest, match=why):
            tiny_pipeline.render(asked(audio_embedding={**good, **changed}))
    both = msgspec.structs.replace(asked(audio_embedding=good), audio_prompt=hiss)
    with pytest.raises(InvalidRequest, match="both say"):
        validate(both)


def test_a_variation_may_resemble_something_else(tiny_pipeline: Pipeline, hiss: str) -> None:
    take = tiny_pipeline.render(asked(prompt="low", audio_prompt=hiss))[0]
    given = embedding_of(tiny_pipeline, hiss)
    recipe = msgspec.to_builtins(take.recipe)
    varied = tiny_pipeline.render(Vary(clip=hiss, recipe=recipe, audio_embedding=given, seed=3))
    assert np.isfinite(varied[0].waveform.samples).all()
