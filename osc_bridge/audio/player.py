"""The player: sounds in memory, voices that start on a frame, and a device that may fail.

    player = Player(CardOutput())
    await player.open(DeviceSettings())
    clip = await player.load(Waveform.read(path))
    voice = player.start(clip, frame=player.frame_now() + 48000)

All methods belong to one asyncio loop. Time is counted in frames of the device. While no device
is open, the count follows the clock. Loops that were playing continue in their place when the
device is back.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from typing import Final

from osc_bridge.audio.arena import Arena, ArenaShape, Event, Gauge, Op
from osc_bridge.audio.capture import capture
from osc_bridge.audio.clips import ClipStore, LoadedClip, Loop
from osc_bridge.audio.device import DeviceSettings, Opened, PlayerStatus, read_status
from osc_bridge.audio.output import Output, WatchedOutput
from osc_bridge.audio.voice_state import Levels, MixerCommand, VoiceState, decibels, stop_all
from osc_bridge.choices import Bus
from server.audio.waveform import Waveform
from server.errors import DeviceError, QueueFull

__all__ = ["Player", "decibels"]

_FADE_S: Final = 0.01


class Player:
    """Plays clips on an output.

    Args:
        output: a sound card (:class:`osc_bridge.audio.card.CardOutput`) or memory
            (:class:`osc_bridge.audio.offline.OfflineDevice`).
        shape: size of the memory for sounds and of the capture ring; or that memory itself, of a
            program that has gone and whose audio process plays on.
        sample_rate: in Hz, until a device is open.
    """

    def __init__(
        self, output: Output, shape: ArenaShape | Arena | None = None, sample_rate: int = 48000
    ) -> None:
        self.arena = shape if isinstance(shape, Arena) else Arena.create(shape)
        self.device = WatchedOutput(output, self.arena, self)
        self._voices: dict[int, VoiceState] = {}
        self._levels = Levels(self.arena)
        gauges = self.arena.gauges
        if self.arena.adopted:
            sample_rate = int(gauges[Gauge.SAMPLE_RATE])
        else:
            self.arena.publish(0, time.monotonic_ns())
        self.clips = ClipStore(self.arena, sample_rate)
        self._ids = itertools.count(max(1, int(gauges[Gauge.NEXT_VOICE])))

    # --- device

    async def open(self, settings: DeviceSettings) -> Opened:
        """Play on the device that ``settings`` name; it is reopened whenever it fails.

        Raises:
            InvalidRequest: no device can have these settings; what is open stays.
            DeviceError: it cannot be opened; nothing is open then.
        """
        return await self.device.open(settings.checked())

    async def close(self) -> None:
        """Close the device and drop all voices."""
        await self.device.close(self._drop_all)

    def shut_down(self) -> None:
        """Free the shared memory; the player cannot be used afterwards."""
        self.arena.close()

    def status(self) -> PlayerStatus:
        """The current numbers of the audio side."""
        opened = self.device.opened
        name = opened.name if opened else ""
        return read_status(
            self.arena, self.device.state, name, self.sample_rate, self.device.reopened
        )

    def check_open(self) -> None:
        """Return if a device is open, being replaced, or lost and tried again.

        Raises:
            DeviceError: there is none.
        """
        if not self.device.in_use:
            raise DeviceError("no audio device is open; open one with /ldm/device/open")

    # --- time

    @property
    def sample_rate(self) -> int:
        """Frames a second."""
        return self.clips.sample_rate

    def frame_at(self, time_ns: int) -> int:
        """The frame that leaves the converter at a monotonic time in ns."""
        frame, due_ns = self.arena.position()
        late = time_ns - due_ns - int(self.arena.gauges[Gauge.LATENCY_NS])
        return frame + round(late * self.sample_rate / 1e9)

    def frame_now(self) -> int:
        """The first frame that a command can still reach."""
        return self.arena.position()[0] if self.device.opened else self.next_frame()

    def next_frame(self) -> int:
        """The frame that is due now by the clock; at least 1, for 0 means "at once"."""
        frame, due_ns = self.arena.position()
        since = max(0, time.monotonic_ns() - due_ns)
        return max(1, frame + round(since * self.sample_rate / 1e9))

    # --- sounds

    async def load(self, source: Waveform, loop: Loop | None = None) -> LoadedClip:
        """Convert a sound and place it in memory, so that it can be started at once.

        Raises:
            InvalidRequest: it is empty or holds samples that are not numbers.
            TooLarge: the memory for sounds is full.
        """
        return await self.clips.load(source, loop)

    def unload(self, clip: LoadedClip) -> None:
        """Free a clip when the voices that play it have ended."""
        self.clips.unload(clip)

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
        """Start ``clip`` at ``frame`` (0: as soon as possible); returns the number of the voice.

        Args:
            clip: what is played.
            frame: of its first sample. Where it has passed, a loop is joined where it would be
                by now, and a one-shot starts late.
            gain_db: level.
            fade_s: equal-power fade-in.
            choke: group (from 1) whose playing voices stop when this one starts.
            skip: number of frames left out at the start of the clip.
            looped: False plays the clip of a loop once.
            on_start, on_end: called when the voice has started, and when it has ended.

        Raises:
            DeviceError: there is no device.
            QueueFull: too many commands at once.
        """
        self.check_open()
        voice = next(self._ids)
        self.arena.gauges[Gauge.NEXT_VOICE] = voice + 1
        state = VoiceState.of(
            clip, voice, frame, skip=skip, looped=looped, gain=decibels(gain_db),
            fade=self._frames(fade_s), choke=choke, on_start=on_start, on_end=on_end,
        )  # fmt: skip
        self._send(state.start)
        self._voices[voice] = state
        self.clips.acquire(clip)
        return voice

    def stop(self, voice: int, frame: int = 0, fade_s: float = _FADE_S) -> None:
        """Fade a voice out from ``frame`` on; one that has not started never will."""
        if (state := self._voices.get(voice)) is None:
            return
        state.stop = (frame, self._frames(fade_s))
        self._send(MixerCommand(Op.STOP, voice, frame, fade=self._frames(fade_s)))

    def set_gain(self, voice: int, gain_db: float, ramp_s: float = _FADE_S) -> None:
        """Change the level of a voice linearly over ``ramp_s``."""
        if (state := self._voices.get(voice)) is None:
            return
        gain = decibels(gain_db)
        state.set_gain(gain)
        self._send(MixerCommand(Op.GAIN, voice, gain=gain, fade=self._frames(ramp_s)))

    def move(self, voice: int, frame: int, what: Op = Op.START) -> None:
        """Reschedule a start (or stop) that lies ahead."""
        state = self._voices.get(voice)
        if state is not None and what is Op.START:
            state.starts_at(frame)
        elif state is not None and state.stop:
            state.stop = (frame, state.stop[1])
        self._send(MixerCommand(Op.RETIME, voice, frame, offset=what))

    def stop_all(self, fade_s: float = _FADE_S) -> None:
        """Fade everything out; voices that have not started never will."""
        for state in self._voices.values():
            state.stop = (0, 0)
        self._send(stop_all(self._frames(fade_s)))

    def release_survivors(self, fade_s: float) -> None:
        """Fade out what was playing when the program before this one died."""
        if first_own := int(self.arena.gauges[Gauge.FIRST_OWN]):
            self._send(stop_all(self._frames(fade_s), first_own))

    @property
    def master_db(self) -> float:
        """The level of everything in dB."""
        return self._levels.in_db(Op.MASTER, 0.0)

    @property
    def monitor_db(self) -> float:
        """The level of the inputs in the output in dB."""
        return self._levels.in_db(Op.MONITOR, -math.inf)

    def set_master(self, gain_db: float, ramp_s: float = _FADE_S) -> None:
        """Set the level of everything."""
        self._send(self._levels.set(Op.MASTER, gain_db, self._frames(ramp_s)))

    def set_monitor(self, gain_db: float, ramp_s: float = _FADE_S) -> None:
        """Set the level of the inputs in the output; -inf dB, as at first, mutes them."""
        self._send(self._levels.set(Op.MONITOR, gain_db, self._frames(ramp_s)))

    def start_frame(self, voice: int) -> int:
        """The frame at which a voice starts or started; 0: at once, or no such voice."""
        state = self._voices.get(voice)
        return state.start.frame if state else 0

    def is_playing(self, voice: int) -> bool:
        """True while a voice plays or is scheduled."""
        return voice in self._voices

    def capture(self, seconds: float, bus: Bus = "played", end_frame: int = 0) -> Waveform:
        """The last ``seconds`` that were played or recorded.

        See :func:`osc_bridge.audio.capture.capture`.

        Raises:
            InvalidRequest: more than is kept.
            NotFound: not played yet, or no longer kept.
        """
        return capture(self.arena, self.sample_rate, seconds, bus, end_frame)

    # --- what follows the output

    async def resume(self, opened: Opened) -> None:
        """Convert everything to the rate of ``opened``, and send levels and voices again.

        Loops continue in their place, one-shots that were playing are over, and starts that lie
        ahead stay scheduled.
        """
        stretch = opened.sample_rate / self.sample_rate
        if stretch != 1.0:
            for voice in [v for v, state in self._voices.items() if state.clip.streamed]:
                self._drop(voice)
            await self.clips.convert(opened.sample_rate)
        for command in self._levels.commands():
            self._send(command)
        now = self.arena.position()[0]
        self._drop_ended(now)
        for voice, state in self._voices.items():
            state.stretch(stretch, now)
            self._send(state.start)
            if state.stop:
                frame, fade = state.stop
                self._send(MixerCommand(Op.STOP, voice, frame, fade=fade))

    def poll(self) -> None:
        """Handle the events of the mixer: which voices have started and ended."""
        self.arena.gauges[Gauge.OWNER_NS] = time.monotonic_ns()
        if self.clips.reserved and not self.arena.gauges[Gauge.FIRST_OWN]:
            self.clips.free_reserved()
        while (record := self.arena.events.pop()) is not None:
            event, voice, frame = record
            state = self._voices.get(voice)
            if state is None:
                continue
            if event == Event.STARTED:
                # A loop that began late is where it would be: its frame is the one asked for.
                if not state.start.frame:
                    state.starts_at(frame)
                state.started()
            else:
                self._drop(voice)

    def expire(self) -> None:
        """Drop the voices that would have ended by now; without a device there are no events."""
        self._drop_ended(self.frame_now())

    def _drop_ended(self, now: int) -> None:
        for voice, state in tuple(self._voices.items()):
            if state.is_over(now):
                self._drop(voice)

    def _drop_all(self) -> None:
        self.poll()
        for voice in tuple(self._voices):
            self._drop(voice)

    def _drop(self, voice: int) -> None:
        state = self._voices.pop(voice)
        self.clips.release(state.clip)
        state.ended()

    def _frames(self, seconds: float) -> int:
        return round(seconds * self.sample_rate)

    def _send(self, command: MixerCommand) -> None:
        if self.device.opened is None:
            # Nobody reads the ring; voices that last are sent again when the device is back.
            return
        if not self.arena.commands.push(*command):
            raise QueueFull("too many audio commands at once; wait a moment")
