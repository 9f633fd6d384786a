"""The fields of jobs that make a new sound: its length, its tempo, its shape."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Final, Literal

from msgspec import Meta

from server.requests.request_fields import Request

__all__ = [
    "DEFAULT_WIDTH",
    "MAX_SECONDS",
    "MIN_SECONDS",
    "BeatsPerBar",
    "Bpm",
    "NewSound",
    "OneShot",
    "Seconds",
]

MIN_SECONDS: Final = 0.3
MAX_SECONDS: Final = 600.0
DEFAULT_WIDTH: Final = 0.6
"""Its side level is that of the narrowest quarter of stereo recordings: wide, firm in the middle.
docs/fullband.md has the measurement."""
_KEY: Final = re.compile(r"[A-G](#|b|♯|♭)? (major|minor)")

OneShot = Literal["trim", "tight", "off"]

Seconds = Annotated[
    float,
    Meta(
        ge=MIN_SECONDS,
        le=MAX_SECONDS,
        description="length of the sound",
        extra={"label": "Length", "unit": "s", "flag": "seconds"},
    ),
]
Bpm = Annotated[
    float, Meta(ge=10.0, le=999.0, description="tempo", extra={"label": "Tempo", "unit": "bpm"})
]
BeatsPerBar = Annotated[
    float,
    Meta(
        ge=0.25,
        le=32.0,
        description="quarter notes in a bar, or its metre: 3.5 or 7/8",
        extra={"label": "Beats in a bar", "metre": True},
    ),
]


class NewSound(Request, frozen=True, kw_only=True):
    """A new sound: its length, in seconds or bars, and its shape."""

    layouts: ClassVar[tuple[int | None, ...]] = (None, 1, 2, 6, 8)

    audio_length_in_s: Seconds | None = None
    bars: (
        Annotated[
            float,
            Meta(
                ge=0.125,
                le=256.0,
                description="length in bars; needs a tempo",
                extra={"label": "Bars"},
            ),
        ]
        | None
    ) = None
    bpm: Bpm | None = None
    beats_per_bar: BeatsPerBar = 4.0
    loop: Annotated[
        bool,
        Meta(
            description="the end continues in the beginning, without a seam",
            extra={"label": "Seamless loop"},
        ),
    ] = False
    key: Annotated[
        str,
        Meta(
            max_length=12,
            description="musical key, added to the prompt and checked in the take: 'A minor'",
            extra={"label": "Key"},
        ),
    ] = ""
    tune: Annotated[
        bool,
        Meta(
            description="bring a take to the note of the prompt, if it is a whole tone off at most",
            extra={"label": "In tune"},
        ),
    ] = True
    say_tempo: Annotated[
        bool,
        Meta(description="add the tempo to the prompt", extra={"label": "Tempo in the prompt"}),
    ] = False
    width: (
        Annotated[
            float,
            Meta(
                ge=0.0,
                le=1.0,
                description="stereo width; 0 is mono, 1 as wide as a stereo recording; the mono "
                "sum stays the mono take (default: 0.6 where 2 or more channels are asked for)",
                extra={"label": "Stereo width"},
            ),
        ]
        | None
    ) = None

    one_shot: (
        Annotated[
            OneShot,
            Meta(
                description="trim: begin at the onset and end with the sound; tight: the same, "
                "at the full length; off: as it was rendered (default: trim for prompts that ask "
                "for one hit, tight where a length is given)",
                extra={"label": "One-shot"},
            ),
        ]
        | None
    ) = None

    @property
    def seconds(self) -> float:
        """Length in seconds, from bars or not; 0 where the model's default decides."""
        if self.bars is not None and self.bpm is not None:
            return self.bars * self.beats_per_bar * 60.0 / self.bpm
        return self.audio_length_in_s or 0.0

    @property
    def layout(self) -> tuple[int, float]:
        """Number of channels and stereo width of the take."""
        channels, width = self.delivery.channels, self.width
        if width is None:
            width = DEFAULT_WIDTH if (channels or 1) > 1 else 0.0
        return channels or (2 if width else 1), width

    def length_s(self, default: float) -> float:
        """Length in seconds; ``default`` where the request has none."""
        return self.seconds or default

    def contradictions(self) -> str:
        """A prompt is required, and only one length."""
        if not self.prompt.strip() and not self.audio_prompt:
            return "prompt is empty: say what it should sound like"
        return (
            self._wrong_length()
            or self._wrong_music()
            or self._wrong_shape()
            or super().contradictions()
        )

    def _wrong_length(self) -> str:
        if self.bars is None:
            return ""
        if self.bpm is None:
            return f"a length of {self.bars:g} bars needs a tempo (bpm)"
        if self.audio_length_in_s is not None:
            return (
                f"{self.bars:g} bars and {self.audio_length_in_s:g} s both give the length; "
                "leave one of them out"
            )
        length = self.seconds
        if not MIN_SECONDS <= length <= MAX_SECONDS:
            return (
                f"{self.bars:g} bars at {self.bpm:g} bpm last {length:g} s; "
                f"length must be from {MIN_SECONDS:g} to {MAX_SECONDS:g} s"
            )
        return ""

    def _wrong_music(self) -> str:
        if self.key and not _KEY.fullmatch(self.key):
            return f"key must be like 'A minor', 'F# major' or 'Bb minor' (got {self.key!r})"
        if self.say_tempo and self.bpm is None:
            return "the tempo is to be in the prompt, but there is none; give one (bpm)"
        return ""

    def _wrong_shape(self) -> str:
        if self.loop and (self.delivery.fade_in_s or self.delivery.fade_out_s):
            return "a loop cannot have fades: they would sound at every repetition"
        if self.one_shot == "trim" and (self.loop or self.bars is not None):
            return "a loop, or a length in bars, is no one-shot: its length would change"
        if self.delivery.trim and (self.loop or self.bars is not None):
            return "a loop, or a length in bars, cannot be trimmed: its length would change"
        if self.width and self.delivery.channels == 1:
            return f"a stereo width of {self.width:g} needs 2 channels, not 1"
        return ""
