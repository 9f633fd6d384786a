"""Starts and stops that are scheduled for a beat, and move with it when the tempo changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from osc_bridge.audio.arena import Op
from osc_bridge.audio.clips import LoadedClip
from osc_bridge.audio.player import Player
from osc_bridge.stage.transport import TempoMap, Transport

__all__ = ["Launcher"]


@dataclass(frozen=True)
class _Scheduled:
    voice: int
    op: Op
    beat: float


class Launcher:
    """Schedules voices on beats.

    Args:
        player: plays them.
        transport: gives the frame of a beat.
    """

    def __init__(self, player: Player, transport: Transport) -> None:
        self._player = player
        self._transport = transport
        self._scheduled: list[_Scheduled] = []
        self._line = transport.map
        self._unlisten = transport.listen(self._reschedule)

    def close(self) -> None:
        """Stop following the transport."""
        self._unlisten()

    def start(
        self,
        clip: LoadedClip,
        quantum: float,
        earliest: int | None = None,
        *,
        gain_db: float = 0.0,
        fade_s: float = 0.0,
        choke: int = 0,
        looped: bool = True,
        on_start: Callable[[], None] | None = None,
        on_end: Callable[[], None] | None = None,
    ) -> tuple[int, int]:
        """Start ``clip`` on the next multiple of ``quantum`` beats.

        Args:
            clip: what is played.
            quantum: grid in beats; 0 is none.
            earliest: frame before which it cannot start; now where None.
            gain_db, fade_s, choke, looped, on_start, on_end: see :meth:`Player.start`.

        Returns:
            The voice, and the frame at which it starts (0: at once).

        Raises:
            DeviceError: no device is open.
            QueueFull: too many commands at once.
        """
        beat, frame = self._transport.launch(quantum, earliest)
        voice = self._player.start(
            clip, frame, gain_db=gain_db, fade_s=fade_s, choke=choke, looped=looped,
            on_start=on_start, on_end=on_end,
        )  # fmt: skip
        self._schedule(voice, Op.START, beat)
        return voice, frame

    def start_at_beat(self, clip: LoadedClip, beat: float, *, gain_db: float = 0.0,
                      looped: bool = False) -> tuple[int, int]:  # fmt: skip
        """Start ``clip`` at a beat of the transport; returns the voice and the frame."""
        frame = self._transport.map.frame_of(beat)
        voice = self._player.start(clip, frame, gain_db=gain_db, looped=looped)
        self._schedule(voice, Op.START, beat)
        return voice, frame

    def stop(self, voice: int, quantum: float, earliest: int | None, fade_s: float) -> int:
        """Stop ``voice`` on the next multiple of ``quantum``; returns the frame (0: at once)."""
        beat, frame = self._transport.launch(quantum, earliest)
        self._player.stop(voice, frame, fade_s)
        self._schedule(voice, Op.STOP, beat)
        return frame

    def _schedule(self, voice: int, op: Op, beat: float | None) -> None:
        self._prune()
        if beat is not None:
            self._scheduled.append(_Scheduled(voice, op, beat))

    def _prune(self) -> None:
        """Drop what has happened, by the tempo map that was in use until now."""
        now = self._player.frame_now()
        self._scheduled = [w for w in self._scheduled if self._line.frame_of(w.beat) >= now]

    def _reschedule(self, line: TempoMap) -> None:
        self._prune()
        self._line = line
        for entry in self._scheduled:
            self._player.move(entry.voice, max(1, line.frame_of(entry.beat)), entry.op)
