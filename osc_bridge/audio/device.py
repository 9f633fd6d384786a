"""Sound cards through PortAudio: which there are, and a stream that plays the mixer on one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import msgspec
import numpy as np

from osc_bridge.audio.arena import CHANNELS, MAX_BLOCK, Arena, Gauge
from osc_bridge.audio.clock_filter import DelayLockedLoop
from osc_bridge.audio.mixer import Mixer
from server.audio.waveform import Samples
from server.errors import DeviceError, InvalidRequest

__all__ = [
    "NO_DEVICE",
    "BlockClock",
    "Callback",
    "DeviceInfo",
    "DeviceSettings",
    "Opened",
    "find_device",
    "list_devices",
    "open_stream",
]

NO_DEVICE: Final = "none"
"""The name of the output that keeps time and makes no sound."""
_SANE_LATENCY_NS: Final = 1_000_000_000


class DeviceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Which sound card, and how."""

    device: str = ""
    """Number, part of the name, or "none"; empty: the host API's default."""
    host_api: str = ""
    """Part of its name (ALSA, JACK, CoreAudio, ASIO ...); empty: JACK where a server runs."""
    sample_rate: int = 0
    """Hz; 0: the device's own."""
    blocksize: int = 128
    """Frames; 0: what the host prefers. JACK always uses its server's period."""
    first_output: int = 1
    """The pair that plays begins here, counted from 1."""
    first_input: int = 1
    """The pair that is recorded; 0 opens no inputs."""
    input_device: str = ""
    """Where inputs are another device than outputs; empty: the inputs of ``device``."""


class DeviceInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One sound card as PortAudio lists it."""

    id: int
    name: str
    host_api: str
    inputs: int
    outputs: int
    sample_rate: int
    default: bool = False


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """What was opened in the end."""

    name: str
    host_api: str = ""
    sample_rate: int = 48000
    outputs: int = 2
    inputs: int = 0
    latency_s: float = 0.0
    realtime: bool = False
    """True where the system granted real-time priority."""


def list_devices() -> tuple[DeviceInfo, ...]:
    """All sound cards.

    Raises:
        DeviceError: PortAudio is not installed.
    """
    sounddevice = _portaudio()
    apis = sounddevice.query_hostapis()
    return tuple(
        DeviceInfo(
            id=number,
            name=str(entry["name"]),
            host_api=str(apis[entry["hostapi"]]["name"]),
            inputs=int(entry["max_input_channels"]),
            outputs=int(entry["max_output_channels"]),
            sample_rate=round(entry["default_samplerate"]),
            default=number == apis[entry["hostapi"]]["default_output_device"],
        )
        for number, entry in enumerate(sounddevice.query_devices())
    )


def find_device(
    settings: DeviceSettings, devices: tuple[DeviceInfo, ...], *, to_record: bool = False
) -> DeviceInfo:
    """The one device that ``settings`` mean for playing, or ``to_record``.

    Raises:
        DeviceError: none or several fit; the sentence lists what there is.
    """
    kind, name = ("input", settings.input_device) if to_record else ("output", settings.device)
    usable = [d for d in devices if (d.inputs if to_record else d.outputs)]
    wanted = settings.host_api or ("JACK" if any("JACK" in d.host_api for d in devices) else "")
    here = [d for d in usable if wanted.lower() in d.host_api.lower()]
    if name.isdigit():
        fitting = [d for d in usable if d.id == int(name)]
    elif name:
        fitting = [d for d in here if d.name == name] or [
            d for d in here if name.lower() in d.name.lower()
        ]
    else:
        fitting = [d for d in here if d.default][:1]
    if len(fitting) == 1:
        return fitting[0]
    problem = f"{len(fitting) or 'no'} {kind} devices for {name!r}"
    listed = "; ".join(f"{d.id} {d.name} ({d.host_api})" for d in usable)
    raise DeviceError(
        f"{problem}, host API {settings.host_api!r}: choose one of: {listed or 'none at all'}"
    )


class BlockClock:
    """Publishes which frame is due when, without the jitter of the callbacks."""

    def __init__(self, arena: Arena, sample_rate: int) -> None:
        self._arena = arena
        self._rate = sample_rate
        self._loop = DelayLockedLoop(0.0)
        self._blocksize = 0

    def tick(self, frame: int, blocksize: int, now_ns: int) -> None:
        """A block of ``blocksize`` frames that ends before ``frame`` was asked for at ``now_ns``"""
        if blocksize != self._blocksize:
            self._blocksize = blocksize
            self._loop.reset(blocksize / self._rate)
        self._loop.update(now_ns * 1e-9)
        self._arena.publish(frame, int(self._loop.expected * 1e9))


class Callback:
    """PortAudio's callback: block in, block out, gauges.

    Args:
        mixer: what sounds.
        first_output, first_input: the channel pairs, counted from 1.
    """

    def __init__(self, mixer: Mixer, first_output: int = 1, first_input: int = 1) -> None:
        self._mixer = mixer
        self._gauges = mixer.arena.gauges
        self._clock = BlockClock(mixer.arena, mixer.sample_rate)
        self._out = first_output - 1
        self._in = first_input - 1
        self._recorded = np.zeros((MAX_BLOCK, CHANNELS), np.float32)

    def duplex(
        self, indata: Samples, outdata: Samples, frames: int, times: Any, status: Any
    ) -> None:
        """sounddevice.Stream's signature."""
        now = time.monotonic_ns()
        gauges = self._gauges
        if status:
            gauges[Gauge.UNDER_RUNS] += bool(status.output_underflow)
            gauges[Gauge.OVER_RUNS] += bool(status.input_overflow)
        self.block(indata, outdata, frames)
        latency = int((times.outputBufferDacTime - times.currentTime) * 1e9)
        gauges[Gauge.LATENCY_NS] = latency if 0 < latency < _SANE_LATENCY_NS else 0
        self.account(frames, now)

    def output(self, outdata: Samples, frames: int, times: Any, status: Any) -> None:
        """sounddevice.OutputStream's signature."""
        self.duplex(outdata[:, :0], outdata, frames, times, status)

    def silent(self, frames: int, now_ns: int) -> None:
        """A block that nobody hears."""
        self._mixer.render(frames)
        self.account(frames, now_ns)

    def block(self, indata: Samples, outdata: Samples, frames: int) -> None:
        try:
            for at in range(0, frames, MAX_BLOCK):
                n = min(MAX_BLOCK, frames - at)
                block = self._mixer.render(n, self._record(indata[at : at + n]))
                self._route(block, outdata[at : at + n])
        except Exception:
            # A broken block must not end the stream: silence, and a number somebody reads.
            outdata.fill(0.0)
            self._gauges[Gauge.GLITCHES] += 1

    def _record(self, indata: Samples) -> Samples | None:
        if not indata.shape[1]:
            return None
        recorded = self._recorded[: indata.shape[0]]
        pair = indata[:, self._in : self._in + CHANNELS]
        np.copyto(recorded, pair if pair.shape[1] == CHANNELS else pair[:, :1])
        return recorded

    def _route(self, block: Samples, outdata: Samples) -> None:
        if outdata.shape[1] == CHANNELS:
            np.copyto(outdata, block)
            return
        outdata.fill(0.0)
        pair = outdata[:, self._out : self._out + CHANNELS]
        if pair.shape[1] == CHANNELS:
            np.copyto(pair, block)
        else:
            np.add(block[:, :1], block[:, 1:], out=pair)
            np.multiply(pair, 0.5, out=pair)

    def account(self, frames: int, now: int) -> None:
        gauges = self._gauges
        self._clock.tick(self._mixer.frame, frames, now)
        gauges[Gauge.BLOCKSIZE] = frames
        gauges[Gauge.CALLBACKS] += 1
        spent = time.monotonic_ns() - now
        gauges[Gauge.LOAD_SUM_NS] += spent
        gauges[Gauge.LOAD_MAX_NS] = max(gauges[Gauge.LOAD_MAX_NS], spent)


def open_stream(
    arena: Arena,
    settings: DeviceSettings,
    first_frame: Callable[[int], int],
    on_finished: Any = None,
) -> tuple[Any, Opened]:
    """A running PortAudio stream (keep it, ``close()`` it) and what was opened.

    Args:
        first_frame: gives the number of the first frame, at a sample rate.
        on_finished: called when the stream ends for whatever reason.

    Raises:
        DeviceError: no PortAudio, no such device, or it refuses the settings.
    """
    sounddevice = _portaudio()
    devices = list_devices()
    info = find_device(settings, devices)
    recorder = find_device(settings, devices, to_record=True) if settings.input_device else info
    outputs, inputs = _channels(info, recorder, settings)
    jack = "JACK" in info.host_api
    # JACK dictates its own rate and period; asking for another one is refused or costs xruns.
    rate = info.sample_rate if jack else settings.sample_rate or info.sample_rate
    callback = Callback(
        Mixer(arena, rate, first_frame(rate)), settings.first_output, settings.first_input
    )
    common = {
        "samplerate": rate,
        "blocksize": 0 if jack else settings.blocksize,
        "dtype": "float32",
        "latency": "low",
        "finished_callback": on_finished,
    }
    try:
        if inputs:
            pair = {"device": (recorder.id, info.id), "channels": (inputs, outputs)}
            stream = sounddevice.Stream(callback=callback.duplex, **pair, **common)
        else:
            single = {"device": info.id, "channels": outputs}
            stream = sounddevice.OutputStream(callback=callback.output, **single, **common)
        stream.start()
    except (sounddevice.PortAudioError, ValueError) as error:
        raise DeviceError(f"{info.name} ({info.host_api}) at {rate} Hz: {error}") from error
    return stream, Opened(
        name=info.name,
        host_api=info.host_api,
        sample_rate=rate,
        outputs=outputs,
        inputs=inputs,
        latency_s=float(stream.latency[1] if inputs else stream.latency),
    )


def _channels(info: DeviceInfo, recorder: DeviceInfo, settings: DeviceSettings) -> tuple[int, int]:
    """How many outputs and inputs to open so that the wanted pairs are among them."""
    first = settings.first_output
    if not 1 <= first <= info.outputs:
        raise InvalidRequest(f"first_output {first}: {info.name} has outputs 1 to {info.outputs}")
    wanted = settings.first_input if settings.first_input <= recorder.inputs else 0
    inputs = min(wanted + 1, recorder.inputs) if wanted else 0
    return min(first + 1, info.outputs), inputs


def _portaudio() -> Any:
    try:
        import sounddevice
    except ImportError as error:
        raise DeviceError("sounddevice is not installed: pip install sounddevice") from error
    except OSError as error:
        raise DeviceError(
            "the PortAudio library is missing: apt install libportaudio2 (Debian, Ubuntu) "
            "or the PortAudio package of your system"
        ) from error
    return sounddevice
