"""The stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from osc_bridge.messages.message import Command, Message
from osc_bridge.messages.stage import stream as m
from osc_bridge.service.service import Context, Handler, Service
from osc_bridge.stage.stage import Stage
from osc_bridge.stage.stream.report import StreamReport

__all__ = ["StreamHandlers", "stream_notice"]

S = TypeVar("S", bound=m.StreamState)


class StreamHandlers:
    """Handlers of the stream."""

    def __init__(self, service: Service, stage: Stage) -> None:
        self._service = service
        self._stage = stage

    @property
    def handlers(self) -> dict[type[Command], Handler]:
        """Command class to handler."""
        stream = self._stage.stream
        return {
            m.StreamStart: self._start,
            m.StreamStop: self._stop,
            m.StreamPrompt: lambda s, c: stream.set_prompt(s.prompt, s.over_s),
            m.StreamCorners: self._set_corners,
            m.StreamXY: lambda s, c: stream.move(s.x, s.y),
            m.StreamGain: lambda s, c: stream.set_gain(s.gain_db),
            m.StreamStatus: lambda _, c: self._service.reply(c.client, self._state()),
        }

    @property
    def values(self) -> dict[type[Message], Callable[[], Message]]:
        """The values that control surfaces show."""
        stream = self._stage.stream
        return {
            m.StreamGain: lambda: m.StreamGain(stream.settings.gain_db),
            m.StreamPrompt: lambda: m.StreamPrompt(stream.status().prompt, stream.settings.morph_s),
            m.StreamCorners: self._corners,
            m.StreamXY: lambda: m.StreamXY(*stream.position),
            m.StreamState: self._state,
        }

    async def _start(self, command: m.StreamStart, context: Context) -> None:
        self._stage.panic.check(context.panic_count)
        live_set = self._stage.live_set
        prompt = command.prompt or (live_set.stream_prompt if live_set else "")
        await self._stage.start_stream(prompt)
        self._service.reply(context.client, self._state())

    async def _stop(self, command: m.StreamStop, context: Context) -> None:
        await self._stage.stream.stop(command.fade_s)
        self._service.reply(context.client, self._state())

    def _set_corners(self, command: m.StreamCorners, context: Context) -> None:
        corners = (command.left_bottom, command.right_bottom, command.left_top, command.right_top)
        self._stage.stream.set_corners([corner for corner in corners if corner])

    def _corners(self) -> m.StreamCorners:
        corners = self._stage.stream.corners
        return m.StreamCorners(*corners, *[""] * (4 - len(corners)))

    def _state(self) -> m.StreamState:
        return _state(m.StreamState, self._stage.stream.status())


def stream_notice(report: StreamReport) -> m.StreamNotice:
    """The notice of a change of the stream."""
    return _state(m.StreamNotice, report)


def _state(kind: type[S], report: StreamReport) -> S:
    return kind(
        state=report.state,
        prompt=report.prompt,
        rung=report.rung,
        num_inference_steps=report.num_inference_steps,
        real_time_factor=report.real_time_factor,
        rendered=report.rendered,
        recombined=report.recombined,
        method=report.method,
        error=report.error,
    )
