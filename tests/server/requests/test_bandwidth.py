"""``bandwidth`` and the fields of delivery on every surface that takes a request."""

from __future__ import annotations

from pathlib import Path

import pytest

import server
from osc_bridge.cli import _parser
from osc_bridge.commands.request_flags import request_from
from server.errors import InvalidRequest
from server.model.manifest import Manifest
from server.requests.fields import fields_of
from server.requests.new_sound import DEFAULT_WIDTH
from server.requests.presets import parse_preset
from server.requests.request import REQUESTS, Delivery, TextToAudio, parse_request, validate
from server.requests.resolved import ResolvedText, ResolvedVary, resolve


def resolved(tiny_folder: Path, **values: object) -> ResolvedText:
    request = parse_request({"kind": "text", "prompt": "rain", **values})
    made = resolve(validate(request), Manifest.load(tiny_folder))
    assert isinstance(made, ResolvedText)
    return made


@pytest.mark.parametrize("kind", REQUESTS, ids=lambda kind: kind.__name__)
def test_every_kind_has_it_with_its_two_values(kind: type) -> None:
    field = next(field for field in fields_of(kind) if field.name == "bandwidth")
    assert field.choices == ("full", "model")
    assert "20 kHz" in field.description


def test_the_command_line_has_it() -> None:
    for arguments in (["render", "rain", "-o", "x.wav"], ["upscale", "in.wav", "-o", "x.wav"]):
        flags = vars(_parser().parse_args([*arguments, "--bandwidth", "model"]))
        assert request_from(flags, "rain").bandwidth == "model"


def test_osc_tells_it() -> None:
    text = Path("docs/osc.md").read_text("utf-8")
    assert "| `bandwidth` | s | full, model |" in text
    assert "| `delivery.level` | s | matched, model |" in text


def test_the_panel_shows_it_with_the_shape_of_the_sound() -> None:
    fields = (Path(server.__file__).parent / "panel" / "fields.js").read_text("utf-8")
    assert '"Shape", ["bandwidth", "width", "one_shot"' in fields


def test_the_panel_draws_spectrograms_up_to_20_khz() -> None:
    takes = (Path(server.__file__).parent / "panel" / "takes.js").read_text("utf-8")
    assert "frequencyMax: Math.min(20000, take.sample_rate / 2)" in takes


def test_presets_may_have_it() -> None:
    preset = parse_preset(b"name: dull rain\nrequest: {kind: text, prompt: rain, bandwidth: model}")
    assert dict(preset.values())["bandwidth"] == "model"


def test_other_values_are_refused_by_name() -> None:
    with pytest.raises(InvalidRequest, match="bandwidth"):
        parse_request({"kind": "text", "prompt": "rain", "bandwidth": "wide"})


def test_full_is_the_default_and_a_variation_follows_its_take(tiny_folder: Path) -> None:
    assert resolved(tiny_folder).bandwidth == "full"
    vary = parse_request({"kind": "vary", "clip": "take.wav"})
    made = resolve(vary, Manifest.load(tiny_folder))
    assert isinstance(made, ResolvedVary)
    assert made.bandwidth is None


def test_the_width_of_a_stereo_take_is_a_musical_one() -> None:
    assert TextToAudio(prompt="x").layout == (1, 0.0)
    assert TextToAudio(prompt="x", delivery=Delivery(channels=2)).layout == (2, DEFAULT_WIDTH)
    assert TextToAudio(prompt="x", width=0.3).layout == (2, 0.3)
    assert TextToAudio(prompt="x", width=0.0, delivery=Delivery(channels=6)).layout == (6, 0.0)


def test_edits_are_no_beds() -> None:
    for channels in (3, 5, 7):
        with pytest.raises(InvalidRequest, match="channels"):
            validate(TextToAudio(prompt="x", delivery=Delivery(channels=channels)))
    values = {"kind": "inpaint", "clip": "x.wav", "regions": "0:1", "delivery": {"channels": 6}}
    with pytest.raises(InvalidRequest, match="channels 6"):
        validate(parse_request(values))


@pytest.mark.parametrize(
    ("values", "shape"),
    [
        ({"prompt": "a kick drum"}, "trim"),
        ({"prompt": "a kick drum", "audio_length_in_s": 1.0}, "tight"),
        ({"prompt": "a kick drum", "loop": True}, "off"),
        ({"prompt": "rain"}, "off"),
        ({"prompt": "rain", "one_shot": "trim"}, "trim"),
    ],
)
def test_the_shape_of_a_hit_follows_its_prompt(
    tiny_folder: Path, values: dict[str, object], shape: str
) -> None:
    assert resolved(tiny_folder, **values).one_shot == shape


def test_a_trimmed_loop_is_a_contradiction() -> None:
    with pytest.raises(InvalidRequest, match="one-shot"):
        validate(TextToAudio(prompt="kick", loop=True, one_shot="trim"))
