"""The request for takes between two sounds."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Self

import msgspec
from msgspec import Meta

from server.requests.new_sound import MAX_SECONDS, MIN_SECONDS, NewSound
from server.requests.request_fields import MAX_TAKES, File

__all__ = ["Fill"]

_TAKES: Final = 20
Place = Annotated[float, Meta(ge=0.0, le=1.0)]


class Fill(NewSound, frozen=True, kw_only=True, tag="fill"):
    """Takes that lead from one sound to another."""

    label: ClassVar[str] = "Fill the gap"

    clip: Annotated[
        File,
        Meta(min_length=1, description="the sound to begin with", extra={"label": "First sound"}),
    ]
    other: Annotated[
        File,
        Meta(min_length=1, description="the sound to end with", extra={"label": "Other sound"}),
    ]
    num_waveforms_per_prompt: Annotated[
        int,
        Meta(
            ge=1,
            le=MAX_TAKES,
            description="takes, evenly spread on the way",
            extra={"label": "Takes", "flag": "takes"},
        ),
    ] = _TAKES
    strength: Annotated[
        float,
        Meta(
            ge=0.0,
            le=1.0,
            description="how much is new: 0 is a mixture of both sounds, 1 keeps only their kind",
            extra={"label": "Strength"},
        ),
    ] = 0.5
    begin: Annotated[
        Place,
        Meta(
            description="where the takes begin on the way; 0 is the first sound",
            extra={"label": "Begin of the way"},
        ),
    ] = 0.0
    end: Annotated[
        Place,
        Meta(
            description="where they end; 1 is the other sound",
            extra={"label": "End of the way"},
        ),
    ] = 1.0

    def place(self, number: int) -> float:
        """Where take ``number``, from 0, is on the way from ``clip`` (0) to ``other`` (1)."""
        share = (number + 1) / (self.num_waveforms_per_prompt + 1)
        return self.begin + (self.end - self.begin) * share

    def as_long_as(self, *seconds: float) -> Self:
        """This request as long as the longest of its sounds, where it gives no length."""
        if self.seconds:
            return self
        longest = min(max(*seconds, MIN_SECONDS), MAX_SECONDS)
        return msgspec.structs.replace(self, audio_length_in_s=longest)

    def contradictions(self) -> str:
        """All takes are kept, and the sounds take the place of a prompt."""
        if (self.num_candidates or 1) > 1:
            return f"candidates {self.num_candidates}: a fill keeps all its takes; leave it out"
        return super().contradictions()

    @property
    def has_subject(self) -> bool:
        """The two sounds say what is wanted."""
        return True
