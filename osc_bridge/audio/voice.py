"""A voice of the mixer: where it reads, how loud it is, when it ends.

Part of the audio callback: nothing here allocates an array, takes a lock, logs or waits.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from osc_bridge.audio.arena import CHANNELS
from server.audio.waveform import Samples

__all__ = ["Ramp", "Scratch", "Voice", "shape"]

_HALF_PI: Final = math.pi / 2


class Ramp:
    """A value that moves linearly to its target."""

    __slots__ = ("left", "step", "target", "value")

    def __init__(self, value: float = 1.0) -> None:
        self.set(value)

    def set(self, value: float) -> None:
        """Jump to ``value``."""
        self.value = self.target = value
        self.step = 0.0
        self.left = 0

    def go(self, target: float, frames: int) -> None:
        """Move to ``target`` over ``frames`` frames."""
        if frames <= 0:
            self.set(target)
            return
        self.target = target
        self.step = (target - self.value) / frames
        self.left = frames

    def fill(self, out: Samples, steps: Samples, count: int) -> None:
        """Write the next ``count`` values to ``out``; ``steps`` holds 0, 1, 2, ..."""
        run = min(count, self.left)
        if run:
            line = out[:run]
            np.multiply(steps[:run], self.step, out=line)
            np.add(line, self.value, out=line)
            self.left -= run
            self.value = self.value + self.step * run if self.left else self.target
        if run < count:
            out[run:count] = self.value

    def skip(self, count: int) -> None:
        """Move on by ``count`` frames without writing."""
        run = min(count, self.left)
        self.left -= run
        self.value = self.value + self.step * run if self.left else self.target


class Scratch:
    """Buffers for blocks of up to ``max_frames``, allocated once."""

    def __init__(self, max_frames: int) -> None:
        self.dry = np.zeros((max_frames, CHANNELS), np.float32)
        self.envelope = np.zeros(max_frames, np.float32)
        self.curve = np.zeros(max_frames, np.float32)
        self.steps = np.arange(max_frames, dtype=np.float32)


def shape(block: Samples, envelope: Samples) -> None:
    """Multiply every channel of ``block`` [n, 2] by ``envelope`` [n], in place."""
    # One channel after the other: broadcasting would make numpy allocate a buffer.
    for channel in range(CHANNELS):
        line = block[:, channel]
        np.multiply(line, envelope, out=line)


class Voice:
    """Plays one part of the sample store.

    Without a ``period`` a voice plays once. With one it repeats from ``loop_start`` on: pass n
    begins ``loop_start + round(n * period)`` frames after the start. A loop of a fractional number
    of frames stays on its bar.
    """

    __slots__ = (
        "choke", "elapsed", "ends_at", "fade", "first", "gain", "id", "last", "loop_start",
        "passes", "period", "position", "stopping",
    )  # fmt: skip

    def __init__(self) -> None:
        self.gain = Ramp()
        self.fade = Ramp()
        self.start(0, 0, 0, 0, 0.0)

    def start(self, id: int, first: int, frames: int, loop_start: int, period: float) -> None:
        """Prepare to play ``frames`` frames of the store from ``first``."""
        self.id = id
        self.first = first
        self.last = first + frames
        self.position = first
        self.loop_start = loop_start
        self.period = period
        self.passes = 1
        self.elapsed = 0
        self.ends_at = frames if period <= 0.0 else loop_start + round(period)
        self.choke = 0
        self.stopping = False
        self.gain.set(1.0)
        self.fade.set(1.0)

    def stop(self, fade_frames: int) -> None:
        """Fade out and end; a shorter fade replaces a longer one that is in progress."""
        if self.stopping and self.fade.left <= fade_frames:
            return
        self.stopping = True
        self.fade.go(0.0, fade_frames)

    def skip(self, frames: int) -> bool:
        """Move on by ``frames`` frames without playing; False where that is past the end."""
        self.gain.skip(frames)
        self.fade.skip(frames)
        self.elapsed += frames
        if self.elapsed < self.ends_at:
            self.position += frames
            return True
        if self.period <= 0.0:
            return False
        self.passes = int((self.elapsed - self.loop_start) / self.period)
        self._repeat()
        if self.elapsed >= self.ends_at:
            self._repeat()
        begun = self.loop_start + round((self.passes - 1) * self.period)
        self.position += self.elapsed - begun
        return True

    def mix(self, out: Samples, store: Samples, scratch: Scratch) -> bool:
        """Add the next frames to ``out`` [n, 2]; False where the voice has ended."""
        n = out.shape[0]
        read = self._read(store, scratch.dry, n)
        wet = scratch.dry[:read]
        if self.fade.left or self.gain.left or self.fade.value != 1.0:
            self._envelope(scratch, read)
            shape(wet, scratch.envelope[:read])
        elif self.gain.value != 1.0:
            np.multiply(wet, self.gain.value, out=wet)
        np.add(out[:read], wet, out=out[:read])
        return read == n and not (self.stopping and not self.fade.left)

    def _read(self, store: Samples, dry: Samples, n: int) -> int:
        """Copy the next frames into ``dry``; fewer than ``n`` only at the end of the voice."""
        done = 0
        while done < n:
            run = min(n - done, self.ends_at - self.elapsed)
            held = max(0, min(run, self.last - self.position))
            dry[done : done + held] = store[self.position : self.position + held]
            if held < run:
                # The period is longer than the sound: the rest is silent.
                dry[done + held : done + run] = 0.0
            self.position += run
            self.elapsed += run
            done += run
            if self.elapsed >= self.ends_at and not self._repeat():
                break
        return done

    def _repeat(self) -> bool:
        """Go back to the loop start; False where the voice is no loop."""
        if self.period <= 0.0:
            return False
        self.passes += 1
        self.position = self.first + self.loop_start
        self.ends_at = self.loop_start + round(self.passes * self.period)
        return True

    def _envelope(self, scratch: Scratch, n: int) -> None:
        """Gain times fade; the fade is a quarter sine, so that crossfades have equal power."""
        self.fade.fill(scratch.curve, scratch.steps, n)
        line = scratch.curve[:n]
        np.multiply(line, _HALF_PI, out=line)
        np.sin(line, out=line)
        self.gain.fill(scratch.envelope, scratch.steps, n)
        np.multiply(scratch.envelope[:n], line, out=scratch.envelope[:n])
