"""What hosts and people write is understood alike from JSON, OSC, presets and flags."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from osc_bridge.messages.requests.generated import SUBMISSIONS
from osc_bridge.stage.liveset import parse_set
from osc_bridge.stage.transport import Transport
from server.errors import InvalidRequest
from server.requests.presets import parse_preset
from server.requests.region import Region, parse_regions
from server.requests.request import Inpaint, TextToAudio, parse_request
from server.requests.resolved import _DRAWN_SEED

TEXT = next(cls for cls in SUBMISSIONS if cls.address == "/ldm/text")


@pytest.mark.parametrize(
    ("name", "value", "field", "number"),
    [
        ("seed", "3", "seed", 3),
        ("seed", 3.0, "seed", 3),
        ("num_inference_steps", "8.0", "num_inference_steps", 8),
        ("steps", 8, "num_inference_steps", 8),
        ("seconds", "2.5", "audio_length_in_s", 2.5),
        ("audio_length_in_s", "1:30", "audio_length_in_s", 90.0),
        ("audio_length_in_s", "0:01:02.5", "audio_length_in_s", 62.5),
        ("loop", "yes", "loop", True),
        ("loop", 1, "loop", True),
        ("beats_per_bar", "7/8", "beats_per_bar", 3.5),
        ("beats_per_bar", "3/4", "beats_per_bar", 3.0),
        ("beats_per_bar", 4, "beats_per_bar", 4.0),
        ("sample_rate", "44100", "delivery.sample_rate", 44100),
        ("delivery.channels", 2, "delivery.channels", 2),
        ("fade_in_s", "0:00.5", "delivery.fade_in_s", 0.5),
    ],
)
def test_json_takes_what_osc_takes(name: str, value: Any, field: str, number: Any) -> None:
    over_osc = TEXT.from_osc(["id", "rain", name, value]).request
    over_http = parse_request(msgspec.json.encode({"kind": "text", "prompt": "rain", name: value}))
    assert over_http == over_osc
    for part in field.split("."):
        over_http = getattr(over_http, part)
    assert over_http == number


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("seed", 3.5, "seed must be a whole number"),
        ("seed", "three", "seed must be a whole number"),
        ("seed", True, "seed must be a whole number"),
        ("seconds", "1:75", "length must be a number"),
        ("beats_per_bar", "7/9", "beats in a bar must be a number"),
        ("beats_per_bar", "0/4", r"at least 0\.25"),
    ],
)
def test_both_refuse_the_same(name: str, value: Any, sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        TEXT.from_osc(["id", "rain", name, value])
    with pytest.raises(InvalidRequest, match=sentence):
        parse_request({"kind": "text", "prompt": "rain", name: value})


def test_text_of_a_terminal_that_is_not_utf8_is_refused() -> None:
    wrong = b"rain \xff".decode("utf-8", "surrogateescape")
    for values in ({"prompt": wrong}, {"prompt": "rain", "negative_prompt": wrong}):
        with pytest.raises(InvalidRequest, match=r"prompt must be UTF-8"):
            parse_request({"kind": "text", **values})
    with pytest.raises(InvalidRequest, match=r"clip must be UTF-8 \(got 'rain"):
        parse_request({"kind": "upscale", "clip": wrong})


def test_an_unknown_name_is_answered_with_those_there_are() -> None:
    for wrong in ("samplerate", "nonsense"):
        with pytest.raises(InvalidRequest) as refused:
            parse_request({"kind": "text", "prompt": "rain", wrong: 1})
        for name in (wrong, "seed", "audio_length_in_s", "delivery.sample_rate"):
            assert name in str(refused.value)
    with pytest.raises(InvalidRequest, match=r"sample rate is given twice: 44100 and 48000"):
        parse_request(
            {
                "kind": "text",
                "prompt": "x",
                "sample_rate": 44100,
                "delivery": {"sample_rate": 48000},
            }
        )


def test_a_byte_order_mark_is_no_part_of_json_or_yaml() -> None:
    bom = b"\xef\xbb\xbf"
    assert parse_request(bom + b'{"kind": "text", "prompt": "rain"}').prompt == "rain"
    vary = parse_request({"kind": "vary", "clip": "x", "recipe": "\ufeff{}"})
    assert vary.recipe == {}  # type: ignore[union-attr]
    assert parse_set(bom + b"name: x").name == "x"
    preset = parse_preset(bom + b"name: x\nrequest: {prompt: rain, steps: '8', kind: text}")
    assert preset.request["prompt"] == "rain"


def test_seven_eight_is_three_and_a_half_quarters_everywhere() -> None:
    request = parse_request(
        {"kind": "text", "prompt": "x", "bars": 2, "bpm": 120, "beats_per_bar": "7/8"}
    )
    assert isinstance(request, TextToAudio)
    assert request.seconds == 3.5
    assert parse_set(b"name: x\nbeats_per_bar: 7/8").beats_per_bar == 3.5
    assert parse_set(b"name: x\nbeats_per_bar: 3").beats_per_bar == 3.0
    transport = Transport(lambda: 0, 48000, bpm=120.0)
    transport.set_meter(3.5)
    assert transport.bar_frame(3) == 2 * 84000
    assert transport.position(84000 + 24000) == (2, 2.0)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("1:05-1:10", 65.0, 70.0),
        ("1:05:1:10.5", 65.0, 70.5),
        ("0:58.5-1:02", 58.5, 62.0),
        ("90-95.5", 90.0, 95.5),
        ("1:00:00-1:00:02", 3600.0, 3602.0),
        ("1.5:2.5", 1.5, 2.5),
    ],
)
def test_regions_in_minutes_and_seconds(text: str, start: float, end: float) -> None:
    assert Region.parse(text) == Region(start, end)
    both = parse_regions(f"{text}, hz:2000:8000@{text}")
    assert both[1].seconds(None) == (start, end)
    assert Inpaint(clip="x", regions=text).contradictions() == ""


@pytest.mark.parametrize(
    "text", ["1:05:1", "1:75-1:80", "2-1", "-1-2", "beats:1-2", "1-2-3", "1:2:3:4:5"]
)
def test_regions_that_cannot_be_read(text: str) -> None:
    with pytest.raises(InvalidRequest, match="region"):
        Region.parse(text)


def test_drawn_seeds_come_back_from_clients_that_know_floats_only() -> None:
    last = _DRAWN_SEED - 1 + 63
    assert last < 2**24
    assert all(
        int(msgspec.msgpack.decode(msgspec.msgpack.encode(float(s)))) == s for s in (1, last)
    )
