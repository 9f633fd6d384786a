"""Messages about tempo, bars, the clock source, and renders for a bar.

>>> TransportTempo(118.0).to_osc()
OscMessage('/ldm/transport/tempo', 118.0)
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from osc_bridge.choices import ClockName
from osc_bridge.messages.arguments import Bpm, Count, Path, Prompt, Seconds, Words
from osc_bridge.messages.message import Command, Message, Reply
from server.requests.new_sound import BeatsPerBar


class TransportPosition(Reply, frozen=True):
    """The position, tempo and clock of the transport."""

    address: ClassVar[str] = "/ldm/transport/position"
    bar: Annotated[int, Meta(description="bar, from 1")]
    beat: Annotated[float, Meta(description="beat in the bar, from 1.0")]
    bpm: Annotated[float, Meta(description="tempo in beats per minute")]
    beats_per_bar: Annotated[int, Meta(description="beats in a bar; a part of one counts as one")]
    clock: Annotated[str, Meta(description="the clock that leads")]
    peers: Annotated[Count, Meta(description="number of other programs on Ableton Link")]
    off_s: Annotated[float, Meta(description="last difference from the leading clock in s")]
    bar_beats: Annotated[float, Meta(description="quarter notes in a bar: 3.5 for 7/8")] = 4.0


class TransportQuery(Command, frozen=True):
    """Ask for the position of the transport."""

    address: ClassVar[str] = "/ldm/transport"
    replies: ClassVar[tuple[type[Message], ...]] = (TransportPosition,)


class TransportTempo(Command, frozen=True):
    """Set the tempo."""

    address: ClassVar[str] = "/ldm/transport/tempo"
    bpm: Bpm


class TransportMeter(Command, frozen=True):
    """Set the length of a bar."""

    address: ClassVar[str] = "/ldm/transport/meter"
    beats_per_bar: BeatsPerBar


class TransportRestart(Command, frozen=True):
    """Jump to a bar now, or at the time of the bundle."""

    address: ClassVar[str] = "/ldm/transport/restart"
    takes_time: ClassVar[bool] = True
    bar: Annotated[int, Meta(ge=1, le=100_000, description="bar, from 1")] = 1


class TransportClock(Command, frozen=True):
    """Choose the clock that leads: internal, Ableton Link, MIDI clock or OSC beats."""

    address: ClassVar[str] = "/ldm/transport/clock"
    replies: ClassVar[tuple[type[Message], ...]] = (TransportPosition,)
    clock: Annotated[ClockName, Meta(description="the clock that leads")]


class TransportBeat(Command, frozen=True):
    """A beat of the OSC clock, now or at the time of the bundle."""

    address: ClassVar[str] = "/ldm/transport/beat"
    takes_time: ClassVar[bool] = True
    beat: Annotated[float, Meta(ge=0.0, description="beat, from 0; send large ones as d or i")]
    bpm: Bpm


# --- rendering for a bar


class BarState(Reply, frozen=True):
    """The state of a render for a bar."""

    address: ClassVar[str] = "/ldm/bar/state"
    request_id: Annotated[Words, Meta(description="the request id that the client chose")]
    bar: Annotated[Count, Meta(description="the bar at which it starts")]
    state: Annotated[str, Meta(description="planned, ready, late or failed")]
    num_inference_steps: Annotated[Count, Meta(description="denoising steps")]
    num_takes: Annotated[Count, Meta(description="number of takes, of which the best one plays")]
    expected_s: Annotated[Seconds, Meta(description="expected rendering time")]
    margin_s: Annotated[Seconds, Meta(description="time left before the bar; negative: after it")]
    path: Path
    error: Annotated[Words, Meta(description="why it failed; empty where it did not")]


class BarRender(Command, frozen=True):
    """Render a take that starts on a bar; steps and takes are reduced so that it is in time."""

    address: ClassVar[str] = "/ldm/bar/render"
    replies: ClassVar[tuple[type[Message], ...]] = (BarState,)
    request_id: Annotated[str, Meta(max_length=200, description="a request id of your choice")]
    bar: Annotated[int, Meta(ge=1, le=1_000_000, description="the bar at which it starts")]
    bars: Annotated[float, Meta(ge=0.125, le=64.0, description="length in bars")]
    prompt: Prompt
    num_waveforms_per_prompt: Annotated[
        int, Meta(ge=1, le=64, description="number of takes, of which the best one plays")
    ] = 1
