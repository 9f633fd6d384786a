"""Removes the jitter from the times of regular events: audio callbacks, MIDI clock ticks."""

from __future__ import annotations

import math

__all__ = ["DelayLockedLoop"]


class DelayLockedLoop:
    """A second-order delay-locked loop: F. Adriaensen, "Using a DLL to filter time" (LAC 2005).

    Args:
        period: expected time from one event to the next in seconds.
        bandwidth_hz: a smaller one is smoother and follows more slowly.
        reset_s: an event that is further off than this restarts the loop.
    """

    def __init__(self, period: float, bandwidth_hz: float = 0.5, reset_s: float = 0.1) -> None:
        self.bandwidth_hz = bandwidth_hz
        self.reset_s = reset_s
        self.period = period
        self.expected = 0.0
        self._locked = False

    def update(self, time_s: float) -> float:
        """Note an event at ``time_s``; returns when it should have happened."""
        error = time_s - self.expected
        if not self._locked or abs(error) > self.reset_s:
            self._locked = True
            self.expected = time_s + self.period
            return time_s
        omega = 2.0 * math.pi * self.bandwidth_hz * self.period
        smoothed = self.expected + math.sqrt(2.0) * omega * error
        self.expected = smoothed + self.period
        self.period += omega * omega * error
        return smoothed

    def reset(self, period: float) -> None:
        """Restart the loop with another expected ``period``."""
        self.period = period
        self._locked = False
