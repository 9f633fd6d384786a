"""Sound cards through PortAudio: the list of them, and a stream that plays the mixer on one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from osc_bridge.audio.arena import Arena
from osc_bridge.audio.callback import Callback
from osc_bridge.audio.device import DeviceInfo, DeviceSettings, Opened
from osc_bridge.audio.mixer import Mixer
from server.errors import DeviceError, InvalidRequest

__all__ = ["find_device", "list_devices", "open_stream"]


def list_devices() -> tuple[DeviceInfo, ...]:
    """List all sound cards.

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
    """The device that ``settings`` name, for playing or (``to_record``) for recording.

    Raises:
        DeviceError: none or several match; the message lists all.
    """
    kind, name = ("input", settings.input_device) if to_record else ("output", settings.device)
    usable = [d for d in devices if (d.inputs if to_record else d.outputs)]
    host_api = settings.host_api or ("JACK" if any("JACK" in d.host_api for d in devices) else "")
    here = [d for d in usable if host_api.lower() in d.host_api.lower()]
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


def open_stream(
    arena: Arena,
    settings: DeviceSettings,
    first_frame: Callable[[int], int],
    on_finished: Any = None,
) -> tuple[Any, Opened]:
    """Open a PortAudio stream that plays the mixer.

    Args:
        arena: what is played.
        settings: which sound card, and how.
        first_frame: gives the number of the first frame for a sample rate.
        on_finished: called when the stream ends, for any reason.

    Returns:
        The running stream, to be kept and closed, and what was opened.

    Raises:
        DeviceError: PortAudio is missing, there is no such device, or it refuses the settings.
    """
    devices = list_devices()
    info = find_device(settings, devices)
    recorder = find_device(settings, devices, to_record=True) if settings.input_device else info
    outputs, inputs = _channels(info, recorder, settings)
    jack = "JACK" in info.host_api
    # JACK has its own rate and period: others are refused or cause xruns.
    rate = info.sample_rate if jack else settings.sample_rate or info.sample_rate
    callback = Callback(
        Mixer(arena, rate, first_frame(rate)), settings.first_output, settings.first_input
    )
    options = {
        "samplerate": rate,
        "blocksize": 0 if jack else settings.blocksize,
        "finished_callback": on_finished,
    }
    if inputs:
        options |= {"device": (recorder.id, info.id), "channels": (inputs, outputs)}
    else:
        options |= {"device": info.id, "channels": outputs}
    stream = _started(callback, options, duplex=bool(inputs), name=f"{info.name} ({info.host_api})")
    return stream, Opened(
        name=info.name,
        host_api=info.host_api,
        sample_rate=rate,
        outputs=outputs,
        inputs=inputs,
        latency_s=float(stream.latency[1] if inputs else stream.latency),
    )


def _started(callback: Callback, options: dict[str, Any], *, duplex: bool, name: str) -> Any:
    """A running PortAudio stream."""
    sounddevice = _portaudio()
    kind = sounddevice.Stream if duplex else sounddevice.OutputStream
    function = callback.duplex if duplex else callback.output
    try:
        stream = kind(callback=function, dtype="float32", latency="low", **options)
        stream.start()
    except (sounddevice.PortAudioError, ValueError) as error:
        raise DeviceError(f"{name} at {options['samplerate']} Hz: {error}") from error
    return stream


def _channels(info: DeviceInfo, recorder: DeviceInfo, settings: DeviceSettings) -> tuple[int, int]:
    """Number of outputs and inputs to open, so that they include the pairs."""
    first = settings.first_output
    if not 1 <= first <= info.outputs:
        raise InvalidRequest(f"first_output {first}: {info.name} has outputs 1 to {info.outputs}")
    pair = settings.first_input if settings.first_input <= recorder.inputs else 0
    inputs = min(pair + 1, recorder.inputs) if pair else 0
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
