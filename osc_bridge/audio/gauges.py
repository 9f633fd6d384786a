"""What the audio side says of itself."""

from __future__ import annotations

import msgspec

from osc_bridge.audio.arena import Arena, Gauge
from osc_bridge.audio.device import Opened

__all__ = ["DeviceReport", "PlayerStatus", "read_status"]


class DeviceReport(msgspec.Struct, frozen=True, kw_only=True):
    """The device came, went or refused."""

    state: str
    """open, lost (it will be tried again) or closed."""
    reason: str = ""
    opened: Opened | None = None


class PlayerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of the audio side, since the player was made."""

    state: str
    device: str
    sample_rate: int
    blocksize: int
    latency_s: float
    under_runs: int
    over_runs: int
    glitches: int
    late: int
    stolen: int
    limited: int
    voices: int
    peak: float
    load: float
    """Share of the longest block's time that was used; of the blocks since the last status."""
    reopened: int


def read_status(
    arena: Arena, state: str, device: str, sample_rate: int, reopened: int
) -> PlayerStatus:
    """The gauges of now; begins a new measurement of the load."""
    gauges = arena.gauges
    blocksize = int(gauges[Gauge.BLOCKSIZE])
    load = int(gauges[Gauge.LOAD_MAX_NS]) * sample_rate / (blocksize * 1e9) if blocksize else 0.0
    gauges[Gauge.LOAD_MAX_NS] = 0
    return PlayerStatus(
        state=state,
        device=device,
        sample_rate=sample_rate,
        blocksize=blocksize,
        latency_s=int(gauges[Gauge.LATENCY_NS]) * 1e-9,
        under_runs=int(gauges[Gauge.UNDER_RUNS]),
        over_runs=int(gauges[Gauge.OVER_RUNS]),
        glitches=int(gauges[Gauge.GLITCHES]),
        late=int(gauges[Gauge.LATE]),
        stolen=int(gauges[Gauge.STOLEN]),
        limited=int(gauges[Gauge.LIMITED]),
        voices=int(gauges[Gauge.VOICES]),
        peak=int(gauges[Gauge.PEAK]) * 1e-6,
        load=load,
        reopened=reopened,
    )
