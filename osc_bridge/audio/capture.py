"""The last minutes that were played or recorded, as a clip for any job."""

from __future__ import annotations

from typing import Final, get_args

import numpy as np

from osc_bridge.audio.arena import Arena
from osc_bridge.choices import Bus
from server.audio.waveform import Waveform
from server.errors import InvalidRequest, NotFound

__all__ = ["capture"]

_MARGIN_S: Final = 1.0
"""The oldest second is left out: it may be overwritten while it is copied."""


def capture(
    arena: Arena, sample_rate: int, seconds: float, bus: Bus = "played", end_frame: int = 0
) -> Waveform:
    """The ``seconds`` before ``end_frame``, in stereo; fewer if less was played so far.

    Args:
        arena: holds the capture rings.
        sample_rate: of the device in Hz.
        seconds: length.
        bus: "played" for the outputs, "recorded" for the inputs.
        end_frame: the frame after the last one; 0 for now.

    Raises:
        InvalidRequest: no length, or more than is kept.
        NotFound: not played yet, or no longer kept.
    """
    if bus not in get_args(Bus):
        raise InvalidRequest(f"bus {bus!r}: choose played or recorded")
    ring = arena.played if bus == "played" else arena.recorded
    kept = ring.shape[0] - round(_MARGIN_S * sample_rate)
    frames = round(seconds * sample_rate)
    if not 0 < frames <= kept:
        raise InvalidRequest(f"seconds {seconds:g}: up to {kept / sample_rate:.0f} s are kept")
    now, _ = arena.position()
    end = end_frame or now
    frames = min(frames, end)
    if end > now or end - frames < max(0, now - kept):
        raise NotFound(f"{seconds:g} s before frame {end} are not in memory (now is frame {now})")
    begin = (end - frames) % ring.shape[0]
    first = min(frames, ring.shape[0] - begin)
    samples = np.concatenate([ring[begin : begin + first], ring[: frames - first]])
    return Waveform(samples, sample_rate)
