"""What HARP sees: one card a kind of job, with controls made from the request's own fields.

HARP (https://github.com/TEAMuP-dev/HARP) is a sample editor that a DAW opens on a clip. It asks a
Gradio app for its ``controls``, shows them, and sends their values back in the same order. Here
are the controls and the way from values to a request; :mod:`server.harp.app` is the Gradio app.

HARP 3 shows no ``number_box`` and has no empty slider. So an optional number is a ``text_box``,
which is empty for the model's own choice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from server.errors import InvalidRequest
from server.jobs.job import Job
from server.model.manifest import Manifest
from server.requests.fields import Field, field_named, nested
from server.requests.region import parse_regions
from server.requests.request import (
    AnyRequest,
    Inpaint,
    Request,
    TextToAudio,
    Transfer,
    Upscale,
    parse_request,
)

__all__ = ["CARDS", "OUTPUTS", "Card", "controls", "labels", "request_of"]

_SLIDER_REACH: Final = 10
"""Sliders end at this many times the model's own value; a range up to 600 s is too coarse."""
_DIGITS: Final = 6
"""Significant digits of a float: HARP sends 0.7 as the float32 0.699999988."""
_VIOLET: Final = 0x807C5CFF
"""The colour of labels, as ARGB."""


class Card(msgspec.Struct, frozen=True):
    """One kind of job in HARP, served at ``/<kind>``."""

    kind: str
    request: type[Request]
    names: tuple[str, ...]
    """The fields that HARP shows, in this order."""

    @property
    def title(self) -> str:
        """The name that HARP shows."""
        return f"AudioLDM: {self.request.label}"

    def fields(self) -> list[Field]:
        """The fields behind the controls."""
        return [field_named(self.request, name) for name in self.names]


_COMMON: Final = ("num_inference_steps", "guidance_scale", "num_waveforms_per_prompt", "seed")
CARDS: Final = (
    Card(
        "text",
        TextToAudio,
        ("prompt", "negative_prompt", "audio_length_in_s", "loop", "bars", "bpm", *_COMMON),
    ),
    Card("transfer", Transfer, ("clip", "prompt", "negative_prompt", "strength", "loop", *_COMMON)),
    Card(
        "inpaint",
        Inpaint,
        ("clip", "regions", "prompt", "negative_prompt", "crossfade_s", "bpm", *_COMMON),
    ),
    Card("upscale", Upscale, ("clip", "cutoff_hz", "prompt", *_COMMON)),
)
OUTPUTS: Final[tuple[dict[str, Any], ...]] = (
    {"type": "audio_track", "label": "Take", "info": "the best take", "required": True},
    {"type": "json", "label": "Labels", "info": "the take's seed and what was replaced"},
)


def controls(card: Card, manifest: Manifest) -> dict[str, Any]:
    """The answer of the API name ``controls``."""
    summary = (card.request.__doc__ or "").partition("\n")[0]
    return {
        "card": {
            "name": card.title,
            "description": f"{summary} Model: {manifest.name} ({manifest.licence}).",
            "author": "audioldm-daw",
            "tags": ["AudioLDM", card.kind],
        },
        "inputs": [_item(field, manifest) for field in card.fields()],
        "outputs": list(OUTPUTS),
    }


def request_of(card: Card, values: Sequence[Any]) -> AnyRequest:
    """The request that the values of the controls make.

    Raises:
        InvalidRequest: naming the control, its value and what is allowed.
    """
    given: dict[str, Any] = {"kind": card.kind}
    for field, value in zip(card.fields(), values, strict=True):
        if field.extra.get("file") and not value:
            raise InvalidRequest(f"{field.subject}: put a sound on this track first")
        number = float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value
        given[field.name] = field.coerce(number)
    if given.get("bars") is not None:
        given["audio_length_in_s"] = None  # the slider always has a value; bars were typed
    return parse_request(nested(given))


def labels(job: Job) -> dict[str, Any]:
    """The marks that HARP shows over the take: its seed, its warnings, and the replaced regions."""
    take = job.takes[0]
    marks = [_mark(0.0, 0.0, f"seed {take.seed}", job.request.prompt)]
    marks += [_mark(0.0, 0.0, "note", warning) for warning in take.warnings]
    if isinstance(job.request, Inpaint):
        for region in parse_regions(job.request.regions):
            if region.in_beats and job.request.bpm is None:
                continue  # the tempo is the clip's own, which is not known here
            start_s, end_s = region.seconds(job.request.bpm, take.seconds)
            marks.append(_mark(start_s, end_s - start_s, "new", str(region)))
    return {"meta": {"_type": "pyharp.LabelList"}, "labels": marks}


def _mark(at_s: float, length_s: float, text: str, description: str) -> dict[str, Any]:
    return {
        "label_type": "AudioLabel",
        "t": at_s,
        "label": text,
        "duration": length_s,
        "description": description,
        "color": _VIOLET,
        "link": None,
        "amplitude": None,
    }


def _item(field: Field, manifest: Manifest) -> dict[str, Any]:
    """One control: its ``type`` and what that type needs."""
    named = {
        "label": f"{field.label} ({field.unit})" if field.unit else field.label,
        "info": f"{field.description} ({field.range})" if field.range else field.description,
    }
    default = getattr(manifest.defaults, field.name, field.default)
    if field.extra.get("file"):
        return {"type": "audio_track", **named, "required": True}
    if field.choices:
        # HARP takes the first of each pair, and that is also what it sends.
        pairs = [[choice, choice] for choice in field.choices]
        return {"type": "dropdown", **named, "choices": pairs, "value": default or field.choices[0]}
    if field.type == "T":
        return {"type": "toggle", **named, "value": bool(default)}
    if field.type in "if" and default is not None and field.high is not None:
        low = field.low or 0.0
        high = min(field.high, math.ceil(_SLIDER_REACH * max(1.0, default)))
        return {
            "type": "slider",
            **named,
            "minimum": low,
            "maximum": high,
            "step": 1.0 if field.type == "i" else 10.0 ** (math.floor(math.log10(high - low)) - 2),
            "value": default,
        }
    return {"type": "text_box", **named, "value": "" if default is None else str(default)}
