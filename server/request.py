"""What one can ask for. A request is frozen; the one that arrives is the one that is rendered.

The ranges stand here and nowhere else: validation, ``--help``, the OSC table, the OSCQuery
tree and the HTTP schema are read from these fields. Field names are diffusers' own.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from server.errors import InvalidRequest
from server.formats import FileFormat
from server.manifest import Manifest

__all__ = [
    "MAX_TAKES",
    "Delivery",
    "Request",
    "TextToAudio",
    "parse_request",
    "resolve",
    "settled",
    "validate",
]

MAX_TAKES: Final = 64
MAX_SEED: Final = 2**63 - 1
_DRAWN_SEED: Final = 2**31
"""Seeds drawn here fit an OSC int32, so that every client can send them back."""

Sampler = Literal["ddim", "dpmpp_2m", "unipc"]
Prompt = Annotated[str, Meta(max_length=2000, description="what it should sound like")]
Seconds = Annotated[float, Meta(ge=0.3, le=600.0, description="length", extra={"unit": "s"})]
Unit = Annotated[float, Meta(ge=0.0, le=1.0)]


class Delivery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How takes are handed over."""

    sample_rate: Annotated[
        int, Meta(ge=8000, le=192000, description="rate of the file", extra={"unit": "Hz"})
    ] = 48000
    channels: Annotated[int, Meta(ge=1, le=2, description="mono or stereo")] = 1
    file_format: FileFormat = "wav24"


class Request(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"
):
    """What all jobs share. None means: the model's own default."""

    prompt: Prompt = ""
    negative_prompt: Annotated[
        str, Meta(max_length=2000, description="what it should not sound like")
    ] = ""
    num_inference_steps: (
        Annotated[int, Meta(ge=1, le=1000, description="denoising steps")] | None
    ) = None
    guidance_scale: (
        Annotated[float, Meta(ge=0.0, le=50.0, description="how strictly the prompt is followed")]
        | None
    ) = None
    num_waveforms_per_prompt: Annotated[
        int, Meta(ge=1, le=MAX_TAKES, description="takes to render")
    ] = 1
    sampler: Sampler | None = None
    eta: Annotated[float, Meta(ge=0.0, le=1.0, description="fresh noise a step (ddim only)")] = 0.0
    seed: Annotated[int, Meta(ge=0, le=MAX_SEED, description="same seed, same sound")] | None = None
    delivery: Delivery = Delivery()

    def contradictions(self) -> str:
        """What is wrong with the values taken together; empty where nothing is."""
        if self.eta and self.sampler not in (None, "ddim"):
            return f"eta {self.eta} belongs to the ddim sampler, not to {self.sampler}"
        return ""


class TextToAudio(Request, frozen=True, kw_only=True, tag="text"):
    """Sound from words."""

    audio_length_in_s: Seconds | None = None

    def contradictions(self) -> str:
        """A prompt is needed."""
        if not self.prompt.strip():
            return "prompt is empty: say what it should sound like"
        return super().contradictions()


R = TypeVar("R", bound=Request)
T = TypeVar("T")

REQUESTS: Final[tuple[type[Request], ...]] = (TextToAudio,)
AnyRequest = TextToAudio


def validate(request: R) -> R:
    """The request itself, if every value is in range and nothing contradicts.

    Raises:
        InvalidRequest: naming the field, the value and the allowed range.
    """
    try:
        checked = msgspec.convert(msgspec.to_builtins(request), type(request))
    except msgspec.ValidationError as error:
        raise InvalidRequest(_explain(error, msgspec.to_builtins(request))) from error
    for name in request.__struct_fields__:
        value = getattr(request, name)
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
        values = msgspec.json.decode(data) if isinstance(data, bytes) else data
        request: AnyRequest = msgspec.convert(values, AnyRequest)
    except msgspec.ValidationError as error:
        raise InvalidRequest(_explain(error, values)) from error
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"the request is not JSON: {error}") from error
    return validate(request)


def resolve(
    request: R, manifest: Manifest, draw_seed: Callable[[int], int] = secrets.randbelow
) -> R:
    """The request with every open setting filled in from the model: the take's recipe."""
    defaults = manifest.defaults
    filled: dict[str, Any] = {
        "num_inference_steps": defaults.num_inference_steps,
        "guidance_scale": defaults.guidance_scale,
        "sampler": "ddim" if request.eta else defaults.sampler,
        "audio_length_in_s": defaults.audio_length_in_s,
        "seed": None,
    }
    open_fields = {
        name: value
        for name, value in filled.items()
        if name in request.__struct_fields__ and getattr(request, name) is None
    }
    if "seed" in open_fields:
        open_fields["seed"] = draw_seed(_DRAWN_SEED)
    return msgspec.structs.replace(request, **open_fields)


def settled(value: T | None) -> T:
    """A setting of a resolved request, which :func:`resolve` has filled in.

    Raises:
        InvalidRequest: it was not resolved.
    """
    if value is None:
        raise InvalidRequest("a setting is still open; resolve() the request first")
    return value


def _explain(error: msgspec.ValidationError, values: object) -> str:
    """msgspec's sentence with the offending value in front."""
    message, _, path = str(error).partition(" - at `$.")
    name = path.rstrip("`")
    value = values
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return f"{name} = {value!r}: {message}" if name else message
