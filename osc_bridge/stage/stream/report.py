"""How a stream is made, and what it says of itself."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

__all__ = ["StreamReport", "StreamSettings"]


class StreamSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a stream is made."""

    chunk_s: Annotated[float, Meta(ge=1.0, le=60.0)] = 5.0
    crossfade_s: Annotated[float, Meta(ge=0.01, le=10.0)] = 0.5
    morph_s: Annotated[float, Meta(ge=0.0, le=600.0)] = 3.0
    """From one prompt to the next."""
    num_inference_steps: Annotated[int, Meta(ge=1, le=1000)] | None = None
    gain_db: Annotated[float, Meta(ge=-80.0, le=24.0)] = 0.0


class StreamReport(msgspec.Struct, frozen=True, kw_only=True):
    """How a stream is doing."""

    state: Literal["stopped", "starting", "playing"]
    prompt: str = ""
    rung: str = ""
    """full, half, quarter, fewest (steps), or recombine."""
    num_inference_steps: int = 0
    real_time_factor: float = 0.0
    """Time that the last chunk took / time that it lasts; below 1 keeps up."""
    rendered: int = 0
    recombined: int = 0
    method: str = ""
    """continue or crossfade."""
    error: str = ""
