"""The clock source: which clock leads the transport."""

from __future__ import annotations

from collections.abc import Callable

from osc_bridge.choices import ClockName
from osc_bridge.stage.clock import Follower, LinkClock, MidiClock, monotonic_ns_at
from osc_bridge.stage.transport import Transport
from server.errors import InvalidRequest

__all__ = ["ClockSource"]


class ClockSource:
    """Lets the internal clock, Ableton Link, a MIDI clock or OSC beats lead the transport.

    Args:
        transport: what is led.
        frame_at: the frame that leaves the converter at a monotonic time in ns.
    """

    def __init__(self, transport: Transport, frame_at: Callable[[int], int]) -> None:
        self.name: ClockName = "internal"
        self._transport = transport
        self._follower = Follower(transport, frame_at)
        self._midi = MidiClock(self._follower)
        self._link: LinkClock | None = None

    async def choose(self, name: ClockName) -> None:
        """Let another clock lead.

        Raises:
            InvalidRequest: Ableton Link is not installed.
        """
        link, self._link = self._link, None
        if link:
            await link.close()
        self.name = "internal"
        if name == "link":
            self._link = LinkClock(self._follower, self._transport)
        self.name = name

    @property
    def peers(self) -> int:
        """Number of other programs on Ableton Link."""
        return self._link.peers if self._link else 0

    @property
    def error_s(self) -> float:
        """Distance of the transport from the leading clock at its last beat."""
        return self._follower.error_s

    def set_meter(self, beats_per_bar: float) -> None:
        """Change the length of a bar, which is also the quantum of Link.

        Raises:
            InvalidRequest: out of range.
        """
        self._transport.set_meter(beats_per_bar)
        if self._link:
            self._link.set_quantum(beats_per_bar)

    def set_tempo(self, bpm: float) -> None:
        """Change the tempo, for all Link peers too.

        Raises:
            InvalidRequest: out of range, or a clock leads that has its own tempo.
        """
        if self.name in ("midi", "osc"):
            raise InvalidRequest(f"the tempo comes from the {self.name} clock")
        self._transport.set_tempo(bpm)
        if self._link:
            self._link.set_tempo(bpm)

    def osc_beat(self, beat: float, bpm: float, when_s: float | None = None) -> None:
        """Follow a beat of the OSC clock, at a Unix time or now.

        Raises:
            InvalidRequest: another clock leads.
        """
        if self.name != "osc":
            raise InvalidRequest("choose the OSC clock first: /ldm/transport/clock osc")
        self._follower.follow(beat, bpm, monotonic_ns_at(when_s))

    def midi_message(self, kind: str, time_ns: int, position: int) -> None:
        """Follow a real-time MIDI message, if the MIDI clock leads."""
        if self.name == "midi":
            self._midi.receive(kind, time_ns, position)
