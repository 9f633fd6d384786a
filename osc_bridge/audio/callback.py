"""The audio callback: gets a block from the mixer and publishes when the next one is due.

Nothing here allocates an array, takes a lock, logs or waits.
"""

from __future__ import annotations

import time
from typing import Any, Final

import numpy as np

from osc_bridge.audio.arena import CHANNELS, MAX_BLOCK, Arena, Gauge
from osc_bridge.audio.clock_filter import DelayLockedLoop
from osc_bridge.audio.mixer import Mixer
from server.audio.waveform import Samples

__all__ = ["BlockClock", "Callback"]

_SANE_LATENCY_NS: Final = 1_000_000_000


class BlockClock:
    """Publishes when each frame is due, without the jitter of the callbacks."""

    def __init__(self, arena: Arena, sample_rate: int) -> None:
        self._arena = arena
        self._rate = sample_rate
        self._loop = DelayLockedLoop(0.0)
        self._blocksize = 0

    def tick(self, frame: int, blocksize: int, now_ns: int) -> None:
        """Note that a block of ``blocksize`` frames up to ``frame`` was requested at ``now_ns``."""
        if blocksize != self._blocksize:
            self._blocksize = blocksize
            self._loop.reset(blocksize / self._rate)
        self._loop.update(now_ns * 1e-9)
        self._arena.publish(frame, int(self._loop.expected * 1e9))


class Callback:
    """PortAudio's callback: block in, block out, gauges.

    Args:
        mixer: renders the blocks.
        first_output, first_input: the channel pairs, counted from 1.
    """

    def __init__(self, mixer: Mixer, first_output: int = 1, first_input: int = 1) -> None:
        self._mixer = mixer
        self._gauges = mixer.arena.gauges
        self._clock = BlockClock(mixer.arena, mixer.sample_rate)
        self._out = first_output - 1
        self._in = first_input - 1
        self._recorded = np.zeros((MAX_BLOCK, CHANNELS), np.float32)

    def duplex(
        self, indata: Samples, outdata: Samples, frames: int, times: Any, status: Any
    ) -> None:
        """Fill a block; the signature is that of sounddevice.Stream."""
        now = time.monotonic_ns()
        gauges = self._gauges
        if status:
            gauges[Gauge.UNDER_RUNS] += bool(status.output_underflow)
            gauges[Gauge.OVER_RUNS] += bool(status.input_overflow)
        self.block(indata, outdata, frames)
        latency = int((times.outputBufferDacTime - times.currentTime) * 1e9)
        gauges[Gauge.LATENCY_NS] = latency if 0 < latency < _SANE_LATENCY_NS else 0
        self.account(frames, now)

    def output(self, outdata: Samples, frames: int, times: Any, status: Any) -> None:
        """Fill a block; the signature is that of sounddevice.OutputStream."""
        self.duplex(outdata[:, :0], outdata, frames, times, status)

    def silent(self, frames: int, now_ns: int) -> None:
        """Render a block that is not played."""
        self._mixer.render(frames)
        self.account(frames, now_ns)

    def block(self, indata: Samples, outdata: Samples, frames: int) -> None:
        """Render a block into ``outdata``; silence where rendering fails."""
        try:
            for at in range(0, frames, MAX_BLOCK):
                n = min(MAX_BLOCK, frames - at)
                block = self._mixer.render(n, self._record(indata[at : at + n]))
                self._route(block, outdata[at : at + n])
        except Exception:
            # A broken block must not end the PortAudio stream.
            outdata.fill(0.0)
            self._gauges[Gauge.GLITCHES] += 1

    def _record(self, indata: Samples) -> Samples | None:
        if not indata.shape[1]:
            return None
        recorded = self._recorded[: indata.shape[0]]
        pair = indata[:, self._in : self._in + CHANNELS]
        np.copyto(recorded, pair if pair.shape[1] == CHANNELS else pair[:, :1])
        return recorded

    def _route(self, block: Samples, outdata: Samples) -> None:
        if outdata.shape[1] == CHANNELS:
            np.copyto(outdata, block)
            return
        outdata.fill(0.0)
        pair = outdata[:, self._out : self._out + CHANNELS]
        if pair.shape[1] == CHANNELS:
            np.copyto(pair, block)
        else:
            np.add(block[:, :1], block[:, 1:], out=pair)
            np.multiply(pair, 0.5, out=pair)

    def account(self, frames: int, now: int) -> None:
        """Publish the clock and the load of a block that was requested at ``now`` (ns)."""
        gauges = self._gauges
        self._clock.tick(self._mixer.frame, frames, now)
        gauges[Gauge.BLOCKSIZE] = frames
        gauges[Gauge.CALLBACKS] += 1
        spent = time.monotonic_ns() - now
        gauges[Gauge.LOAD_SUM_NS] += spent
        gauges[Gauge.LOAD_MAX_NS] = max(gauges[Gauge.LOAD_MAX_NS], spent)
