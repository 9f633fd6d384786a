"""Silences in the output, measured while it plays."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from benchmarks.endurance.soak_report import GAP_FRAMES, Report
from osc_bridge.audio.device import DeviceReport
from osc_bridge.daw import Instance
from osc_bridge.stage.stage import Notice

__all__ = ["GapMeter"]


class GapMeter:
    """Measures silences in the output, and the time without a device."""

    def __init__(self, running: Instance, report: Report) -> None:
        self._player = running.stage.player
        self._report = report
        self._measured_to = 0
        self._silent = 0
        self._lost_s = 0.0
        self._playing_from = self._player.frame_now()
        forward = running.stage.notify

        def notify(notice: Notice) -> None:
            forward(notice)
            if isinstance(notice, DeviceReport):
                self._device(notice)

        running.stage.notify = notify

    def _device(self, report: DeviceReport) -> None:
        if report.state in ("lost", "closed"):
            self._lost_s = time.monotonic()
            self._measured_to = 0
        elif report.state == "open" and self._lost_s:
            self._report.outages_s.append(round(time.monotonic() - self._lost_s, 3))
            # Loops are started again at once, after one fade.
            self._playing_from = self._player.frame_now() + self._player.sample_rate // 10
            self._lost_s = 0.0

    def measure(self) -> None:
        """Look for silences in what was played since the last call."""
        now = self._player.frame_now()
        if self._lost_s or now < self._playing_from:
            return
        begin = max(self._measured_to, self._playing_from, now - 10 * self._player.sample_rate)
        if now - begin < GAP_FRAMES:
            return
        captured = self._player.capture((now - begin) / self._player.sample_rate, end_frame=now)
        for quiet in _runs(np.abs(captured.samples).max(axis=1) == 0.0):
            if quiet >= GAP_FRAMES:
                self._report.gaps_s.append(round(quiet / self._player.sample_rate, 3))
        self._measured_to = now


def _runs(flags: np.ndarray[Any, np.dtype[np.bool_]]) -> list[int]:
    """Lengths of the runs of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [int(b - a) for a, b in zip(edges[::2], edges[1::2], strict=True)]
