"""The endless sound: OSC handlers."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import astuple

from osc_bridge.messages import stream as m
from osc_bridge.messages.message import Command, Message
from osc_bridge.service.service import Context, Handler, Service
from osc_bridge.stage.stage import Stage

__all__ = ["StreamService"]


class StreamService:
    """What is said about the stream."""

    def __init__(self, service: Service, stage: Stage) -> None:
        self._service = service
        self._stage = stage

    @property
    def handlers(self) -> dict[type[Command], Handler]:
        """Command class to handler."""
        stream = self._stage.stream
        return {
            m.StreamStart: self._stream_start,
            m.StreamStop: self._stream_stop,
            m.StreamPrompt: lambda s, c: stream.set_prompt(s.prompt, s.over_s),
            m.StreamCorners: self._stream_corners,
            m.StreamXY: lambda s, c: stream.move(s.x, s.y),
            m.StreamGain: lambda s, c: stream.set_gain(s.gain_db),
            m.StreamStatus: lambda _, c: self._service.reply(c.client, self._stream_state()),
        }

    async def _stream_start(self, wanted: m.StreamStart, context: Context) -> None:
        self._stage.panic.check(context.panic_count)
        live_set = self._stage.live_set
        prompt = wanted.prompt or (live_set.stream_prompt if live_set else "")
        await self._stage.start_stream(prompt)
        self._service.reply(context.client, self._stream_state())

    async def _stream_stop(self, wanted: m.StreamStop, context: Context) -> None:
        await self._stage.stream.stop(wanted.fade_s)
        self._service.reply(context.client, self._stream_state())

    def _stream_corners(self, wanted: m.StreamCorners, context: Context) -> None:
        corners = (wanted.left_bottom, wanted.right_bottom, wanted.left_top, wanted.right_top)
        self._stage.stream.set_corners([corner for corner in corners if corner])

    def _stream_state(self) -> m.StreamState:
        return m.StreamState(*astuple(self._stage.stream.status()))

    @property
    def values(self) -> dict[type[Message], Callable[[], Message]]:
        """What control surfaces show."""
        stream = self._stage.stream
        return {
            m.StreamGain: lambda: m.StreamGain(stream.settings.gain_db),
            m.StreamPrompt: lambda: m.StreamPrompt(stream.status().prompt, stream.settings.morph_s),
            m.StreamCorners: lambda: m.StreamCorners(
                *stream.corners, *[""] * (4 - len(stream.corners))
            ),
            m.StreamXY: lambda: m.StreamXY(*stream.position),
            m.StreamState: self._stream_state,
        }
