"""Regions of a clip: a span of time in seconds or beats, and optionally a frequency band.

>>> Region.parse("1.0:2.5")
Region(start=1.0, end=2.5, in_beats=False, low_hz=None, high_hz=None)
>>> Region.parse("beats:4:8").seconds(bpm=120.0)
(2.0, 4.0)
>>> Region.parse("1:05-1:10").seconds(bpm=None)
(65.0, 70.0)
>>> str(Region.parse("hz:2000:8000@1:2.5"))
'hz:2000:8000@1:2.5'
>>> [str(region) for region in parse_regions("0:1, 3:4.5")]
['0:1', '3:4.5']
"""

from __future__ import annotations

import math
import re
from typing import Final

import msgspec

from server.errors import InvalidRequest
from server.requests.coercion import clock_seconds

__all__ = ["MIN_BAND_HZ", "Region", "parse_regions"]

_FORMS: Final = "START:END in seconds, M:SS-M:SS, beats:START:END, or hz:LOW:HIGH@ and one of them"
MIN_BAND_HZ: Final = 10.0
"""Narrower bands would need longer filters."""


class Region(msgspec.Struct, frozen=True):
    """A part of a clip; without ``end`` it extends to the clip's end."""

    start: float = 0.0
    end: float | None = None
    in_beats: bool = False
    low_hz: float | None = None
    high_hz: float | None = None

    @classmethod
    def parse(cls, text: str) -> Region:
        """Parse one region.

        Raises:
            InvalidRequest: none of the three forms, an end before the start, or a band that is
                too narrow.
        """
        low = high = None
        time = text.strip()
        if time.startswith("hz:"):
            band, placed, time = time.removeprefix("hz:").partition("@")
            low, high = _pair(band, text)
            if high - low < MIN_BAND_HZ:
                raise InvalidRequest(
                    f"region {text!r}: a band is at least {MIN_BAND_HZ:g} Hz wide, "
                    f"not {high - low:g}"
                )
            if not placed:
                return cls(low_hz=low, high_hz=high)
        in_beats = time.startswith("beats:")
        start, end = _pair(time[6:], text) if in_beats else _times(time, text)
        return cls(start, end, in_beats, low, high)

    def __str__(self) -> str:
        beats = "beats:" if self.in_beats else ""
        time = "" if self.end is None else f"{beats}{self.start:g}:{self.end:g}"
        if self.low_hz is None or self.high_hz is None:
            return time
        return f"hz:{self.low_hz:g}:{self.high_hz:g}" + (f"@{time}" if time else "")

    def seconds(self, bpm: float | None, length_s: float = math.inf) -> tuple[float, float]:
        """Start and end in seconds within a clip of ``length_s``.

        Raises:
            InvalidRequest: beats without a tempo, or a region outside the clip.
        """
        if self.in_beats and not bpm:
            raise InvalidRequest(f"region {self}: beats need a tempo (bpm)")
        beat = 60.0 / bpm if self.in_beats and bpm else 1.0
        start = self.start * beat
        end = length_s if self.end is None else min(self.end * beat, length_s)
        if start >= end:
            raise InvalidRequest(f"region {self} lies outside the clip, which is {length_s:g} s")
        return start, end


def parse_regions(text: str) -> tuple[Region, ...]:
    """The regions in ``text``, separated by commas or spaces.

    Raises:
        InvalidRequest: no region, or one that cannot be parsed.
    """
    regions = tuple(Region.parse(part) for part in re.split(r"[,;\s]+", text.strip()) if part)
    if not regions:
        raise InvalidRequest(f"regions is empty: name what to replace as {_FORMS}")
    return regions


def _times(text: str, whole: str) -> tuple[float, float]:
    """Start and end: numbers of seconds, or minutes and seconds as hosts show them."""
    parts = text.split("-") if "-" in text else text.split(":")
    if len(parts) == 4:
        parts = [":".join(parts[:2]), ":".join(parts[2:])]
    try:
        start, end = map(clock_seconds, parts)
    except ValueError as error:
        raise InvalidRequest(f"region {whole!r}: write {_FORMS}") from error
    return _ordered(start, end, whole)


def _pair(text: str, whole: str) -> tuple[float, float]:
    try:
        low, high = (float(number) for number in text.split(":"))
    except ValueError as error:
        raise InvalidRequest(f"region {whole!r}: write {_FORMS}") from error
    return _ordered(low, high, whole)


def _ordered(low: float, high: float, whole: str) -> tuple[float, float]:
    if not 0.0 <= low < high < math.inf:
        raise InvalidRequest(f"region {whole!r}: {low:g} to {high:g} is empty or below 0")
    return low, high
