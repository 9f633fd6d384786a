"""Sound cards: the settings to open one, what was opened, and its current numbers."""

from __future__ import annotations

from typing import Final, Self

import msgspec

from osc_bridge.audio.arena import Arena, ArenaShape, Gauge
from server.errors import InvalidRequest

__all__ = [
    "NO_DEVICE",
    "DeviceInfo",
    "DeviceReport",
    "DeviceSettings",
    "Opened",
    "Playing",
    "PlayerStatus",
    "read_status",
]

MIN_RATE: Final = 8000
MIN_BLOCK: Final = 16
NO_DEVICE: Final = "none"
"""The name of the output that keeps time without a sound card."""


class DeviceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Which sound card to open, and how."""

    device: str = ""
    """Number, part of the name, or "none"; empty for the default of the host API."""
    host_api: str = ""
    """Part of its name (ALSA, JACK, CoreAudio, ASIO ...); empty for JACK where a server runs."""
    sample_rate: int = 0
    """In Hz; 0 for the device's own."""
    blocksize: int = 128
    """In frames; 0 for what the host prefers. JACK always uses the period of its server."""
    first_output: int = 1
    """First channel of the output pair, counted from 1."""
    first_input: int = 1
    """First channel of the input pair; 0 opens no inputs."""
    input_device: str = ""
    """Where inputs are another device than outputs; empty for the inputs of ``device``."""

    def checked(self) -> Self:
        """Return the settings if a device can have them.

        Raises:
            InvalidRequest: a rate or a block that is too small.
        """
        for name, value, least, unit in (
            ("sample_rate", self.sample_rate, MIN_RATE, "Hz"),
            ("blocksize", self.blocksize, MIN_BLOCK, "frames"),
        ):
            if 0 < value < least:
                raise InvalidRequest(
                    f"{name} must be 0, which is the card's own, or at least {least} {unit} "
                    f"(got {value})"
                )
        return self


class DeviceInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One sound card as PortAudio lists it."""

    id: int
    name: str
    host_api: str
    inputs: int
    outputs: int
    sample_rate: int
    default: bool = False


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """What was opened."""

    name: str
    host_api: str = ""
    sample_rate: int = 48000
    outputs: int = 2
    inputs: int = 0
    latency_s: float = 0.0
    realtime: bool = False
    """True where the system granted real-time priority."""


class Playing(msgspec.Struct, frozen=True, kw_only=True):
    """An audio process, as a program that is started again finds it."""

    pid: int
    stamp: int
    """The number of its memory."""
    arena: str
    """Where its memory can be opened."""
    shape: ArenaShape
    settings: DeviceSettings
    opened: Opened


class DeviceReport(msgspec.Struct, frozen=True, kw_only=True):
    """The device was opened, was lost or cannot be opened."""

    state: str
    """open, lost (it is tried again) or closed."""
    reason: str = ""
    opened: Opened | None = None


class PlayerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of the audio process, since the player was made."""

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
    """Rendering time / playing time of the slowest block since the last status."""
    reopened: int


def read_status(
    arena: Arena, state: str, device: str, sample_rate: int, reopened: int
) -> PlayerStatus:
    """Read the gauges and start a new measurement of the load."""
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
