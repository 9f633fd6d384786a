"""Types of arguments, with ranges, units and descriptions; and how a field's value is sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from osc_bridge.stage.transport import MAX_BPM, MIN_BPM
from osc_bridge.wire.codec import Argument
from server.errors import InvalidRequest
from server.requests.fields import Field

SOFTEST_DB: Final = -80.0
Level = Annotated[float, Meta(ge=SOFTEST_DB, le=24.0, description="level", extra={"unit": "dB"})]
Fade = Annotated[float, Meta(ge=0.0, le=60.0, description="fade-out", extra={"unit": "s"})]
Over = Annotated[float, Meta(ge=0.0, le=600.0, extra={"unit": "s"})]
PadName = Annotated[
    str, Meta(min_length=1, max_length=60, description="number of the pad (from 1), or its name")
]
Voice = Annotated[int, Meta(ge=0, description="number of the voice, from /ldm/take/playing")]
Bpm = Annotated[float, Meta(ge=MIN_BPM, le=MAX_BPM, description="tempo", extra={"unit": "bpm"})]
Path = Annotated[
    str, Meta(max_length=4000, description="path of a sound file", extra={"file": True})
]
Prompt = Annotated[str, Meta(max_length=2000, description="what it should sound like")]
Words = Annotated[str, Meta(max_length=4000)]
Seconds = Annotated[float, Meta(extra={"unit": "s"})]
Frame = Annotated[int, Meta(ge=0, description="frame at which it starts, modulo 2^31; 0: at once")]
Count = Annotated[int, Meta(ge=0)]
Axis = Annotated[float, Meta(ge=0.0, le=1.0)]
RequestId = Annotated[str, Meta(max_length=200, description="the request id that the client chose")]
JobId = Annotated[str, Meta(max_length=200, description="the id that the server gave the job")]
EitherId = Annotated[str, Meta(max_length=200, description="request id or job id")]
Token = Annotated[
    int, Meta(ge=-(2**31), le=2**31 - 1, description="a number that is sent back unchanged")
]
ErrorCode = Annotated[str, Meta(description="error code, as over HTTP")]
Sentence = Annotated[str, Meta(description="what went wrong, and what to do")]
TakeIndex = Annotated[int, Meta(ge=0, description="index of the take, from 0")]
TakePath = Annotated[str, Meta(description="path of the finished file")]
Length = Annotated[float, Meta(ge=0, description="length", extra={"unit": "s"})]


def check_range(field: Field, value: Any) -> None:
    """Check a value against the range, choices and length of its field.

    Raises:
        InvalidRequest: it is outside.
    """
    if value is None:
        return
    too_low = field.low is not None and value < field.low
    too_high = field.high is not None and value > field.high
    unknown = field.choices and value not in field.choices
    long = (
        field.max_length is not None
        and isinstance(value, str | bytes)
        and len(value) > field.max_length
    )
    if too_low or too_high or unknown or long:
        raise InvalidRequest(field.refusal(value))


def as_argument(field: Field, value: Any) -> Argument:
    """A value of a field as an OSC argument: yes and no as 1 and 0, structures as JSON."""
    if field.type == "T" and value is not None:
        return int(value)
    if field.type == "j":
        return msgspec.json.encode(value).decode()
    return str(value) if field.type == "s" and value is not None else value


def named_values(
    address: str, arguments: Sequence[Argument], after: str
) -> list[tuple[str, Argument]]:
    """The pairs of name and value that follow the arguments ``after``.

    Raises:
        InvalidRequest: one has no partner, or a name is no text.
    """
    if len(arguments) % 2:
        raise InvalidRequest(
            f"{address}: after {after} come pairs of name and value; "
            f"{arguments[-1]!r} has no partner (a text of several words is one string)"
        )
    pairs: list[tuple[str, Argument]] = []
    for name, value in zip(arguments[::2], arguments[1::2], strict=True):
        if not isinstance(name, str):
            raise InvalidRequest(
                f"{address}: {name!r} stands where a name is expected; "
                f"after {after} come pairs of name and value"
            )
        pairs.append((name, value))
    return pairs
