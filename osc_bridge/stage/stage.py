"""The stage: device, transport, pads, stream, capture and MIDI behind one door.

    stage = Stage(engine, folders)
    await stage.open_device(DeviceSettings())
    await stage.load_set("first-steps")
    stage.pads.hit("kick")

All methods belong to one asyncio loop. Everything that changes by itself is told to ``notify``.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from osc_bridge.audio.arena import ArenaShape
from osc_bridge.audio.card import CardOutput
from osc_bridge.audio.clips import Loop
from osc_bridge.audio.device import DeviceReport, DeviceSettings, Opened
from osc_bridge.audio.output import Output
from osc_bridge.audio.player import Player
from osc_bridge.choices import Bus, ClockName, MidiApi
from osc_bridge.stage.clock import Follower, LinkClock, MidiClock
from osc_bridge.stage.launcher import Launcher
from osc_bridge.stage.liveset import LiveSet, load_set
from osc_bridge.stage.midi import MidiIn, MidiRouter
from osc_bridge.stage.pad_slot import PadReport
from osc_bridge.stage.pads import Pads
from osc_bridge.stage.renders import BarPlan, Renders
from osc_bridge.stage.stream import Stream
from osc_bridge.stage.stream_report import StreamReport
from osc_bridge.stage.transport import Transport, quantum_of
from server.audio.waveform import Waveform, file_format_of
from server.engine.engine import Engine
from server.errors import AudioLDMError, Cancelled, InvalidRequest
from server.requests.request import TextToAudio

__all__ = ["BarReport", "Notice", "Stage", "VoiceReport"]

log = logging.getLogger("audioldm.stage")


class VoiceReport(msgspec.Struct, frozen=True, kw_only=True):
    """A take that was asked for began or ended."""

    voice: int
    state: str
    """playing or ended."""
    path: str


class BarReport(msgspec.Struct, frozen=True, kw_only=True):
    """How a render for a bar is doing."""

    bar: int
    state: str
    """planned, ready, late or failed."""
    plan: BarPlan
    margin_s: float
    """Time until the bar begins; negative: after it."""
    path: str = ""
    error: str = ""


Notice = DeviceReport | PadReport | StreamReport | VoiceReport


class Stage:
    """Everything that sounds.

    Args:
        engine: who renders.
        notify: called with what changes by itself.
        output: a sound card by default; memory for tests.
        shape: room for sounds and for the capture ring.
    """

    def __init__(
        self,
        engine: Engine,
        notify: Callable[[Notice], None],
        output: Output | None = None,
        shape: ArenaShape | None = None,
    ) -> None:
        self.notify: Callable[[Notice], None] = notify
        self.live_set: LiveSet | None = None
        self.player = Player(output or CardOutput(), shape)
        self.transport = Transport(self.player.frame_now, self.player.sample_rate)
        self.renders = Renders(engine)
        self.launcher = Launcher(self.player, self.transport)
        self.pads = Pads(self.player, self.transport, self.launcher, self.renders, self._tell)
        self.stream = Stream(self.player, self.renders, self._tell)
        self.clock: ClockName = "internal"
        self.midi: MidiIn | None = None
        self.router = MidiRouter(self._midi_hit, self._nowhere, self._midi_clock)
        self._follower = Follower(self.transport, self.player.frame_at)
        self._midi_beats = MidiClock(self._follower)
        self._link: LinkClock | None = None
        self._bars: set[asyncio.Task[None]] = set()
        self._stops = 0
        self._unlisten = self.player.device.listen(self._device_changed)

    async def close(self) -> None:
        """Silence, and everything given back."""
        for task in self._bars:
            task.cancel()
        await asyncio.gather(*self._bars, return_exceptions=True)
        self.close_midi()
        await self.use_clock("internal")
        await self.stream.stop(0.0)
        await self.pads.close()
        self.launcher.close()
        self.renders.close()
        await self.player.close()
        self._unlisten()
        self.player.shut_down()

    # --- device

    async def open_device(self, settings: DeviceSettings) -> Opened:
        """Play on a device from now on.

        Raises:
            DeviceError: it cannot be opened.
        """
        return await self.player.open(settings)

    async def start_stream(self, prompt: str) -> None:
        """Begin (or redirect) the stream.

        Raises:
            InvalidRequest: the prompt cannot be used.
            DeviceError: there is nothing to play on.
        """
        self.player.check_open()
        await self.stream.start(prompt)

    def stop_all(self, fade_s: float) -> None:
        """Panic: everything fades out, and nothing that was asked for before begins."""
        self._stops += 1
        self.stream.halt(fade_s)
        for task in self._bars:
            task.cancel()
        self.pads.all_stopped()
        self.player.stop_all(fade_s)

    def _tell(self, notice: Notice) -> None:
        self.notify(notice)

    def _device_changed(self, report: DeviceReport) -> None:
        rate = self.player.sample_rate
        if report.state == "open" and rate != self.transport.map.sample_rate:
            self.transport.change_rate(rate, self.player.frame_now())
        self.notify(report)

    # --- takes

    async def play(
        self,
        path: Path,
        *,
        gain_db: float = 0.0,
        loop: bool = False,
        quantise: str = "none",
        choke: int = 0,
    ) -> tuple[int, int]:
        """Play a file; the voice and the frame (0: at once).

        Raises:
            UnreadableAudio, DeviceError, InvalidRequest, TooLarge.
            Cancelled: everything was stopped before it could begin.
        """
        stops = self._stops
        quantum = quantum_of(quantise, self.transport.beats_per_bar)
        waveform = await asyncio.to_thread(Waveform.read, path)
        clip = await self.player.load(waveform, Loop() if loop else None)
        voice = 0

        def tell(state: str) -> None:
            self.notify(VoiceReport(voice=voice, state=state, path=str(path)))

        try:
            if stops != self._stops:
                raise Cancelled("everything was stopped before it began")
            voice, frame = self.launcher.start(
                clip, quantum, gain_db=gain_db, choke=choke, looped=loop,
                on_start=lambda: tell("playing"), on_end=lambda: tell("ended"),
            )  # fmt: skip
        finally:
            self.player.unload(clip)
        return voice, frame

    async def save_capture(self, path: Path, seconds: float, bus: Bus = "played") -> Waveform:
        """Write what was just played or recorded to ``path``.

        Raises:
            InvalidRequest, NotFound: not that much.
            FileExistsError: somebody else has just written it.
        """
        file_format = file_format_of(path, 32)
        waveform = self.player.capture(seconds, bus)
        data = await asyncio.to_thread(waveform.encode, file_format)
        await asyncio.to_thread(_write_new, path, data)
        return waveform

    # --- live set

    async def load_set(self, name: str) -> LiveSet:
        """Load a live set by name or path; its pads are rendered in the background.

        Raises:
            NotFound, InvalidRequest: no such set, or it cannot be understood.
        """
        live_set = await asyncio.to_thread(load_set, name)
        await self.use_set(live_set)
        return live_set

    async def use_set(self, live_set: LiveSet) -> None:
        """Make ``live_set`` the current one."""
        self.live_set = live_set
        if self.clock == "internal":
            self.transport.set_tempo(live_set.tempo_bpm)
        self.set_meter(live_set.beats_per_bar)
        notes = {pad.note: n for n, pad in enumerate(live_set.pads, 1) if pad.note is not None}
        self.router.map(notes, live_set.midi)
        if len(live_set.stream_corners) > 1:
            self.stream.set_corners(live_set.stream_corners)
        await self.pads.load(live_set)

    # --- clocks

    async def use_clock(self, name: ClockName) -> None:
        """Let another clock lead.

        Raises:
            InvalidRequest: Ableton Link is not installed.
        """
        link, self._link = self._link, None
        if link:
            await link.close()
        self.clock = "internal"
        if name == "link":
            self._link = LinkClock(self._follower, self.transport)
        self.clock = name

    @property
    def link_peers(self) -> int:
        """How many others share Link's beat."""
        return self._link.peers if self._link else 0

    @property
    def clock_error_s(self) -> float:
        """How far the transport was off when the leading clock was last heard."""
        return self._follower.error_s

    def set_meter(self, beats_per_bar: int) -> None:
        """Change the length of bars; those of Link peers begin where ours do.

        Raises:
            InvalidRequest: out of range.
        """
        self.transport.set_meter(beats_per_bar)
        if self._link:
            self._link.set_quantum(beats_per_bar)

    def set_tempo(self, bpm: float) -> None:
        """Change the tempo, for all Link peers too.

        Raises:
            InvalidRequest: out of range, or somebody else leads.
        """
        if self.clock in ("midi", "osc"):
            raise InvalidRequest(f"the tempo comes from the {self.clock} clock")
        self.transport.set_tempo(bpm)
        if self._link:
            self._link.set_tempo(bpm)

    def hear_beat(self, beat: float, bpm: float, when_s: float | None = None) -> None:
        """A beat of an OSC clock, at a Unix time or now.

        Raises:
            InvalidRequest: another clock leads.
        """
        if self.clock != "osc":
            raise InvalidRequest("choose the OSC clock first: /ldm/transport/clock osc")
        self._follower.hear(beat, bpm, self.time_ns(when_s))

    @staticmethod
    def time_ns(when_s: float | None) -> int:
        """Monotonic time of a Unix time; now where None."""
        now = time.monotonic_ns()
        return now if when_s is None else now + round((when_s - time.time()) * 1e9)

    def frame_of_time(self, when_s: float | None) -> int | None:
        """The frame that is heard at a Unix time; None for now."""
        return None if when_s is None else self.player.frame_at(self.time_ns(when_s))

    # --- MIDI

    async def open_midi(self, port: str = "", api: MidiApi = "") -> str:
        """Listen to a MIDI port; its name.

        Raises:
            DeviceError: no MIDI here, or no such port.
        """
        self.close_midi()
        midi = await MidiIn.open(self.router.receive, port, api)
        self.close_midi()  # that of somebody who was quicker
        self.midi = midi
        return midi.name

    def close_midi(self) -> None:
        """Listen to no MIDI port any more."""
        midi, self.midi = self.midi, None
        if midi:
            midi.close()

    def _midi_hit(self, pad: int, velocity: float, time_ns: int) -> None:
        try:
            self.pads.hit(pad, velocity)
        except AudioLDMError as error:
            log.info("pad %d: %s", pad, error)

    def _midi_clock(self, kind: str, time_ns: int, position: int) -> None:
        if self.clock == "midi":
            self._midi_beats.receive(kind, time_ns, position)

    @staticmethod
    def _nowhere(address: str, arguments: list[object]) -> None:
        log.info("MIDI is mapped to %s, but nobody handles OSC here", address)

    # --- rendering for a bar

    def render_for_bar(
        self, request: TextToAudio, bar: int, report: Callable[[BarReport], None]
    ) -> BarReport:
        """Render ``request`` with as many takes and steps as can be ready when ``bar`` begins.

        The result sounds at that bar, or at the next one where it comes late; ``report`` is
        called when it is ready. Returns the plan.

        Raises:
            InvalidRequest: even the smallest render would be late; the first possible bar is named.
            DeviceError: there is nothing to play on.
        """
        self.player.check_open()
        begin = self.transport.bar_frame(bar)
        budget_s = (begin - self.player.frame_now()) / self.player.sample_rate
        plan = self.renders.plan(request, budget_s)
        if plan.margin_s < 0.0 or budget_s <= 0.0:
            first = self.transport.position()[0] + 1
            needed_s = budget_s - plan.margin_s  # with the jobs that wait already
            first += int(needed_s // self.transport.bar_s) + 1
            raise InvalidRequest(
                f"bar {bar} begins in {budget_s:.2f} s; {plan.num_inference_steps} steps are ready "
                f"in {needed_s:.2f} s: the first bar that can be reached is {first}"
            )
        smaller = msgspec.structs.replace(
            request,
            num_inference_steps=plan.num_inference_steps,
            num_waveforms_per_prompt=plan.num_takes,
        )
        planned = BarReport(bar=bar, state="planned", plan=plan, margin_s=plan.margin_s)
        task = asyncio.create_task(self._render_for_bar(smaller, planned, report))
        self._bars.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._bars.discard(task)
            if task.cancelled():
                report(msgspec.structs.replace(planned, state="failed", error="stopped"))

        task.add_done_callback(ended)
        return planned

    async def _render_for_bar(
        self, request: TextToAudio, planned: BarReport, report: Callable[[BarReport], None]
    ) -> None:
        replace = msgspec.structs.replace
        try:
            job = await self.renders.render(request)
            waveform = await asyncio.to_thread(Waveform.read, job.takes[0].path)
            clip = await self.player.load(waveform)
            rate = self.player.sample_rate
            margin = (self.transport.bar_frame(planned.bar) - self.player.frame_now()) / rate
            bar = max(planned.bar, self.transport.position()[0] + 1) if margin < 0 else planned.bar
            try:
                self.launcher.start_at_beat(clip, (bar - 1) * self.transport.beats_per_bar)
            finally:
                self.player.unload(clip)
        except AudioLDMError as error:
            report(replace(planned, state="failed", error=str(error)))
            return
        state = "ready" if margin >= 0 else "late"
        report(replace(planned, bar=bar, state=state, margin_s=margin, path=str(job.takes[0].path)))


def _write_new(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
