"""The stage's OSC handlers: typed messages in, calls on the stage, replies and notices out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shlex
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from osc_bridge import stage_messages as m
from osc_bridge.arena import ArenaShape
from osc_bridge.card import Output
from osc_bridge.client_table import Sender
from osc_bridge.codec import Argument, OscMessage, encode
from osc_bridge.device import DeviceSettings, list_devices
from osc_bridge.gauges import DeviceReport
from osc_bridge.liveset import MidiBinding, list_sets
from osc_bridge.messages import Command, Message, Reply
from osc_bridge.midi import list_midi_inputs
from osc_bridge.pads import PadReport
from osc_bridge.service import Context, Handler, Service
from osc_bridge.stage import BarReport, Notice, Stage, VoiceReport
from osc_bridge.stream_report import StreamReport
from osc_bridge.takes import AllowedFolders
from osc_bridge.transport import TempoMap
from server.engine import Engine
from server.errors import Cancelled, InvalidRequest
from server.request import TextToAudio, validate

__all__ = ["StageService", "stage_on"]

log = logging.getLogger("audioldm.stage")

_SHOWN_BPM: Final = 0.05
"""A tempo that changed by less is not shown as changed."""


@asynccontextmanager
async def stage_on(
    engine: Engine,
    service: Service,
    folders: AllowedFolders,
    output: Output | None = None,
    shape: ArenaShape | None = None,
) -> AsyncIterator[Stage]:
    """A stage that answers OSC inside the context; no device is open yet."""
    stage = Stage(engine, lambda notice: None, output, shape)
    try:
        service.add(StageService(service, stage, folders).handlers)
        yield stage
    finally:
        await stage.close()


class StageService:
    """Maps addresses to a stage.

    Args:
        service: where handlers are added and notices go out.
        stage: what sounds; its notices come here.
        folders: which files clients may name.
    """

    def __init__(self, service: Service, stage: Stage, folders: AllowedFolders) -> None:
        self._service = service
        self._stage = stage
        self._folders = folders
        self._stopped = -1
        """Number of the last message that stopped everything."""
        self._midi = Sender("midi", lambda data: log.debug("answer to MIDI: %r", data))
        service.values |= self._values
        self._bpm = stage.transport.bpm
        stage.transport.listen(self._tempo_changed)
        stage.notify = self.tell
        stage.router.send = self._send_to_ourselves

    @property
    def handlers(self) -> dict[type[Command], Handler]:
        """Command class to handler."""
        return {
            **self._device_handlers(),
            **self._transport_handlers(),
            **self._pad_handlers(),
            **self._stream_handlers(),
            m.MidiList: self._midi_list,
            m.MidiOpen: self._midi_open,
            m.MidiClose: lambda _, c: self._stage.close_midi(),
            m.MidiBind: self._midi_bind,
        }

    @property
    def _values(self) -> dict[type[Message], Callable[[], Message]]:
        """What control surfaces show of how things stand."""
        stage, player, stream = self._stage, self._stage.player, self._stage.stream
        transport = stage.transport
        return {
            m.MasterGain: lambda: m.MasterGain(player.master_db),
            m.MonitorGain: lambda: m.MonitorGain(max(player.monitor_db, m.SOFTEST_DB)),
            m.TransportTempo: lambda: m.TransportTempo(transport.bpm),
            m.TransportMeter: lambda: m.TransportMeter(transport.beats_per_bar),
            m.TransportClock: lambda: m.TransportClock(stage.clock),
            m.StreamGain: lambda: m.StreamGain(stream.settings.gain_db),
            m.StreamPrompt: lambda: m.StreamPrompt(stream.status().prompt, stream.settings.morph_s),
            m.StreamCorners: lambda: m.StreamCorners(
                *stream.corners, *[""] * (4 - len(stream.corners))
            ),
            m.StreamXY: lambda: m.StreamXY(*stream.place),
            m.DeviceState: self._device_state,
            m.TransportPosition: self._position,
            m.StreamState: self._stream_state,
        }

    def _tempo_changed(self, line: TempoMap) -> None:
        """Whoever changed it; a clock that is followed wanders all the time."""
        if abs(line.bpm - self._bpm) >= _SHOWN_BPM:
            self._bpm = line.bpm
            self._service.show(m.TransportTempo)

    def tell(self, notice: Notice) -> None:
        """Send a notice of the stage to all who listen."""
        self._service.broadcast(_notice(notice))

    # --- device, takes, levels

    def _device_handlers(self) -> dict[type[Command], Handler]:
        player = self._stage.player
        return {
            m.DeviceList: self._device_list,
            m.DeviceOpen: self._device_open,
            m.DeviceClose: self._device_close,
            m.DeviceStatus: lambda _, c: self._reply(c, self._device_state()),
            m.TakePlay: self._take_play,
            m.TakeStop: lambda t, c: player.stop(t.voice, fade_s=t.fade_s),
            m.TakeGain: lambda t, c: player.set_gain(t.voice, t.gain_db),
            m.StopAll: self._stop_all,  # not async: it waits for nothing and nobody
            m.MasterGain: lambda g, c: player.set_master(g.gain_db),
            m.MonitorGain: lambda g, c: player.set_monitor(g.gain_db),
            m.CaptureSave: self._capture_save,
        }

    async def _device_list(self, _: m.DeviceList, context: Context) -> None:
        for card in await asyncio.to_thread(list_devices):
            self._reply(context, m.DeviceListed(
                card.id, card.name, card.host_api, card.inputs, card.outputs, card.sample_rate,
                card.default,
            ))  # fmt: skip
        self._reply(context, self._device_state())

    async def _device_open(self, wanted: m.DeviceOpen, context: Context) -> None:
        values = {name: getattr(wanted, name) for name in wanted.__struct_fields__}
        await self._stage.open_device(DeviceSettings(**values))
        self._reply(context, self._device_state())

    async def _device_close(self, _: m.DeviceClose, context: Context) -> None:
        await self._stage.stream.stop(0.0)
        await self._stage.player.close()
        self._reply(context, self._device_state())

    def _device_state(self) -> m.DeviceState:
        s = self._stage.player.status()
        return m.DeviceState(
            s.state, s.device, s.sample_rate, s.blocksize, s.latency_s, s.under_runs, s.late,
            s.voices, s.peak, s.load, s.reopened,
        )  # fmt: skip

    async def _take_play(self, take: m.TakePlay, context: Context) -> None:
        self._check_not_stopped(context)
        path = self._folders.file(take.path, anywhere=context.client.sender.is_local)
        voice, frame = await self._stage.play(
            path, gain_db=take.gain_db, loop=take.loop, quantise=take.quantise, choke=take.choke
        )
        self._reply(context, m.TakePlaying(voice, str(path), frame % 2**31))

    def _stop_all(self, stop: m.StopAll, context: Context) -> None:
        self._stopped = context.number
        self._stage.stop_all(stop.fade_s)

    def _check_not_stopped(self, context: Context) -> None:
        """What was sent before everything was stopped, and had to wait, does not begin."""
        if context.when_s is None and context.number < self._stopped:
            raise Cancelled("everything was stopped before it began")

    async def _capture_save(self, wanted: m.CaptureSave, context: Context) -> None:
        while True:
            path = self._new_file(wanted.path)
            # Of two who keep something at once under one name, one takes the next name.
            with contextlib.suppress(FileExistsError):
                waveform = await self._stage.save_capture(path, wanted.seconds, wanted.bus)
                break
        self._reply(context, m.CaptureSaved(str(path), waveform.seconds, waveform.peak))

    def _new_file(self, name: str) -> Path:
        """A path in an allowed folder that does not exist yet."""
        name = name or f"captures/{time.strftime('%Y-%m-%d %H.%M.%S')}.wav"
        folder = self._folders.folder(str(Path(name).parent))
        path = folder / Path(name).name
        number = 2
        while path.exists():
            path = folder / f"{Path(name).stem} {number}{Path(name).suffix}"
            number += 1
        return path

    # --- transport

    def _transport_handlers(self) -> dict[type[Command], Handler]:
        stage = self._stage
        return {
            m.Transport: lambda _, c: self._reply(c, self._position()),
            m.TransportTempo: lambda t, c: stage.set_tempo(t.bpm),
            m.TransportMeter: lambda t, c: stage.set_meter(t.beats_per_bar),
            m.TransportRestart: self._restart,
            m.TransportClock: self._use_clock,
            m.TransportBeat: lambda t, c: stage.hear_beat(t.beat, t.bpm, c.when_s),
            m.BarRender: self._bar_render,
        }

    def _restart(self, wanted: m.TransportRestart, context: Context) -> None:
        transport = self._stage.transport
        beat = float((wanted.bar - 1) * transport.beats_per_bar)
        frame = self._stage.frame_of_time(context.when_s)
        transport.restart(beat, frame)

    async def _use_clock(self, wanted: m.TransportClock, context: Context) -> None:
        await self._stage.use_clock(wanted.clock)
        self._reply(context, self._position())

    def _position(self) -> m.TransportPosition:
        stage = self._stage
        bar, beat = stage.transport.position()
        return m.TransportPosition(
            bar, beat, stage.transport.bpm, stage.transport.beats_per_bar, stage.clock,
            stage.link_peers, stage.clock_error_s,
        )  # fmt: skip

    def _bar_render(self, wanted: m.BarRender, context: Context) -> None:
        transport = self._stage.transport
        request = validate(TextToAudio(
            prompt=wanted.prompt, bars=wanted.bars, bpm=transport.bpm,
            beats_per_bar=transport.beats_per_bar,
            num_waveforms_per_prompt=wanted.num_waveforms_per_prompt, num_candidates=1,
        ))  # fmt: skip

        def tell(report: BarReport) -> None:
            self._reply(context, _bar_state(wanted.request_id, report))

        tell(self._stage.render_for_bar(request, wanted.bar, tell))

    # --- pads

    def _pad_handlers(self) -> dict[type[Command], Handler]:
        stage, pads = self._stage, self._stage.pads
        at = stage.frame_of_time
        return {
            m.LiveLoad: self._live_load,
            m.LiveList: lambda _, c: self._reply(c, m.LiveListed(", ".join(list_sets()))),
            m.PadList: self._pad_list,
            m.PadHit: lambda p, c: pads.hit(_pad(p), p.velocity, at(c.when_s)),
            m.PadPlay: lambda p, c: pads.play(_pad(p), p.velocity, at(c.when_s)),
            m.PadStop: lambda p, c: pads.stop(_pad(p), at(c.when_s)),
            m.PadGain: lambda p, c: pads.set_gain(_pad(p), p.gain_db),
            m.PadRefresh: lambda p, c: pads.refresh(_pad(p), p.prompt),
        }

    async def _live_load(self, wanted: m.LiveLoad, context: Context) -> None:
        name = wanted.name
        if name.endswith((".yaml", ".yml")):
            name = str(self._folders.file(name, anywhere=context.client.sender.is_local))
        live_set = await self._stage.load_set(name)
        self._reply(
            context, m.LiveLoaded(live_set.name, len(live_set.pads), self._stage.transport.bpm)
        )

    def _pad_list(self, _: m.PadList, context: Context) -> None:
        for report in self._stage.pads.reports():
            self._reply(context, m.PadState(*_values(report)))

    # --- stream

    def _stream_handlers(self) -> dict[type[Command], Handler]:
        stream = self._stage.stream
        return {
            m.StreamStart: self._stream_start,
            m.StreamStop: self._stream_stop,
            m.StreamPrompt: lambda s, c: stream.set_prompt(s.prompt, s.over_s),
            m.StreamCorners: self._stream_corners,
            m.StreamXY: lambda s, c: stream.move(s.x, s.y),
            m.StreamGain: lambda s, c: stream.set_gain(s.gain_db),
            m.StreamStatus: lambda _, c: self._reply(c, self._stream_state()),
        }

    async def _stream_start(self, wanted: m.StreamStart, context: Context) -> None:
        self._check_not_stopped(context)
        live_set = self._stage.live_set
        prompt = wanted.prompt or (live_set.stream_prompt if live_set else "")
        await self._stage.start_stream(prompt)
        self._reply(context, self._stream_state())

    async def _stream_stop(self, wanted: m.StreamStop, context: Context) -> None:
        await self._stage.stream.stop(wanted.fade_s)
        self._reply(context, self._stream_state())

    def _stream_corners(self, wanted: m.StreamCorners, context: Context) -> None:
        corners = (wanted.left_bottom, wanted.right_bottom, wanted.left_top, wanted.right_top)
        self._stage.stream.set_corners([corner for corner in corners if corner])

    def _stream_state(self) -> m.StreamState:
        return m.StreamState(*_values(self._stage.stream.status()))

    # --- MIDI

    async def _midi_list(self, wanted: m.MidiList, context: Context) -> None:
        names = await asyncio.to_thread(list_midi_inputs, wanted.api)
        self._reply(context, m.MidiListed("\n".join(names), self._midi_name()))

    async def _midi_open(self, wanted: m.MidiOpen, context: Context) -> None:
        await self._stage.open_midi(wanted.port, wanted.api)
        self._reply(context, m.MidiListed("", self._midi_name()))

    def _midi_name(self) -> str:
        return self._stage.midi.name if self._stage.midi else ""

    def _midi_bind(self, wanted: m.MidiBind, context: Context) -> None:
        self._service.table.command(wanted.target)
        try:
            words = shlex.split(wanted.arguments_text)
        except ValueError as error:
            raise InvalidRequest(f"arguments {wanted.arguments_text!r}: {error}") from error
        binding = MidiBinding(
            address=wanted.target, arguments=tuple(_argument(word) for word in words),
            low=wanted.low, high=wanted.high, **{wanted.control: wanted.number},
        )  # fmt: skip
        self._stage.router.bind(binding)

    def _send_to_ourselves(self, address: str, arguments: list[Argument]) -> None:
        self._service.receive(encode(OscMessage(address, arguments)), self._midi)

    def _reply(self, context: Context, message: Reply) -> None:
        self._service.reply(context.client, message)


def _notice(notice: DeviceReport | PadReport | StreamReport | VoiceReport) -> Reply:
    if isinstance(notice, PadReport):
        return m.PadNotice(*_values(notice))
    if isinstance(notice, StreamReport):
        return m.StreamNotice(*_values(notice))
    if isinstance(notice, VoiceReport):
        return m.VoiceNotice(notice.voice, notice.state, notice.path)
    opened = notice.opened
    name, rate = (opened.name, opened.sample_rate) if opened else ("", 0)
    return m.DeviceNotice(notice.state, name, rate, notice.reason)


def _bar_state(request_id: str, report: BarReport) -> m.BarState:
    plan = report.plan
    return m.BarState(
        request_id, report.bar, report.state, plan.num_inference_steps, plan.num_takes,
        plan.expected_s, report.margin_s, report.path, report.error,
    )  # fmt: skip


def _values(struct: Any) -> list[Any]:
    return [getattr(struct, name) for name in struct.__struct_fields__]


def _pad(message: Any) -> int | str:
    pad: str = message.pad
    return int(pad) if pad.isdecimal() else pad


def _argument(word: str) -> str | float:
    try:
        return float(word)
    except ValueError:
        return word
