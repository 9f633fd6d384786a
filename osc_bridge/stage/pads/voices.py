"""The voices of a pad: started and stopped on its grid, and started again after a change."""

from __future__ import annotations

from collections.abc import Callable

from osc_bridge.audio.player import Player
from osc_bridge.stage.launcher import Launcher
from osc_bridge.stage.listening.shape import MOST_DB, Shape
from osc_bridge.stage.pads.slot import PadVoice, Slot
from osc_bridge.stage.transport import Transport, quantum_of

__all__ = ["PadVoices"]


class PadVoices:
    """Plays the takes of pads.

    Args:
        player, transport, launcher: where and when they play.
        changed: called with a slot whose voices have changed.
    """

    def __init__(
        self,
        player: Player,
        transport: Transport,
        launcher: Launcher,
        changed: Callable[[Slot], None],
    ) -> None:
        self._player = player
        self._transport = transport
        self._launcher = launcher
        self._changed = changed

    def start(self, slot: Slot, frame: int | None = None) -> int:
        """Start the current take on the grid of the pad; returns the frame (0: at once)."""
        return self._start(slot, self._quantum(slot), frame)

    def stop(self, slot: Slot, frame: int | None = None) -> int:
        """Stop all voices on the grid of the pad; returns the frame (0: at once)."""
        quantum = self._quantum(slot)
        _, at = self._transport.launch(quantum, frame)
        self._cancel_scheduled(slot, lambda begin: begin >= at)
        for voice in slot.voices.keys() - slot.stopping:
            slot.stopping.add(voice)
            self._launcher.stop(voice, quantum, frame, slot.pad.fade_s)
        return at

    def restart(self, slot: Slot) -> None:
        """Start the current take in place of the old one.

        On the next bar where the pad plays; where it is scheduled, when it was to start.
        """
        plays = any(v.begun and n not in slot.stopping for n, v in slot.voices.items())
        scheduled = self._cancel_scheduled(slot, lambda begin: True)
        if plays:
            # The choke group fades the old take out where the new one starts.
            self._start(slot, float(self._transport.beats_per_bar), None)
        elif scheduled:
            self._start(slot, self._quantum(slot), max(scheduled) or None)

    def silence(self, slot: Slot) -> None:
        """Stop all voices at once."""
        for voice in slot.voices:
            self._player.stop(voice)

    def set_gain(self, slot: Slot, gain_db: float) -> None:
        """Set the level of the pad, and of the voices that play."""
        slot.gain_db = gain_db
        for number, voice in slot.voices.items():
            self._player.set_gain(number, gain_db + voice.level_db)

    def quieten(self, slot: Slot, shape: Shape) -> None:
        """Keep what plays below the ceiling of ``shape``, until new takes replace it."""
        slot.gain_db = min(slot.gain_db, MOST_DB)
        room_db = min((shape.room_db(clip.source) for clip in slot.clips), default=0.0)
        for number, voice in slot.voices.items():
            self._player.set_gain(number, min(room_db, slot.gain_db) + voice.level_db)

    def _quantum(self, slot: Slot) -> float:
        return quantum_of(slot.pad.quantise, self._transport.beats_per_bar)

    def _start(self, slot: Slot, quantum: float, frame: int | None) -> int:
        voice, number = PadVoice(slot.level_db), 0

        def started() -> None:
            voice.begun = True
            self._changed(slot)

        def ended() -> None:
            slot.voices.pop(number, None)
            slot.stopping.discard(number)
            self._changed(slot)

        number, at = self._launcher.start(
            slot.clip, quantum, frame, gain_db=slot.gain_db + voice.level_db, choke=slot.group,
            looped=slot.loops, on_start=started, on_end=ended,
        )  # fmt: skip
        # Two hits for one beat are one. What a sequencer sent ahead for another time stays.
        self._cancel_scheduled(slot, lambda begin: begin == at)
        slot.voices[number] = voice
        self._changed(slot)
        return at

    def _cancel_scheduled(self, slot: Slot, starts: Callable[[int], bool]) -> list[int]:
        """Cancel the voices that have yet to start at such a frame; returns the frames."""
        cancelled = []
        for number, voice in slot.voices.items():
            begin = self._player.start_frame(number)
            if not voice.begun and number not in slot.stopping and starts(begin):
                slot.stopping.add(number)
                self._player.stop(number)
                cancelled.append(begin)
        return cancelled
