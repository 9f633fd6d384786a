"""The kinds of request, one class for each kind of job.

A request is frozen. Its tag names the kind everywhere: in commands, in OSC addresses and as
``"kind"`` in JSON.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Final, Literal, TypeVar, get_args

import msgspec
from msgspec import Meta

from server.errors import InvalidRequest
from server.json_errors import NOT_JSON, without_bom
from server.requests.coercion import is_utf8
from server.requests.explain import explain
from server.requests.fields import field_named
from server.requests.fill import Fill
from server.requests.named_values import by_field
from server.requests.new_sound import Bpm, NewSound, Seconds, TextToAudio
from server.requests.prompt import parse_blend, parse_stages
from server.requests.region import parse_regions
from server.requests.request_fields import MAX_TAKES, ClipRequest, Delivery, Prompt, Request

__all__ = [
    "MAX_TAKES",
    "REQUESTS",
    "AnyRequest",
    "ClipRequest",
    "Continue",
    "Delivery",
    "Fill",
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

MAX_RECIPE_BYTES: Final = 65536


class Morph(NewSound, frozen=True, kw_only=True, tag="morph"):
    """Sound that changes from one prompt to the next."""

    label: ClassVar[str] = "Morph"

    prompt: Annotated[
        Prompt,
        Meta(
            description="prompts in order: 'rain > wind > thunder', or with places from 0 to 1: "
            "'rain > wind @0.3'"
        ),
    ] = ""

    def contradictions(self) -> str:
        """Stages must be readable."""
        for stage in parse_stages(self.prompt):
            parse_blend(stage.prompt)
        return super().contradictions()


class Transfer(ClipRequest, frozen=True, kw_only=True, tag="transfer"):
    """A clip in the style of a prompt."""

    label: ClassVar[str] = "Restyle"

    strength: Annotated[
        float,
        Meta(
            ge=0.0,
            le=1.0,
            description="0 is the clip itself, 1 is the prompt alone",
            extra={"label": "Strength"},
        ),
    ] = 0.5
    loop: Annotated[
        bool,
        Meta(description="the clip is a loop and stays one", extra={"label": "The clip is a loop"}),
    ] = False


class Inpaint(ClipRequest, frozen=True, kw_only=True, tag="inpaint"):
    """Parts of a clip rendered anew; every other sample stays identical."""

    label: ClassVar[str] = "Replace"

    regions: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=4000,
            description="what to replace: 1.0:2.5, beats:4:8, hz:2000:8000@1.0:2.5, ...",
            extra={"label": "Regions", "flag": "region", "repeat": ", "},
        ),
    ]
    bpm: (
        Annotated[
            Bpm, Meta(description="tempo of regions in beats (default: that of the clip's recipe)")
        ]
        | None
    ) = None
    crossfade_s: Annotated[
        float,
        Meta(
            ge=0.0,
            le=1.0,
            description="crossfade before and after a region",
            extra={"label": "Crossfade", "unit": "s"},
        ),
    ] = 0.02

    def contradictions(self) -> str:
        """Regions must be readable."""
        parse_regions(self.regions)
        return super().contradictions()


class Continue(ClipRequest, frozen=True, kw_only=True, tag="continue"):
    """More sound after a clip, or before it."""

    label: ClassVar[str] = "Continue"

    audio_length_in_s: (
        Annotated[
            Seconds, Meta(description="length of the new part", extra={"label": "Length to add"})
        ]
        | None
    ) = None
    side: Annotated[
        Literal["after", "before"],
        Meta(description="where the new part goes", extra={"label": "Side"}),
    ] = "after"
    crossfade_s: Annotated[
        float,
        Meta(
            ge=0.0,
            le=1.0,
            description="crossfade at the join",
            extra={"label": "Crossfade", "unit": "s"},
        ),
    ] = 0.02


class Upscale(ClipRequest, frozen=True, kw_only=True, tag="upscale"):
    """The missing upper band of a dull clip."""

    label: ClassVar[str] = "Brighten"

    cutoff_hz: (
        Annotated[
            float,
            Meta(
                ge=200.0,
                le=96000.0,
                description="where the clip's own band ends (default: measured in the clip)",
                extra={"label": "Cutoff", "unit": "Hz", "flag": "cutoff"},
            ),
        ]
        | None
    ) = None


class Vary(ClipRequest, frozen=True, kw_only=True, tag="vary"):
    """A variation of a take; the distance sets how different it is.

    It renders the take's recipe with other noise. Other settings in the request replace those of
    the recipe.
    """

    label: ClassVar[str] = "Vary"

    distance: Annotated[
        float,
        Meta(
            ge=0.0,
            le=1.0,
            description="0 is the take itself, 1 another seed",
            extra={"label": "Distance"},
        ),
    ] = 0.3
    recipe: Annotated[
        dict[str, Any] | None,
        Meta(
            description="the take's own recipe, for when its file is not available",
            extra={"label": "Recipe"},
        ),
    ] = None

    def contradictions(self) -> str:
        """A recipe is no larger than those that takes carry."""
        size = len(msgspec.json.encode(self.recipe)) if self.recipe else 0
        if size > MAX_RECIPE_BYTES:
            return f"recipe has {size} bytes; at most {MAX_RECIPE_BYTES} are taken"
        return super().contradictions()


AnyRequest = TextToAudio | Transfer | Inpaint | Continue | Upscale | Vary | Morph | Fill
REQUESTS: Final[tuple[type[Request], ...]] = get_args(AnyRequest)

R = TypeVar("R", bound=Request)


def validate(request: R) -> R:
    """Return the request if every value is in range and none contradict each other.

    Raises:
        InvalidRequest: naming the field, the value and the allowed range.
    """
    try:
        checked = msgspec.convert(msgspec.to_builtins(request), type(request))
    except msgspec.ValidationError as error:
        values = msgspec.to_builtins(request)
        raise InvalidRequest(explain(error, values, type(request))) from error
    for name, value in _values(checked):
        if isinstance(value, float) and not math.isfinite(value):
            raise InvalidRequest(field_named(type(checked), name).refusal(value))
        if isinstance(value, str) and not is_utf8(value):
            raise InvalidRequest(f"{name} must be UTF-8 (got {value[:80]!r})")
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
        plain = msgspec.json.decode(without_bom(data)) if isinstance(data, bytes) else data
    except NOT_JSON as error:
        raise InvalidRequest(f"the request is not JSON: {error}") from error
    values = _by_field(_plain(plain))
    try:
        request: AnyRequest = msgspec.convert(values, AnyRequest)
    except msgspec.ValidationError as error:
        raise InvalidRequest(explain(error, values, *REQUESTS)) from error
    return validate(request)


def _by_field(values: Any) -> Any:
    """``values`` by the names of the fields, where they name a kind of request."""
    tag = values.get("kind") if isinstance(values, dict) else None
    for kind in REQUESTS:
        if kind.__struct_config__.tag == tag:
            rest = {name: value for name, value in values.items() if name != "kind"}
            return {"kind": tag, **by_field(kind, rest)}
    return values


def _plain(values: Any, levels: int = 16) -> Any:
    """``values`` with 20.0 as 20: many writers of JSON do not distinguish them.

    Raises:
        InvalidRequest: the values are nested too deeply to be encoded again.
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
