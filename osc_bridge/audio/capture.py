"""What was just played, or just came in: the last minutes, as a clip for any job."""

from __future__ import annotations

from typing import Final, get_args

import numpy as np

from osc_bridge.audio.arena import Arena
from osc_bridge.choices import Bus
from server.audio.waveform import Waveform
from server.errors import InvalidRequest, NotFound

__all__ = ["capture"]

_MARGIN_S: Final = 1.0
"""The oldest second is left out: it is being overwritten while it is copied."""


def capture(
    arena: Arena, sample_rate: int, seconds: float, bus: Bus = "played", end_frame: int = 0
) -> Waveform:
    """The ``seconds`` before ``end_frame``, or before now where that is 0; stereo.

    Shorter where the device has not been open that long.

    Args:
        arena: whose capture ring is read.
        sample_rate: of the device, Hz.
        seconds: how much.
        bus: "played" is what went to the outputs, "recorded" what came from the inputs.
        end_frame: the frame after the last one wanted.

    Raises:
        InvalidRequest: nothing, or more than is kept.
        NotFound: it has not been played yet, or not kept that long.
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
