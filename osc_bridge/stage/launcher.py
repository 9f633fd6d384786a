"""Starts and stops that wait for a beat, and move with it when the tempo changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from osc_bridge.audio.arena import Op
from osc_bridge.audio.clips import LoadedClip
from osc_bridge.audio.player import Player
from osc_bridge.stage.transport import TempoMap, Transport

__all__ = ["Launcher"]


@dataclass(frozen=True)
class _Waiting:
    voice: int
    op: Op
    beat: float


class Launcher:
    """Sends commands to the player ahead of their time, and corrects them."""

    def __init__(self, player: Player, transport: Transport) -> None:
        self._player = player
        self._transport = transport
        self._waiting: list[_Waiting] = []
        self._line = transport.map
        self._unlisten = transport.listen(self._move)

    def close(self) -> None:
        """Correct nothing any more."""
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
        """Start ``clip`` on the next multiple of ``quantum`` beats; voice and frame (0: at once).

        Raises:
            DeviceError, QueueFull: see :meth:`Player.start`.
        """
        beat, frame = self._transport.launch(quantum, earliest)
        voice = self._player.start(
            clip, frame, gain_db=gain_db, fade_s=fade_s, choke=choke, looped=looped,
            on_start=on_start, on_end=on_end,
        )  # fmt: skip
        self._wait(voice, Op.START, beat)
        return voice, frame

    def start_at_beat(self, clip: LoadedClip, beat: float, *, gain_db: float = 0.0,
                      looped: bool = False) -> tuple[int, int]:  # fmt: skip
        """Start ``clip`` at ``beat`` of the transport; voice and frame."""
        frame = self._transport.map.frame_of(beat)
        voice = self._player.start(clip, frame, gain_db=gain_db, looped=looped)
        self._wait(voice, Op.START, beat)
        return voice, frame

    def stop(self, voice: int, quantum: float, earliest: int | None, fade_s: float) -> int:
        """Stop ``voice`` on the next multiple of ``quantum``; returns the frame (0: at once)."""
        beat, frame = self._transport.launch(quantum, earliest)
        self._player.stop(voice, frame, fade_s)
        self._wait(voice, Op.STOP, beat)
        return frame

    def _wait(self, voice: int, op: Op, beat: float | None) -> None:
        self._prune()
        if beat is not None:
            self._waiting.append(_Waiting(voice, op, beat))

    def _prune(self) -> None:
        """Forget what has happened; by the map of then, not by one that is new."""
        now = self._player.frame_now()
        self._waiting = [w for w in self._waiting if self._line.frame_of(w.beat) >= now]

    def _move(self, line: TempoMap) -> None:
        self._prune()
        self._line = line
        for waiting in self._waiting:
            self._player.move(waiting.voice, max(1, line.frame_of(waiting.beat)), waiting.op)
