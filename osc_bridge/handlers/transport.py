"""Tempo, bars, clocks and what is rendered for a bar: OSC handlers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from osc_bridge.messages import transport as m
from osc_bridge.messages.message import Command, Message
from osc_bridge.service.service import Context, Handler, Service
from osc_bridge.stage.bars import BarReport
from osc_bridge.stage.stage import Stage
from osc_bridge.stage.transport import TempoMap
from server.requests.request import TextToAudio, validate

__all__ = ["TransportService"]

_SHOWN_BPM: Final = 0.05
"""A tempo that changed by less is not shown as changed."""


class TransportService:
    """What is said about time; tells control surfaces when the tempo changes."""

    def __init__(self, service: Service, stage: Stage) -> None:
        self._service = service
        self._stage = stage
        self._bpm = stage.transport.bpm
        stage.transport.listen(self._tempo_changed)

    @property
    def handlers(self) -> dict[type[Command], Handler]:
        """Command class to handler."""
        stage = self._stage
        return {
            m.TransportQuery: lambda _, c: self._service.reply(c.client, self._position()),
            m.TransportTempo: lambda t, c: stage.clock.set_tempo(t.bpm),
            m.TransportMeter: lambda t, c: stage.clock.set_meter(t.beats_per_bar),
            m.TransportRestart: self._restart,
            m.TransportClock: self._use_clock,
            m.TransportBeat: lambda t, c: stage.clock.osc_beat(t.beat, t.bpm, c.when_s),
            m.BarRender: self._bar_render,
        }

    def _restart(self, wanted: m.TransportRestart, context: Context) -> None:
        transport = self._stage.transport
        beat = float((wanted.bar - 1) * transport.beats_per_bar)
        frame = self._stage.frame_at_time(context.when_s)
        transport.restart(beat, frame)

    async def _use_clock(self, wanted: m.TransportClock, context: Context) -> None:
        await self._stage.clock.choose(wanted.clock)
        self._service.reply(context.client, self._position())

    def _position(self) -> m.TransportPosition:
        stage = self._stage
        bar, beat = stage.transport.position()
        return m.TransportPosition(
            bar, beat, stage.transport.bpm, stage.transport.beats_per_bar, stage.clock.name,
            stage.clock.peers, stage.clock.error_s,
        )  # fmt: skip

    def _bar_render(self, wanted: m.BarRender, context: Context) -> None:
        transport = self._stage.transport
        request = validate(TextToAudio(
            prompt=wanted.prompt, bars=wanted.bars, bpm=transport.bpm,
            beats_per_bar=transport.beats_per_bar,
            num_waveforms_per_prompt=wanted.num_waveforms_per_prompt, num_candidates=1,
        ))  # fmt: skip

        def reply(report: BarReport) -> None:
            self._service.reply(context.client, _bar_state(wanted.request_id, report))

        reply(self._stage.bars.render(request, wanted.bar, reply))

    @property
    def values(self) -> dict[type[Message], Callable[[], Message]]:
        """What control surfaces show."""
        stage, transport = self._stage, self._stage.transport
        return {
            m.TransportTempo: lambda: m.TransportTempo(transport.bpm),
            m.TransportMeter: lambda: m.TransportMeter(transport.beats_per_bar),
            m.TransportClock: lambda: m.TransportClock(stage.clock.name),
            m.TransportPosition: self._position,
        }

    def _tempo_changed(self, line: TempoMap) -> None:
        """Whoever changed it; a clock that is followed wanders all the time."""
        if abs(line.bpm - self._bpm) >= _SHOWN_BPM:
            self._bpm = line.bpm
            self._service.show(m.TransportTempo)


def _bar_state(request_id: str, report: BarReport) -> m.BarState:
    plan = report.plan
    return m.BarState(
        request_id, report.bar, report.state, plan.num_inference_steps, plan.num_takes,
        plan.expected_s, report.margin_s, report.path, report.error,
    )  # fmt: skip
