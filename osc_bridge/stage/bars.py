"""Renders that are to be ready when a bar begins."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec

from osc_bridge.audio.player import Player
from osc_bridge.stage.launcher import Launcher
from osc_bridge.stage.renders import BarPlan, Renders
from osc_bridge.stage.transport import Transport
from server.audio.fence.reading import read_sound
from server.errors import AudioLDMError, InvalidRequest
from server.requests.request import TextToAudio

__all__ = ["BarRenders", "BarReport"]

log = logging.getLogger("audioldm.stage.bars")


class BarReport(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a render for a bar."""

    bar: int
    state: str
    """planned, ready, late or failed."""
    plan: BarPlan
    margin_s: float
    """Time until the bar begins; negative: after it."""
    path: str = ""
    error: str = ""


class BarRenders:
    """Renders takes that start on a given bar.

    Args:
        player, transport, launcher: where and when they play.
        renders: renders them.
    """

    def __init__(
        self, player: Player, transport: Transport, launcher: Launcher, renders: Renders
    ) -> None:
        self._player = player
        self._transport = transport
        self._launcher = launcher
        self._renders = renders
        self._tasks: set[asyncio.Task[None]] = set()

    def render(
        self, request: TextToAudio, bar: int, report: Callable[[BarReport], None]
    ) -> BarReport:
        """Render ``request`` with as many takes and steps as can be ready when ``bar`` begins.

        The best take starts at that bar, or at the next one if it is late. ``report`` is called
        when it is ready. Returns the plan.

        Raises:
            InvalidRequest: even the smallest render would be late; the first possible bar is named.
            DeviceError: no device is open.
        """
        self._player.check_open()
        plan = self._plan(request, bar)
        smaller = msgspec.structs.replace(
            request,
            num_inference_steps=plan.num_inference_steps,
            num_waveforms_per_prompt=plan.num_takes,
        )
        planned = BarReport(bar=bar, state="planned", plan=plan, margin_s=plan.margin_s)
        task = asyncio.create_task(self._render(smaller, planned, report))
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._ended(task, planned, report))
        return planned

    def cancel(self) -> None:
        """Cancel all renders; each is reported as failed."""
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """Cancel all renders and wait for their end."""
        self.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _plan(self, request: TextToAudio, bar: int) -> BarPlan:
        begin = self._transport.bar_frame(bar)
        budget_s = (begin - self._player.frame_now()) / self._player.sample_rate
        plan = self._renders.plan(request, budget_s)
        if plan.margin_s < 0.0 or budget_s <= 0.0:
            needed_s = budget_s - plan.margin_s  # includes the jobs that wait already
            first = self._transport.position()[0] + 1 + int(needed_s // self._transport.bar_s) + 1
            raise InvalidRequest(
                f"bar {bar} begins in {budget_s:.2f} s; {plan.num_inference_steps} steps are ready "
                f"in {needed_s:.2f} s: the first bar that can be reached is {first}"
            )
        return plan

    async def _render(
        self, request: TextToAudio, planned: BarReport, report: Callable[[BarReport], None]
    ) -> None:
        job = await self._renders.render(request)
        path = job.takes[0].path
        clip = await self._player.load(await read_sound(path))
        try:
            begin, now = self._transport.bar_frame(planned.bar), self._player.frame_now()
            margin_s = (begin - now) / self._player.sample_rate
            bar = planned.bar
            if margin_s < 0:
                bar = max(bar, self._transport.position()[0] + 1)
            self._launcher.start_at_beat(clip, (bar - 1) * self._transport.beats_per_bar)
        finally:
            self._player.unload(clip)
        state = "ready" if margin_s >= 0 else "late"
        report(
            msgspec.structs.replace(
                planned, bar=bar, state=state, margin_s=margin_s, path=str(path)
            )
        )

    def _ended(
        self, task: asyncio.Task[None], planned: BarReport, report: Callable[[BarReport], None]
    ) -> None:
        """Report a render that did not succeed, whatever the reason."""
        self._tasks.discard(task)
        if task.cancelled():
            sentence = "stopped"
        elif (error := task.exception()) is None:
            return
        elif isinstance(error, AudioLDMError):
            sentence = str(error)
        else:
            log.error("the render for bar %d failed", planned.bar, exc_info=error)
            sentence = "internal error; see the log"
        report(msgspec.structs.replace(planned, state="failed", error=sentence))
