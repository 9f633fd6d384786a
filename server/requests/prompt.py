"""The syntax of prompts: blends of several parts, and stages along a take.

A blend has at least two parts joined by `` + ``, each ending in ``:weight``. Anything else is
plain words, so that colons and plus signs in a sentence are safe. Quotes make any text plain.

>>> parse_blend("rain:0.7 + distant wind:0.3")
(Part(text='rain', weight=0.7), Part(text='distant wind', weight=0.3))
>>> parse_blend("synth + bass at ratio 4:3")
(Part(text='synth + bass at ratio 4:3', weight=1.0),)
>>> [(stage.prompt, stage.at) for stage in parse_stages("rain > wind > thunder @0.9")]
[('rain', 0.0), ('wind', 0.45), ('thunder', 0.9)]
"""

from __future__ import annotations

import itertools
import re
from typing import Final

import msgspec

from server.errors import InvalidRequest

__all__ = ["Part", "PromptStage", "parse_blend", "parse_stages"]

_PART: Final = re.compile(r"\s*(?P<text>.*\S)\s*:\s*(?P<weight>[+-]?(\d+\.?\d*|\.\d+))\s*")
_PLACE: Final = re.compile(r"\s*(?P<prompt>.*\S)\s*@\s*(?P<at>\d+\.?\d*|\.\d+)\s*")
_MAX_PARTS: Final = 16


class Part(msgspec.Struct, frozen=True):
    """One text of a blend, and its weight."""

    text: str
    weight: float = 1.0


class PromptStage(msgspec.Struct, frozen=True):
    """A prompt and its place, as a fraction of the take."""

    prompt: str
    at: float


def parse_blend(prompt: str) -> tuple[Part, ...]:
    """The parts of a blend; one part of weight 1 where ``prompt`` is plain words.

    Raises:
        InvalidRequest: too many parts, or weights that cancel out.
    """
    quoted = prompt.strip()
    if len(quoted) > 1 and quoted[0] == quoted[-1] == '"':
        return (Part(quoted[1:-1]),)
    found = [_PART.fullmatch(part) for part in prompt.split(" + ")]
    parts = tuple(Part(m["text"], float(m["weight"])) for m in found if m)
    if len(parts) < 2 or len(parts) < len(found):
        return (Part(prompt),)
    if len(parts) > _MAX_PARTS:
        raise InvalidRequest(f"prompt: {len(parts)} parts; a blend has at most {_MAX_PARTS}")
    if not any(part.weight for part in parts):
        raise InvalidRequest("prompt: all weights of the blend are 0")
    return parts


def parse_stages(prompt: str) -> tuple[PromptStage, ...]:
    """The stages of a morph, `` > `` between them, each perhaps with its place ``@0.5``.

    Stages without a place are spread evenly; the first is at 0 and the last at 1.

    Raises:
        InvalidRequest: fewer than two stages, an empty one, or places out of order.
    """
    texts = prompt.split(" > ")
    if len(texts) < 2 or not all(text.strip() for text in texts):
        raise InvalidRequest(f"prompt = {prompt!r}: a morph needs two prompts, as in 'rain > wind'")
    placed = [_PLACE.fullmatch(text) for text in texts]
    prompts = [m["prompt"] if m else t.strip() for m, t in zip(placed, texts, strict=True)]
    places = _spread([float(m["at"]) if m else None for m in placed])
    if any(a >= b for a, b in itertools.pairwise(places)) or places[-1] > 1.0:
        raise InvalidRequest(f"prompt: the places {places} must rise from 0 to 1")
    return tuple(PromptStage(text, at) for text, at in zip(prompts, places, strict=True))


def _spread(places: list[float | None]) -> list[float]:
    """Places with the missing ones spread evenly between their neighbours."""
    places = [places[0] or 0.0, *places[1:-1], 1.0 if places[-1] is None else places[-1]]
    known = [index for index, place in enumerate(places) if place is not None]
    filled: list[float] = []
    for index, place in enumerate(places):
        left = max(k for k in known if k <= index)
        right = min(k for k in known if k >= index)
        low, high = places[left] or 0.0, places[right] or 0.0
        share = (index - left) / max(right - left, 1)
        filled.append(place if place is not None else round(low + share * (high - low), 6))
    return filled
