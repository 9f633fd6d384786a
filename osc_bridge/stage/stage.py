"""The stage: device, transport, pads, stream, capture and MIDI as one object.

    stage = Stage(engine, print)
    await stage.open_device(DeviceSettings())
    await stage.load_set("first-steps")
    stage.pads.hit("kick")

All methods belong to one asyncio loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from osc_bridge.audio.arena import Arena, ArenaShape
from osc_bridge.audio.card import CardOutput
from osc_bridge.audio.device import DeviceReport, DeviceSettings, Opened
from osc_bridge.audio.output import Output
from osc_bridge.audio.player import Player
from osc_bridge.choices import Bus, MidiApi
from osc_bridge.stage.bars import BarRenders
from osc_bridge.stage.clock import monotonic_ns_at
from osc_bridge.stage.clock_source import ClockSource
from osc_bridge.stage.launcher import Launcher
from osc_bridge.stage.listening.companion import Companion, ListenReport
from osc_bridge.stage.listening.follow import TempoFollower
from osc_bridge.stage.liveset import LiveSet, load_set
from osc_bridge.stage.midi import MidiIn, MidiRouter
from osc_bridge.stage.pads.pads import Pads
from osc_bridge.stage.pads.slot import PadReport
from osc_bridge.stage.panic import Panic
from osc_bridge.stage.renders import Renders
from osc_bridge.stage.sounds import Sounds
from osc_bridge.stage.stream.report import StreamReport
from osc_bridge.stage.stream.stream import Stream
from osc_bridge.stage.transport import Transport, quantum_of
from server.audio.waveform import Waveform, file_format_of
from server.engine.engine import Engine
from server.errors import AudioLDMError, StorageFull
from server.jobs.storage import check_room

__all__ = ["Notice", "Stage", "VoiceReport"]

log = logging.getLogger("audioldm.stage")


class VoiceReport(msgspec.Struct, frozen=True, kw_only=True):
    """A take that was started with :meth:`Stage.play` began or ended."""

    voice: int
    state: str
    """playing or ended."""
    path: str


Notice = DeviceReport | PadReport | StreamReport | VoiceReport | ListenReport
"""What changes by itself."""


class Stage:
    """Everything that plays.

    Args:
        engine: renders.
        notify: called with each notice.
        output: a sound card by default; memory for tests.
        shape: size of the memory for sounds and of the capture ring; or that memory itself.
    """

    def __init__(
        self,
        engine: Engine,
        notify: Callable[[Notice], None],
        output: Output | None = None,
        shape: ArenaShape | Arena | None = None,
    ) -> None:
        self.notify: Callable[[Notice], None] = notify
        self.live_set: LiveSet | None = None
        self.player = Player(output or CardOutput(), shape)
        self.transport = Transport(self.player.frame_now, self.player.sample_rate)
        self.renders = Renders(engine)
        self.launcher = Launcher(self.player, self.transport)
        self.pads = Pads(self.player, self.transport, self.launcher, self.renders, self._notify)
        self._sounds = Sounds(self.player)
        self.stream = Stream(self.player, self.renders, self._notify)
        self.bars = BarRenders(self.player, self.transport, self.launcher, self.renders)
        self.clock = ClockSource(self.transport, self.player.frame_at)
        tempo = TempoFollower(self.transport, self.clock)
        self.listening = Companion(self.player, tempo, self.stream, self.pads, self._notify)
        self.midi: MidiIn | None = None
        self.router = MidiRouter(self._midi_hit, self._no_osc, self.clock.midi_message)
        self.panic = Panic()
        self._unlisten = self.player.device.listen(self._device_changed)

    async def close(self) -> None:
        """Stop everything and free the device and the memory."""
        await self.listening.stop()
        await self.bars.close()
        self.close_midi()
        await self.clock.choose("internal")
        await self.stream.stop(0.0)
        await self.pads.close()
        self.launcher.close()
        self.renders.close()
        await self.player.close()
        await self._sounds.close()
        self._unlisten()
        self.player.shut_down()

    # --- device

    async def open_device(self, settings: DeviceSettings) -> Opened:
        """Play on a device from now on.

        Raises:
            DeviceError: it cannot be opened.
        """
        return await self.player.open(settings)

    def frame_at_time(self, when_s: float | None) -> int | None:
        """The frame that leaves the converter at a Unix time; None for None, which means now."""
        return None if when_s is None else self.player.frame_at(monotonic_ns_at(when_s))

    def stop_all(self, fade_s: float) -> None:
        """Panic: fade everything out and cancel what is waiting to start."""
        self.panic.trigger()
        self.stream.halt(fade_s)
        self.bars.cancel()
        self.pads.all_stopped()
        self.player.stop_all(fade_s)

    def _notify(self, notice: Notice) -> None:
        self.notify(notice)

    def _device_changed(self, report: DeviceReport) -> None:
        rate = self.player.sample_rate
        if report.state == "open" and rate != self.transport.map.sample_rate:
            self.transport.change_rate(rate, self.player.frame_now())
        self.notify(report)

    # --- takes and stream

    async def play(
        self,
        path: Path,
        *,
        gain_db: float = 0.0,
        loop: bool = False,
        quantise: str = "none",
        choke: int = 0,
        panic_count: int | None = None,
    ) -> tuple[int, int]:
        """Play a sound file.

        Args:
            path: the file.
            gain_db: level.
            loop: repeat it until it is stopped.
            quantise: grid on which it starts.
            choke: group (from 1) whose playing voices stop when it starts.
            panic_count: ``panic.count`` when this was requested; now where None.

        Returns:
            The number of the voice, and the frame at which it starts (0: at once).

        Raises:
            UnreadableAudio: the file is not audio, or damaged.
            TooLarge: the memory for sounds is full.
            DeviceError: no device is open.
            Cancelled: everything was stopped before it could start.
        """
        requested = self.panic.count if panic_count is None else panic_count
        self.panic.check(requested)
        quantum = quantum_of(quantise, self.transport.beats_per_bar)
        self.player.check_open()
        playing = await self._sounds.load(path, loop=loop)
        voice = 0

        def report(state: str) -> None:
            self.notify(VoiceReport(voice=voice, state=state, path=str(path)))
            if state == "ended":
                playing.close()

        try:
            self.panic.check(requested)
            voice, frame = self.launcher.start(
                playing.clip, quantum, gain_db=gain_db, choke=choke, looped=playing.looped,
                on_start=lambda: report("playing"), on_end=lambda: report("ended"),
            )  # fmt: skip
        except BaseException:
            playing.close()
            raise
        playing.started(voice)
        return voice, frame

    async def start_stream(self, prompt: str) -> None:
        """Start the stream, or change the prompt of a running one.

        Raises:
            InvalidRequest: the prompt cannot be used.
            DeviceError: no device is open.
        """
        self.player.check_open()
        await self.stream.start(prompt)

    async def save_capture(self, path: Path, seconds: float, bus: Bus = "played") -> Waveform:
        """Write the last ``seconds`` that were played or recorded to a new file.

        Raises:
            InvalidRequest: more than is kept.
            NotFound: nothing was played yet.
            StorageFull: the disk has no room for it, or it cannot be written.
            FileExistsError: the file exists.
        """
        file_format = file_format_of(path, 32)
        waveform = self.player.capture(seconds, bus)
        data = await asyncio.to_thread(waveform.encode, file_format)
        check_room(path.parent, len(data))
        await asyncio.to_thread(_write_new, path, data)
        return waveform

    # --- live set

    async def load_set(self, name: str) -> LiveSet:
        """Load a live set by name or path; its pads are rendered in the background.

        Raises:
            NotFound: no such set.
            InvalidRequest: the file is not a valid set.
        """
        live_set = await asyncio.to_thread(load_set, name)
        await self.use_set(live_set)
        return live_set

    async def use_set(self, live_set: LiveSet) -> None:
        """Make ``live_set`` the current one."""
        self.live_set = live_set
        if self.clock.name == "internal":
            self.transport.set_tempo(live_set.tempo_bpm)
        self.clock.set_meter(live_set.beats_per_bar)
        notes = {pad.note: n for n, pad in enumerate(live_set.pads, 1) if pad.note is not None}
        self.router.map(notes, live_set.midi)
        if len(live_set.stream_corners) > 1:
            self.stream.set_corners(live_set.stream_corners)
        await self.pads.load(live_set)

    # --- MIDI

    async def open_midi(self, port: str = "", api: MidiApi = "") -> str:
        """Listen to a MIDI port; returns its name.

        Raises:
            DeviceError: MIDI is not available, or there is no such port.
        """
        self.close_midi()
        midi = await MidiIn.open(self.router.receive, port, api)
        self.close_midi()  # one that was opened meanwhile
        self.midi = midi
        return midi.name

    def close_midi(self) -> None:
        """Close the MIDI port."""
        midi, self.midi = self.midi, None
        if midi:
            midi.close()

    def _midi_hit(self, pad: int, velocity: float, time_ns: int) -> None:
        try:
            self.pads.hit(pad, velocity)
        except AudioLDMError as error:
            log.info("pad %d: %s", pad, error)

    @staticmethod
    def _no_osc(address: str, arguments: list[object]) -> None:
        log.info("MIDI is bound to %s, but no OSC service is running", address)


def _write_new(path: Path, data: bytes) -> None:
    try:
        with path.open("xb") as file:
            file.write(data)
    except FileExistsError:
        raise
    except OSError as error:
        raise StorageFull(f"{path} cannot be written: {error.strerror}") from error
