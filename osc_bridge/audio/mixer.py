"""The mixer: sums voices from the sample store, limits the sum and keeps it in the capture ring.

Part of the audio callback: ``render`` allocates no array (buffers are made at the start, numpy
writes with ``out=``), takes no lock, and never logs or waits. A command takes effect at its own
frame, also in the middle of a block.
"""

from __future__ import annotations

import time
from bisect import insort
from typing import Any, Final

import numpy as np

from osc_bridge.audio.arena import CHANNELS, MAX_BLOCK, Arena, Event, Gauge, Op
from osc_bridge.audio.limiter import Limiter
from osc_bridge.audio.voice import Ramp, Scratch, Voice, shape
from server.audio.waveform import Samples

__all__ = ["CHOKE_S", "MAX_VOICES", "Mixer"]

MAX_VOICES: Final = 64
CHOKE_S: Final = 0.005
"""Fade-out of a voice that another one of its choke group replaces."""
_MAX_PENDING: Final = 512

Command = tuple[Any, ...]
"""A record of the command ring without its sequence."""


class Mixer:
    """Executes the commands in the arena.

    Args:
        arena: holds commands, samples and gauges.
        sample_rate: of the device in Hz.
        frame: number of the first frame to render.
    """

    def __init__(self, arena: Arena, sample_rate: int, frame: int = 0) -> None:
        self.arena = arena
        self.sample_rate = sample_rate
        self.frame = frame
        self._free = [Voice() for _ in range(MAX_VOICES)]
        self._sounding: list[Voice] = []
        self._pending: list[tuple[int, int, Command]] = []
        self._order = 0
        self._choke_frames = round(CHOKE_S * sample_rate)
        self._master = Ramp(1.0)
        self._monitor = Ramp(0.0)
        self._limiter = Limiter(MAX_BLOCK, sample_rate)
        self._mix = np.zeros((MAX_BLOCK, CHANNELS), np.float32)
        self._scratch = Scratch(MAX_BLOCK)
        if arena.gauges[Gauge.SAMPLE_RATE] in (0, sample_rate):
            arena.silence(arena.position()[0], frame)
        else:  # what was played at another rate cannot be used
            arena.silence(0, arena.played.shape[0])
        arena.gauges[Gauge.SAMPLE_RATE] = sample_rate
        arena.gauges[Gauge.LATENCY_NS] = 0
        arena.gauges[Gauge.FIRST_OWN] = 0
        # Before the first block is rendered, the position must not be that of the last device.
        arena.publish(frame, time.monotonic_ns())

    def render(self, frames: int, recorded: Samples | None = None) -> Samples:
        """The next ``frames`` (<= MAX_BLOCK) frames [frames, 2], valid until the next call.

        Args:
            frames: how many.
            recorded: the input of the block [frames, 2], kept in the input bus.
        """
        self._collect()
        mix = self._mix[:frames]
        mix.fill(0.0)
        start, at = self.frame, 0
        while at < frames:
            self._apply_due(start + at)
            until = frames
            if self._pending and self._pending[0][0] < start + frames:
                until = self._pending[0][0] - start
            self._mix_voices(mix[at:until], start + until)
            at = until
        if recorded is not None:
            self._add_monitor(mix, recorded)
        self._scale(mix, self._master)
        self._finish(mix, recorded)
        self.frame = start + frames
        return mix

    def _collect(self) -> None:
        """Read the commands in the ring; those that change pending commands take effect at once."""
        commands = self.arena.commands
        while (command := commands.pop()) is not None:
            if command[0] == Op.RETIME:
                self._retime(command)
                continue
            if command[0] in (Op.STOP_ALL, Op.RELEASE):
                self._stop_all(command[8], command[1])
                continue
            frame = command[2]
            if 0 < frame < self.frame:
                self.arena.gauges[Gauge.LATE] += 1
            if len(self._pending) < _MAX_PENDING:
                self._enter(max(frame, self.frame), command)
            elif command[0] == Op.START:
                self._send(Event.CANCELLED, command[1], self.frame)
            else:  # a stop must not wait for room
                self._enter(self.frame, command)

    def _enter(self, frame: int, command: Command) -> None:
        self._order += 1
        insort(self._pending, (frame, self._order, command))

    def _retime(self, command: Command) -> None:
        """Move the pending commands of one voice and kind to another frame."""
        _, voice, frame, kind, *_ = command
        for index, (_, order, waiting) in enumerate(self._pending):
            if waiting[0] == kind and waiting[1] == voice:
                moved = (kind, voice, frame, *waiting[3:])
                del self._pending[index]
                insort(self._pending, (max(frame, self.frame), order, moved))
                return

    def _apply_due(self, now: int) -> None:
        while self._pending and self._pending[0][0] <= now:
            _, _, command = self._pending.pop(0)
            op, voice = command[0], command[1]
            gain, fade = command[7], command[8]
            if op == Op.START:
                self._start(command, now)
            elif op == Op.STOP:
                self._stop(voice, fade, now)
            elif op == Op.GAIN:
                self._set_gain(voice, gain, fade)
            elif op == Op.CHOKE:
                self._choke(command[9], fade)
            elif op == Op.MASTER:
                self._master.go(gain, fade)
            elif op == Op.MONITOR:
                self._monitor.go(gain, fade)

    def _start(self, command: Command, now: int) -> None:
        _, id, frame, offset, frames, loop_start, period, gain, fade, choke, on_grid = command
        if choke:
            self._choke(choke, self._choke_frames)
        voice = self._take_voice(now)
        voice.start(id, offset, frames, loop_start, period)
        voice.choke = choke
        voice.gain.set(gain)
        if fade:
            voice.fade.set(0.0)
            voice.fade.go(1.0, fade)
        self._sounding.append(voice)
        self._send(Event.STARTED, id, now)
        if on_grid and frame and frame < now and not voice.skip(now - frame):
            self._end(voice, now)

    def _take_voice(self, now: int) -> Voice:
        """A free voice, else the oldest one; voices that fade out go first."""
        if not self._free:
            oldest = next((v for v in self._sounding if v.stopping), self._sounding[0])
            self.arena.gauges[Gauge.STOLEN] += 1
            self._end(oldest, now)
        return self._free.pop()

    def _stop(self, id: int, fade: int, now: int) -> None:
        for voice in self._sounding:
            if voice.id == id:
                voice.stop(fade)
                return
        for index, (_, _, waiting) in enumerate(self._pending):
            if waiting[0] == Op.START and waiting[1] == id:
                del self._pending[index]
                self._send(Event.CANCELLED, id, now)
                return

    def _stop_all(self, fade: int, below: int) -> None:
        """Stop all earlier starts; later ones, even in the same block, are played.

        Args:
            fade: in frames.
            below: only voices with smaller numbers; 0: all.
        """
        for voice in self._sounding:
            if not below or voice.id < below:
                voice.stop(fade)
        kept = []
        for entry in self._pending:
            op, id = entry[2][:2]
            if op == Op.START and (not below or id < below):
                self._send(Event.CANCELLED, id, self.frame)
            else:
                kept.append(entry)
        self._pending = kept

    def _set_gain(self, id: int, gain: float, frames: int) -> None:
        for voice in self._sounding:
            if voice.id == id:
                voice.gain.go(gain, frames)
                return

    def _choke(self, group: int, fade: int) -> None:
        for voice in self._sounding:
            if voice.choke == group:
                # One that starts on the same frame is silent from the start.
                voice.stop(fade if voice.elapsed else 0)

    def _end(self, voice: Voice, now: int) -> None:
        self._sounding.remove(voice)
        self._free.append(voice)
        self._send(Event.FINISHED, voice.id, now)

    def _send(self, event: Event, id: int, frame: int) -> None:
        self.arena.events.push_unfenced(int(event), id, frame)

    def _mix_voices(self, out: Samples, end: int) -> None:
        index = 0
        while index < len(self._sounding):
            voice = self._sounding[index]
            if voice.mix(out, self.arena.store, self._scratch):
                index += 1
            else:
                self._end(voice, end)

    def _add_monitor(self, mix: Samples, recorded: Samples) -> None:
        if not self._monitor.left and self._monitor.value == 0.0:
            return
        monitor = self._scratch.dry[: mix.shape[0]]
        np.copyto(monitor, recorded)
        self._scale(monitor, self._monitor)
        np.add(mix, monitor, out=mix)

    def _scale(self, block: Samples, gain: Ramp) -> None:
        n = block.shape[0]
        if gain.left:
            gain.fill(self._scratch.envelope, self._scratch.steps, n)
            shape(block, self._scratch.envelope[:n])
        elif gain.value != 1.0:
            np.multiply(block, gain.value, out=block)

    def _finish(self, mix: Samples, recorded: Samples | None) -> None:
        gauges = self.arena.gauges
        limited = self._limiter.gain
        peak = self._limiter.process(mix)
        if limited < 1.0 or self._limiter.gain < 1.0:
            gauges[Gauge.LIMITED] += 1
        gauges[Gauge.PEAK] = int(peak * 1_000_000)
        gauges[Gauge.VOICES] = len(self._sounding)
        if gauges[Gauge.FIRST_OWN]:
            self._look_for_survivors(int(gauges[Gauge.FIRST_OWN]))
        self._keep(self.arena.played, mix)
        if recorded is not None:
            self._keep(self.arena.recorded, recorded)

    def _look_for_survivors(self, first_own: int) -> None:
        """Publish when no voice is left of the program that has gone."""
        waiting = any(e[2][0] == Op.START and e[2][1] < first_own for e in self._pending)
        if not waiting and all(voice.id >= first_own for voice in self._sounding):
            self.arena.gauges[Gauge.FIRST_OWN] = 0

    def _keep(self, bus: Samples, block: Samples) -> None:
        """Write the block into the capture ring."""
        at = self.frame % bus.shape[0]
        first = min(block.shape[0], bus.shape[0] - at)
        bus[at : at + first] = block[:first]
        bus[: block.shape[0] - first] = block[first:]
