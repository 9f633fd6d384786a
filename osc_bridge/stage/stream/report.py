"""The settings of a stream, and the report of its state."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

__all__ = ["StreamReport", "StreamSettings"]


class StreamSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Length of chunks, crossfades and level of a stream."""

    chunk_s: Annotated[float, Meta(ge=1.0, le=60.0)] = 5.0
    crossfade_s: Annotated[float, Meta(ge=0.01, le=10.0)] = 0.5
    morph_s: Annotated[float, Meta(ge=0.0, le=600.0)] = 3.0
    """Time from one prompt to the next."""
    num_inference_steps: Annotated[int, Meta(ge=1, le=1000)] | None = None
    gain_db: Annotated[float, Meta(ge=-80.0, le=24.0)] = 0.0

    @property
    def lasts_s(self) -> float:
        """Playing time of a chunk until the next one takes over."""
        return max(0.1, self.chunk_s - self.crossfade_s)


class StreamReport(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a stream."""

    state: Literal["stopped", "starting", "playing"]
    prompt: str = ""
    rung: str = ""
    """full, half, quarter, fewest (steps), or recombine."""
    num_inference_steps: int = 0
    real_time_factor: float = 0.0
    """Rendering time / playing time of the last chunk; below 1 keeps up."""
    rendered: int = 0
    recombined: int = 0
    method: str = ""
    """continue or crossfade."""
    error: str = ""
