"""What a refused request says: which setting, what is allowed, what to do."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from server.errors import InvalidRequest
from server.requests.explain import explain
from server.requests.fields import fields_of
from server.requests.request import REQUESTS, Request, TextToAudio, parse_request, validate

REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"audio_length_in_s": 0.1}, "length must be at least 0.3 s (got 0.1)"),
    ({"audio_length_in_s": 700}, "length must be at most 600 s (got 700)"),
    ({"seed": -1}, "seed must be at least 0 (got -1); leave it out for a new one"),
    ({"seed": "mine"}, "seed must be a whole number, 0 or more (got 'mine'); leave it out"),
    ({"num_inference_steps": 2.5}, "steps must be a whole number from 1 to 1000 (got 2.5)"),
    ({"guidance_scale": 60}, "how closely to follow the prompt must be at most 50 (got 60)"),
    ({"bpm": 5}, "tempo must be at least 10 bpm (got 5)"),
    ({"sampler": "euler"}, "sampler must be one of ddim, dpmpp_2m, unipc (got 'euler')"),
    ({"loop": "often"}, "seamless loop must be yes or no (1 or 0) (got 'often')"),
    ({"prompt": "a" * 2001}, "prompt must have at most 2000 characters"),
    ({"prompt": ["rain"]}, "prompt must be text (got ['rain'])"),
    ({"delivery": {"sample_rate": 100}}, "sample rate must be at least 8000 Hz (got 100)"),
    (
        {"delivery": {"samplerate": 1}},
        "delivery.samplerate is no setting here; did you mean sample_",
    ),
    ({"delivery": 5}, "delivery must be an object with named values"),
    ({"colour": 1}, "colour is no setting here; there are audio_embedding, "),
    ({"sedd": 1}, "sedd is no setting here; did you mean seed?"),
    ({"kind": "song"}, "kind must be one of text, transfer, inpaint, continue, upscale, vary,"),
    ({"kind": "transfer"}, "clip is missing: the sound file to work on"),
    ({"kind": "transfer", "clip": ""}, "clip is empty: the sound file to work on"),
    ({"prompt": " "}, "prompt is empty: say what it should sound like"),
    ({"bars": 2}, "a length of 2 bars needs a tempo (bpm)"),
    ({"bars": 2, "bpm": 120, "audio_length_in_s": 4}, "2 bars and 4 s both give the length;"),
    ({"width": 0.5, "delivery": {"channels": 1}}, "a stereo width of 0.5 needs 2 channels, not 1"),
]


@pytest.mark.parametrize(("values", "sentence"), REFUSALS, ids=[s for _, s in REFUSALS])
def test_a_refusal_says_what_is_allowed(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_request({"kind": "text", "prompt": "rain", **values})
    assert str(refused.value).startswith(sentence)
    assert "`" not in str(refused.value)


def test_a_request_made_in_python_is_refused_alike() -> None:
    with pytest.raises(InvalidRequest, match=r"length must be at least 0\.3 s \(got 0\.1\)"):
        validate(TextToAudio(prompt="rain", audio_length_in_s=0.1))
    with pytest.raises(InvalidRequest, match=r"length must be a number .* \(got nan\)"):
        validate(TextToAudio(prompt="rain", audio_length_in_s=float("nan")))


@pytest.mark.parametrize("body", [[], "rain", 3, None])
def test_a_body_that_is_no_object_is_told_so(body: object) -> None:
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.convert(body, TextToAudio)
    assert explain(refused.value, body) == "it must be an object with named values"


def test_a_long_value_is_cut_short() -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_request({"kind": "text", "prompt": "rain", "seed": "9" * 500})
    assert len(str(refused.value)) < 250


@pytest.mark.parametrize("kind", REQUESTS, ids=lambda kind: str(kind.__struct_config__.tag))
def test_every_kind_and_field_has_a_label_of_its_own(kind: type[Request]) -> None:
    assert [other.label for other in REQUESTS].count(kind.label) == 1
    labels = [field.label for field in fields_of(kind)]
    assert all(label and label[0].isupper() and "_" not in label for label in labels)
    assert len(set(labels)) == len(labels)
