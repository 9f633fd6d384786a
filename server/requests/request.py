"""What one can ask for. A request is frozen; :mod:`server.requests.resolved` is what is rendered.

One class a kind of job; its tag is the word for it everywhere: the command, the OSC address
and ``"kind"`` in JSON.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal, TypeVar, get_args

import msgspec
from msgspec import Meta

from server.errors import InvalidRequest
from server.json_errors import NOT_JSON
from server.requests.fields import fields_of
from server.requests.prompt import parse_blend, parse_stages
from server.requests.region import parse_regions
from server.requests.request_fields import (
    MAX_TAKES,
    Bpm,
    ClipRequest,
    Delivery,
    NewSound,
    Prompt,
    Request,
    Seconds,
)

__all__ = [
    "MAX_TAKES",
    "REQUESTS",
    "AnyRequest",
    "ClipRequest",
    "Continue",
    "Delivery",
    "Inpaint",
    "Morph",
    "NewSound",
    "Request",
    "TextToAudio",
    "Transfer",
    "Upscale",
    "Vary",
    "parse_request",
    "validate",
]


class TextToAudio(NewSound, frozen=True, kw_only=True, tag="text"):
    """Sound from words."""

    variety: Annotated[
        float,
        Meta(
            ge=0.0,
            le=1.0,
            description="how far seeds of one prompt differ; less is nearer to the words (models "
            "with a list of known sounds)",
        ),
    ] = 0.75


class Morph(NewSound, frozen=True, kw_only=True, tag="morph"):
    """Sound that turns from one prompt into the next along its length."""

    prompt: Annotated[
        Prompt, Meta(description="'rain > wind > thunder', or with places: 'rain > wind @0.3'")
    ] = ""

    def contradictions(self) -> str:
        """Stages must be readable."""
        for stage in parse_stages(self.prompt):
            parse_blend(stage.prompt)
        return super().contradictions()


class Transfer(ClipRequest, frozen=True, kw_only=True, tag="transfer"):
    """A clip in the style of a prompt."""

    strength: Annotated[
        float,
        Meta(ge=0.0, le=1.0, description="0 is the clip itself, 1 is the prompt alone"),
    ] = 0.5
    loop: Annotated[bool, Meta(description="the clip is a loop and stays one")] = False


class Inpaint(ClipRequest, frozen=True, kw_only=True, tag="inpaint"):
    """Parts of a clip made anew; everything else stays as it is, to the bit."""

    regions: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=4000,
            description="what to replace: 1.0:2.5, beats:4:8, hz:2000:8000@1.0:2.5, ...",
            extra={"flag": "region", "repeat": ", "},
        ),
    ]
    bpm: Bpm | None = None
    crossfade_s: Annotated[
        float,
        Meta(ge=0.0, le=1.0, description="blend before and after a region", extra={"unit": "s"}),
    ] = 0.02

    def contradictions(self) -> str:
        """Regions must be readable, and beats need a tempo."""
        for region in parse_regions(self.regions):
            if region.in_beats and self.bpm is None:
                return f"region {region}: beats need a tempo (bpm)"
        return super().contradictions()


class Continue(ClipRequest, frozen=True, kw_only=True, tag="continue"):
    """More sound after a clip, or before it."""

    audio_length_in_s: Annotated[Seconds, Meta(description="how much is added")] | None = None
    side: Annotated[Literal["after", "before"], Meta(description="where the new sound goes")] = (
        "after"
    )
    crossfade_s: Annotated[
        float, Meta(ge=0.0, le=1.0, description="blend at the join", extra={"unit": "s"})
    ] = 0.02


class Upscale(ClipRequest, frozen=True, kw_only=True, tag="upscale"):
    """The missing upper band of a dull clip."""

    cutoff_hz: (
        Annotated[
            float,
            Meta(
                ge=200.0,
                le=96000.0,
                description="where the clip's own band ends (default: found in the clip)",
                extra={"unit": "Hz", "flag": "cutoff"},
            ),
        ]
        | None
    ) = None


class Vary(ClipRequest, frozen=True, kw_only=True, tag="vary"):
    """A take's neighbour: the same recipe from noise that is some distance away.

    Whatever is given besides replaces that setting of the take's recipe.
    """

    distance: Annotated[
        float, Meta(ge=0.0, le=1.0, description="0 is the take itself, 1 another seed")
    ] = 0.3
    recipe: Annotated[
        dict[str, Any] | None,
        Meta(description="the take's own recipe, where its file is not at hand"),
    ] = None


AnyRequest = TextToAudio | Transfer | Inpaint | Continue | Upscale | Vary | Morph
REQUESTS: Final[tuple[type[Request], ...]] = get_args(AnyRequest)

R = TypeVar("R", bound=Request)


def validate(request: R) -> R:
    """The request itself, if every value is in range and nothing contradicts.

    Raises:
        InvalidRequest: naming the field, the value and the allowed range.
    """
    try:
        checked = msgspec.convert(msgspec.to_builtins(request), type(request))
    except msgspec.ValidationError as error:
        raise InvalidRequest(_explain(error, msgspec.to_builtins(request))) from error
    for name, value in _values(checked):
        if isinstance(value, float) and not math.isfinite(value):
            raise InvalidRequest(f"{name} is {value}; a number is needed")
    wrong = checked.contradictions()
    if wrong:
        raise InvalidRequest(wrong)
    return checked


def parse_request(data: bytes | dict[str, Any]) -> AnyRequest:
    """A validated request from JSON or from plain values.

    Raises:
        InvalidRequest: not JSON, an unknown kind or field, a value out of range.
    """
    try:
        values = _plain(msgspec.json.decode(data) if isinstance(data, bytes) else data)
    except NOT_JSON as error:
        raise InvalidRequest(f"the request is not JSON: {error}") from error
    try:
        request: AnyRequest = msgspec.convert(values, AnyRequest)
    except msgspec.ValidationError as error:
        raise InvalidRequest(_explain(error, values)) from error
    return validate(request)


def _plain(values: Any, levels: int = 16) -> Any:
    """``values`` with 20.0 as 20, which JSON and many of its writers do not tell apart.

    Raises:
        InvalidRequest: nested deeper than what anybody means, and than what can be written down.
    """
    if not levels:
        raise InvalidRequest("the request is nested too deeply")
    if isinstance(values, dict):
        return {name: _plain(value, levels - 1) for name, value in values.items()}
    if isinstance(values, list):
        return [_plain(value, levels - 1) for value in values]
    return int(values) if isinstance(values, float) and values.is_integer() else values


def _values(struct: msgspec.Struct) -> Iterator[tuple[str, Any]]:
    """Names and values, those of nested structs too."""
    for name in struct.__struct_fields__:
        value = getattr(struct, name)
        if isinstance(value, msgspec.Struct):
            yield from _values(value)
        else:
            yield name, value


def _explain(error: msgspec.ValidationError, values: object) -> str:
    """msgspec's sentence with the offending value in front."""
    if missing := re.fullmatch(r"Object missing required field `(\w+)`", str(error)):
        told = {field.name: field.description for kind in REQUESTS for field in fields_of(kind)}
        told["kind"] = ", ".join(str(kind.__struct_config__.tag) for kind in REQUESTS)
        return f"{missing[1]} is missing: {told.get(missing[1], 'it is needed')}"
    message, _, path = str(error).partition(" - at `$.")
    name = path.rstrip("`")
    value = values
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return f"{name} = {value!r}: {message}" if name else message
