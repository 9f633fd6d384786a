"""Takes between two sounds: where they are, how they are reproduced, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sample_folder import noise, tone, write

from server.config import built_in_model
from server.errors import InvalidRequest, UnreadableAudio
from server.render.pipeline import Pipeline
from server.requests.request import Delivery, Fill, Vary, parse_request, validate

pytestmark = pytest.mark.integration


@pytest.fixture
def ends(tmp_path: Path) -> dict[str, str]:
    noise(tmp_path / "hiss.wav", seconds=0.5)
    tone(tmp_path / "beep.wav", seconds=0.8)
    return {"clip": str(tmp_path / "hiss.wav"), "other": str(tmp_path / "beep.wav")}


def asked(ends: dict[str, str], **values: Any) -> Fill:
    few: dict[str, Any] = {"seed": 7, "num_inference_steps": 3, "num_waveforms_per_prompt": 3}
    return Fill(delivery=Delivery(sample_rate=16000), **ends, **{**few, **values})


def test_takes_leave_one_sound_and_come_near_the_other(tmp_path: Path) -> None:
    """With the built-in model, which knows both sounds."""
    noise(tmp_path / "hiss.wav")
    tone(tmp_path / "beep.wav")
    ends = {"clip": str(tmp_path / "hiss.wav"), "other": str(tmp_path / "beep.wav")}
    request = asked(ends, num_waveforms_per_prompt=4, num_inference_steps=10)
    takes = Pipeline(built_in_model(), "cpu", 1).render(request)
    to_clip, to_other = (
        np.array([take.measures[name] for take in takes])
        for name in ("similarity_to_clip", "similarity_to_other")
    )
    assert (np.diff(to_other - to_clip) > 0.0).all()
    assert to_clip[0] > max(to_other[0], to_clip[-1])
    assert to_other[-1] > max(to_clip[-1], to_other[0])


def test_takes_are_spread_evenly_and_come_in_order(
    tiny_pipeline: Pipeline, ends: dict[str, str]
) -> None:
    takes = tiny_pipeline.render(asked(ends, begin=0.2, end=0.6))
    assert [take.measures["place"] for take in takes] == pytest.approx([0.3, 0.4, 0.5])
    assert [take.seed for take in takes] == [7, 8, 9]
    assert {take.waveform.frames for take in takes} == {round(0.8 * 16000)}
    assert Fill(**ends).num_waveforms_per_prompt == 20


def test_a_recipe_gives_one_take_again_and_a_variation_of_it(
    tiny_pipeline: Pipeline, ends: dict[str, str], tmp_path: Path
) -> None:
    take = tiny_pipeline.render(asked(ends))[2]
    assert take.recipe.clips.keys() == set(ends.values())
    again = tiny_pipeline.render(take.recipe.request)
    assert len(again) == 1
    assert again[0].measures["place"] == take.measures["place"] == 0.75
    np.testing.assert_allclose(again[0].waveform.samples, take.waveform.samples, atol=1e-5)
    path = tmp_path / "take.wav"
    path.write_bytes(take.encode())
    varied = tiny_pipeline.render(Vary(clip=str(path), seed=1, distance=0.2))[0]
    assert varied.measures["place"] == 0.75
    assert np.isfinite(varied.waveform.samples).all()


@pytest.mark.parametrize(
    "extra",
    [
        {"strength": 0.0},
        {"strength": 1.0},
        {"prompt": "low"},
        {"loop": True},
        {"width": 0.5, "audio_length_in_s": 1.5},
        {"bars": 1, "bpm": 240.0},
    ],
)
def test_every_shape_of_fill(
    tiny_pipeline: Pipeline, ends: dict[str, str], extra: dict[str, Any]
) -> None:
    takes = tiny_pipeline.render(asked(ends, **extra))
    assert len(takes) == 3
    assert all(np.isfinite(take.waveform.samples).all() for take in takes)
    if not extra.get("strength", 0.5):
        assert np.abs(takes[0].waveform.samples - takes[2].waveform.samples).max() > 0.01


def test_what_cannot_be_filled_is_refused(
    tiny_pipeline: Pipeline, ends: dict[str, str], tmp_path: Path
) -> None:
    write(tmp_path / "silence.wav", np.zeros(8000))
    with pytest.raises(InvalidRequest, match=r"other .*silence\.wav is silent"):
        tiny_pipeline.render(asked({**ends, "other": str(tmp_path / "silence.wav")}))
    with pytest.raises(UnreadableAudio, match="does not exist"):
        tiny_pipeline.render(asked({**ends, "other": "gone.wav"}))
    with pytest.raises(InvalidRequest, match="keeps all its takes"):
        validate(asked(ends, num_candidates=2))
    with pytest.raises(InvalidRequest, match="other sound is missing"):
        parse_request({"kind": "fill", "clip": "a.wav"})
