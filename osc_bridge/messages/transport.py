"""What is said about time: tempo, bars, who leads, and what is to be rendered for a bar.

>>> TransportTempo(118.0).to_osc()
OscMessage('/ldm/transport/tempo', 118.0)
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from osc_bridge.choices import ClockName
from osc_bridge.messages.arguments import Bpm, Count, Path, Prompt, Seconds, Words
from osc_bridge.messages.message import Command, Message, Reply


class TransportPosition(Reply, frozen=True):
    """Where the transport is."""

    address: ClassVar[str] = "/ldm/transport/position"
    bar: Annotated[int, Meta(description="from 1")]
    beat: Annotated[float, Meta(description="within the bar, from 1.0")]
    bpm: float
    beats_per_bar: int
    clock: Annotated[str, Meta(description="who leads")]
    peers: Annotated[Count, Meta(description="others on Ableton Link")]
    off_s: Annotated[float, Meta(description="last distance from the leading clock")]


class TransportQuery(Command, frozen=True):
    """Ask where the transport is."""

    address: ClassVar[str] = "/ldm/transport"
    replies: ClassVar[tuple[type[Message], ...]] = (TransportPosition,)


class TransportTempo(Command, frozen=True):
    """Change the tempo."""

    address: ClassVar[str] = "/ldm/transport/tempo"
    bpm: Bpm


class TransportMeter(Command, frozen=True):
    """Change the length of a bar."""

    address: ClassVar[str] = "/ldm/transport/meter"
    beats_per_bar: Annotated[int, Meta(ge=1, le=32)]


class TransportRestart(Command, frozen=True):
    """Be at a bar now, or at the bundle's time."""

    address: ClassVar[str] = "/ldm/transport/restart"
    takes_time: ClassVar[bool] = True
    bar: Annotated[int, Meta(ge=1, le=100_000)] = 1


class TransportClock(Command, frozen=True):
    """Choose who leads: internal, Ableton Link, MIDI clock or OSC beats."""

    address: ClassVar[str] = "/ldm/transport/clock"
    replies: ClassVar[tuple[type[Message], ...]] = (TransportPosition,)
    clock: ClockName


class TransportBeat(Command, frozen=True):
    """A beat of the OSC clock: now, or at the bundle's time."""

    address: ClassVar[str] = "/ldm/transport/beat"
    takes_time: ClassVar[bool] = True
    beat: Annotated[
        float, Meta(ge=0.0, description="from 0; after days as d or i: f has only 24 bits")
    ]
    bpm: Bpm


# --- rendering for a bar


class BarState(Reply, frozen=True):
    """How a render for a bar is doing."""

    address: ClassVar[str] = "/ldm/bar/state"
    request_id: Words
    bar: Count
    state: Annotated[str, Meta(description="planned, ready, late or failed")]
    num_inference_steps: Count
    num_takes: Count
    expected_s: Seconds
    margin_s: Annotated[Seconds, Meta(description="time left before the bar")]
    path: Path
    error: Words


class BarRender(Command, frozen=True):
    """Render something that sounds when a bar begins; steps and takes are chosen to be in time."""

    address: ClassVar[str] = "/ldm/bar/render"
    replies: ClassVar[tuple[type[Message], ...]] = (BarState,)
    request_id: Annotated[str, Meta(max_length=200, description="the id that the client chose")]
    bar: Annotated[int, Meta(ge=1, le=1_000_000, description="where it begins")]
    bars: Annotated[float, Meta(ge=0.125, le=64.0, description="how long it is")]
    prompt: Prompt
    num_waveforms_per_prompt: Annotated[
        int, Meta(ge=1, le=64, description="takes, of which the best one sounds")
    ] = 1
