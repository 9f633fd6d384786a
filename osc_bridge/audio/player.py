"""The player: takes in memory, voices that sound on a frame, a device that comes and goes.

    player = Player(CardOutput())
    await player.open(DeviceSettings())
    clip = await player.load(Waveform.read(path))
    voice = player.start(clip, frame=player.frame_now() + 48000)

All methods belong to one asyncio loop. Time is counted in frames of the device; while there is
no device the count goes on with the clock, and what was looping is taken up again in its place
when a device is back.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import math
import time
from collections.abc import Callable
from typing import Final

from osc_bridge.audio.arena import Arena, ArenaShape, Event, Gauge, Op
from osc_bridge.audio.capture import capture
from osc_bridge.audio.card import Output
from osc_bridge.audio.clips import ClipStore, LoadedClip, Loop
from osc_bridge.audio.device import DeviceSettings, Opened
from osc_bridge.audio.gauges import DeviceReport, PlayerStatus, read_status
from osc_bridge.audio.voice_state import MixerCommand, Sounding
from osc_bridge.choices import Bus
from server.audio.waveform import Waveform
from server.errors import AudioLDMError, DeviceError, QueueFull

__all__ = ["Player", "decibels"]

log = logging.getLogger("audioldm.audio")

POLL_S: Final = 0.01
REOPEN_S: Final = 1.0
_FADE_S: Final = 0.01


def decibels(gain_db: float) -> float:
    """The factor for a gain; -inf is silence."""
    return float(10.0 ** (gain_db / 20.0))


class Player:
    """Plays clips on an output.

    Args:
        output: a sound card (:class:`osc_bridge.audio.card.CardOutput`) or memory
            (:class:`osc_bridge.audio.offline.OfflineDevice`).
        shape: how much memory for sounds and for the capture ring.
        sample_rate: counted with until a device says otherwise, Hz.
    """

    def __init__(
        self, output: Output, shape: ArenaShape | None = None, sample_rate: int = 48000
    ) -> None:
        self.arena = Arena.create(shape)
        self.settings = DeviceSettings()
        self.opened: Opened | None = None
        self.reopened = 0
        self.output = output
        self._clips = ClipStore(self.arena, sample_rate)
        self._voices: dict[int, Sounding] = {}
        self._ids = itertools.count(1)
        self._in_use = False
        """True from the first opening on, also while the device is away or changed for another."""
        self._task: asyncio.Task[None] | None = None
        self._door = asyncio.Lock()
        """Devices are opened and closed one after the other, whoever asks."""
        self._listeners: list[Callable[[DeviceReport], None]] = []
        self._begins: dict[int, Callable[[], None]] = {}
        self._ends: dict[int, Callable[[], None]] = {}
        self._levels: dict[Op, float] = {}
        self.master_db = 0.0
        self.monitor_db = -math.inf
        self.arena.publish(0, time.monotonic_ns())

    # --- device

    async def open(self, settings: DeviceSettings) -> Opened:
        """Play on the device that ``settings`` name; it is watched and reopened from now on.

        Raises:
            DeviceError: PortAudio, the device or the settings are to blame; nothing is open then.
        """
        async with self._door:
            await self._end_watch()
            if self.opened is not None:
                self.opened = None
                self._report(DeviceReport(state="closed", reason="a device is being opened"))
            await self.output.close()
            self.settings = settings
            try:
                opened = await self._bring_up()
            except AudioLDMError as error:
                self._in_use = False
                self._report(DeviceReport(state="closed", reason=str(error)))
                raise
            self._in_use = True
            self._task = asyncio.create_task(self._watch())
            return opened

    async def close(self) -> None:
        """Let the device go and forget all voices."""
        async with self._door:
            await self._end_watch()
            await self.output.close()
            was_open, self.opened, self._in_use = self.opened is not None, None, False
            self.poll()
            for voice in tuple(self._voices):
                self._forget(voice)
            if was_open:
                self._report(DeviceReport(state="closed"))

    def shut_down(self) -> None:
        """Give the shared memory back; the player is of no use after this."""
        self.arena.close()

    def listen(self, listener: Callable[[DeviceReport], None]) -> Callable[[], None]:
        """Call ``listener`` when the device comes or goes; returns how to stop that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def status(self) -> PlayerStatus:
        """The numbers of now."""
        state = "open" if self.opened else "lost" if self._in_use else "closed"
        name = self.opened.name if self.opened else ""
        return read_status(self.arena, state, name, self.sample_rate, self.reopened)

    # --- time

    @property
    def sample_rate(self) -> int:
        """Frames a second."""
        return self._clips.sample_rate

    def frame_at(self, time_ns: int) -> int:
        """The frame that is heard at a monotonic time in ns."""
        frame, due_ns = self.arena.position()
        late = time_ns - due_ns - int(self.arena.gauges[Gauge.LATENCY_NS])
        return frame + round(late * self.sample_rate / 1e9)

    def frame_now(self) -> int:
        """The first frame that can still be reached by a command."""
        return self.arena.position()[0] if self.opened else self._frame_by_clock()

    # --- sounds

    async def load(self, source: Waveform, loop: Loop | None = None) -> LoadedClip:
        """A clip that can be started at once.

        Raises:
            InvalidRequest: empty or not numbers.
            TooLarge: the memory for sounds is full.
        """
        return await self._clips.load(source, loop)

    def unload(self, clip: LoadedClip) -> None:
        """The clip is not needed any more; voices that play it still finish."""
        self._clips.unload(clip)

    def start(
        self,
        clip: LoadedClip,
        frame: int = 0,
        *,
        gain_db: float = 0.0,
        fade_s: float = 0.0,
        choke: int = 0,
        skip: int = 0,
        looped: bool = True,
        on_start: Callable[[], None] | None = None,
        on_end: Callable[[], None] | None = None,
    ) -> int:
        """Let ``clip`` sound from ``frame`` (0: as soon as possible); returns the voice's number.

        Args:
            clip: what sounds.
            frame: when its first frame sounds. In the past: a loop is joined where it would be,
                a one-shot starts late.
            gain_db: level.
            fade_s: equal-power fade-in.
            choke: group (from 1) whose sounding voices stop when this one starts.
            skip: frames of the clip to leave out at its beginning.
            looped: False plays a loop's clip once.
            on_start, on_end: called when the voice has begun, and when it has ended.

        Raises:
            DeviceError: there is no device.
            QueueFull: too many commands at once.
        """
        self.check_open()
        voice = next(self._ids)
        sounding = Sounding.of(
            clip, voice, frame, skip=skip, looped=looped, gain=decibels(gain_db),
            fade=self._frames(fade_s), choke=choke,
        )  # fmt: skip
        self._send(sounding.start)
        self._voices[voice] = sounding
        self._clips.acquire(clip)
        if on_start:
            self._begins[voice] = on_start
        if on_end:
            self._ends[voice] = on_end
        return voice

    def check_open(self) -> None:
        """Do nothing if a device is open, being changed, or lost and tried again.

        Raises:
            DeviceError: there is none.
        """
        if not self._in_use:
            raise DeviceError("no audio device is open; open one with /ldm/device/open")

    def stop(self, voice: int, frame: int = 0, fade_s: float = _FADE_S) -> None:
        """Fade a voice out, beginning at ``frame``; one that has not begun never will."""
        sounding = self._voices.get(voice)
        if sounding is None:
            return
        sounding.stop = (frame, self._frames(fade_s))
        self._send(MixerCommand(Op.STOP, voice, frame, fade=self._frames(fade_s)))

    def set_gain(self, voice: int, gain_db: float, ramp_s: float = _FADE_S) -> None:
        """Change a voice's level in a straight line over ``ramp_s``."""
        sounding = self._voices.get(voice)
        if sounding is None:
            return
        gain = decibels(gain_db)
        sounding.set_gain(gain)
        self._send(MixerCommand(Op.GAIN, voice, gain=gain, fade=self._frames(ramp_s)))

    def move(self, voice: int, frame: int, what: Op = Op.START) -> None:
        """Let a start (or stop) that has not happened yet happen at another frame."""
        sounding = self._voices.get(voice)
        if sounding is not None and what is Op.START:
            sounding.begins_at(frame)
        elif sounding is not None and sounding.stop:
            sounding.stop = (frame, sounding.stop[1])
        self._send(MixerCommand(Op.RETIME, voice, frame, offset=what))

    def stop_all(self, fade_s: float = _FADE_S) -> None:
        """Panic: everything fades out, nothing that waits begins."""
        for sounding in self._voices.values():
            sounding.stop = (0, 0)
        self._send(MixerCommand(Op.STOP_ALL, fade=self._frames(fade_s)))

    def set_master(self, gain_db: float, ramp_s: float = _FADE_S) -> None:
        """Level of everything."""
        self.master_db = gain_db
        self._set_level(Op.MASTER, decibels(gain_db), ramp_s)

    def set_monitor(self, gain_db: float, ramp_s: float = _FADE_S) -> None:
        """Level at which the inputs are heard; -inf dB (at first) is not at all."""
        self.monitor_db = gain_db
        self._set_level(Op.MONITOR, decibels(gain_db), ramp_s)

    def begins_at(self, voice: int) -> int:
        """The frame at which a voice begins, or began; 0: as soon as possible, or no such voice."""
        sounding = self._voices.get(voice)
        return sounding.start.frame if sounding else 0

    def is_playing(self, voice: int) -> bool:
        """True while a voice sounds or waits for its frame."""
        return voice in self._voices

    def capture(self, seconds: float, bus: Bus = "played", end_frame: int = 0) -> Waveform:
        """What was just played or recorded; see :func:`osc_bridge.audio.capture.capture`.

        Raises:
            InvalidRequest, NotFound: not that much, not that long ago.
        """
        return capture(self.arena, self.sample_rate, seconds, bus, end_frame)

    def poll(self) -> None:
        """Take in what the mixer told; the watch does this all the time."""
        while (record := self.arena.events.pop()) is not None:
            event, voice, frame = record
            sounding = self._voices.get(voice)
            if sounding is None:
                continue
            if event == Event.STARTED:
                # A loop that began late is where it would be: its frame is the one asked for.
                if not sounding.start.frame:
                    sounding.begins_at(frame)
                self._call(self._begins, voice)
            else:
                self._forget(voice)

    # --- inside

    async def _bring_up(self) -> Opened:
        """Open the output, convert to its rate, and let loops go on."""
        frame = self._frame_by_clock()
        self.arena.commands.clear()
        opened = await self.output.open(self.arena, self.settings, frame)
        self.opened = opened
        self.poll()
        stretch = opened.sample_rate / self.sample_rate
        if stretch != 1.0:
            await self._clips.convert(opened.sample_rate)
        self._take_up(stretch)
        self._report(DeviceReport(state="open", opened=opened))
        return opened

    def _frame_by_clock(self) -> int:
        """Where the count stands if it goes on with the clock; 0 was never played."""
        frame, due_ns = self.arena.position()
        since = max(0, time.monotonic_ns() - due_ns)
        return max(1, frame + round(since * self.sample_rate / 1e9))

    def _take_up(self, stretch: float) -> None:
        """Start again what was looping; what played once is over, what waits still waits.

        Args:
            stretch: new rate / old rate, by which distances from now grow.
        """
        for op, gain in self._levels.items():
            self._send(MixerCommand(op, gain=gain))
        now = self.arena.position()[0]
        self._forget_what_is_over(now)
        for voice, sounding in self._voices.items():
            sounding.stretch(stretch, now)
            self._send(sounding.start)
            if sounding.stop:
                frame, fade = sounding.stop
                self._send(MixerCommand(Op.STOP, voice, frame, fade=fade))

    def _forget_what_is_over(self, now: int) -> None:
        """Without a device nobody says what has ended; a stream goes on for days."""
        for voice, sounding in tuple(self._voices.items()):
            if sounding.is_over(now):
                self._forget(voice)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            try:
                self.poll()
            except Exception:
                # Whoever was told has failed; the device is watched all the same.
                log.exception("a voice began or ended")
            reason = self.output.failure()
            if reason:
                await self._bring_back(reason)

    async def _bring_back(self, reason: str) -> None:
        log.warning("audio device lost: %s", reason)
        self.opened = None
        self._report(DeviceReport(state="lost", reason=reason))
        while True:
            try:
                await self.output.close()
                await self._bring_up()
            except (AudioLDMError, OSError) as error:
                log.info("audio device not back yet: %s", error)
                self.opened = None
                await asyncio.sleep(REOPEN_S)
                self._forget_what_is_over(self.frame_now())
            else:
                self.reopened += 1
                return

    async def _end_watch(self) -> None:
        task, self._task = self._task, None
        if task:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def _forget(self, voice: int) -> None:
        self._clips.leave(self._voices.pop(voice).clip)
        self._begins.pop(voice, None)
        self._call(self._ends, voice)

    @staticmethod
    def _call(listeners: dict[int, Callable[[], None]], voice: int) -> None:
        listener = listeners.pop(voice, None)
        if listener:
            listener()

    def _set_level(self, op: Op, gain: float, ramp_s: float) -> None:
        self._levels[op] = gain
        self._send(MixerCommand(op, gain=gain, fade=self._frames(ramp_s)))

    def _frames(self, seconds: float) -> int:
        return round(seconds * self.sample_rate)

    def _send(self, command: MixerCommand) -> None:
        if self.opened is None:
            # Nobody reads the ring: voices that last are sent again when the device is back.
            return
        if not self.arena.commands.push(*command):
            raise QueueFull("too many audio commands at once; wait a moment")

    def _report(self, report: DeviceReport) -> None:
        for listener in tuple(self._listeners):
            listener(report)
