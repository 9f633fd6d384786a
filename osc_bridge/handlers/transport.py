"""Tempo, bars, the clock source, and renders for a bar."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from osc_bridge.messages.message import Command, Message
from osc_bridge.messages.stage import transport as m
from osc_bridge.service.service import Context, Handler, Service
from osc_bridge.stage.bars import BarReport
from osc_bridge.stage.stage import Stage
from osc_bridge.stage.transport import TempoMap
from server.requests.request import TextToAudio, validate

__all__ = ["TransportHandlers"]

_SHOWN_BPM: Final = 0.05
"""Control surfaces are not sent smaller changes of the tempo."""


class TransportHandlers:
    """Handlers of the transport; control surfaces are sent changes of the tempo."""

    def __init__(self, service: Service, stage: Stage) -> None:
        self._service = service
        self._stage = stage
        self._bpm = stage.transport.bpm
        stage.transport.listen(self._tempo_changed)

    @property
    def handlers(self) -> dict[type[Command], Handler]:
        """Command class to handler."""
        clock = self._stage.clock
        return {
            m.TransportQuery: lambda _, c: self._service.reply(c.client, self._position()),
            m.TransportTempo: lambda t, c: clock.set_tempo(t.bpm),
            m.TransportMeter: lambda t, c: clock.set_meter(t.beats_per_bar),
            m.TransportRestart: self._restart,
            m.TransportClock: self._choose_clock,
            m.TransportBeat: lambda t, c: clock.osc_beat(t.beat, t.bpm, c.when_s),
            m.BarRender: self._render_for_bar,
        }

    @property
    def values(self) -> dict[type[Message], Callable[[], Message]]:
        """The values that control surfaces show."""
        stage, transport = self._stage, self._stage.transport
        return {
            m.TransportTempo: lambda: m.TransportTempo(transport.bpm),
            m.TransportMeter: lambda: m.TransportMeter(transport.beats_per_bar),
            m.TransportClock: lambda: m.TransportClock(stage.clock.name),
            m.TransportPosition: self._position,
        }

    def _restart(self, command: m.TransportRestart, context: Context) -> None:
        transport = self._stage.transport
        beat = float((command.bar - 1) * transport.beats_per_bar)
        transport.restart(beat, self._stage.frame_at_time(context.when_s))

    async def _choose_clock(self, command: m.TransportClock, context: Context) -> None:
        await self._stage.clock.choose(command.clock)
        self._service.reply(context.client, self._position())

    def _position(self) -> m.TransportPosition:
        transport, clock = self._stage.transport, self._stage.clock
        bar, beat = transport.position()
        return m.TransportPosition(
            bar=bar,
            beat=beat,
            bpm=transport.bpm,
            beats_per_bar=math.ceil(transport.beats_per_bar),
            clock=clock.name,
            peers=clock.peers,
            off_s=clock.error_s,
            bar_beats=transport.beats_per_bar,
        )

    def _render_for_bar(self, command: m.BarRender, context: Context) -> None:
        transport = self._stage.transport
        request = validate(
            TextToAudio(
                prompt=command.prompt,
                bars=command.bars,
                bpm=transport.bpm,
                beats_per_bar=transport.beats_per_bar,
                num_waveforms_per_prompt=command.num_waveforms_per_prompt,
                num_candidates=1,
            )
        )

        def report(report: BarReport) -> None:
            self._service.reply(context.client, _bar_state(command.request_id, report))

        report(self._stage.bars.render(request, command.bar, report))

    def _tempo_changed(self, line: TempoMap) -> None:
        """Show the new tempo; that of an external clock jitters all the time."""
        if abs(line.bpm - self._bpm) >= _SHOWN_BPM:
            self._bpm = line.bpm
            self._service.values.refresh(m.TransportTempo)


def _bar_state(request_id: str, report: BarReport) -> m.BarState:
    return m.BarState(
        request_id=request_id,
        bar=report.bar,
        state=report.state,
        num_inference_steps=report.plan.num_inference_steps,
        num_takes=report.plan.num_takes,
        expected_s=report.plan.expected_s,
        margin_s=report.margin_s,
        path=report.path,
        error=report.error,
    )
