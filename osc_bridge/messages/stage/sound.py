"""Messages about the sound card, takes, levels and the capture.

Changes are sent to all clients that have notices on (``/ldm/notify 1``).
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from osc_bridge.choices import Bus, Quantise
from osc_bridge.messages.arguments import Count, Fade, Frame, Level, Path, Seconds, Voice, Words
from osc_bridge.messages.message import Command, Message, Reply


class DeviceListed(Reply, frozen=True):
    """One sound card; the last one is followed by /ldm/device/state."""

    address: ClassVar[str] = "/ldm/device/listed"
    id: Annotated[Count, Meta(description="number of the card")]
    name: Annotated[Words, Meta(description="name of the card")]
    host_api: Annotated[Words, Meta(description="ALSA, JACK, CoreAudio, ...")]
    inputs: Annotated[Count, Meta(description="number of input channels")]
    outputs: Annotated[Count, Meta(description="number of output channels")]
    sample_rate: Annotated[Count, Meta(description="default sample rate in Hz")]
    default: Annotated[bool, Meta(description="1 for the default card of its host API")]


class DeviceState(Reply, frozen=True):
    """The state of the sound card; counters since the start of the program."""

    address: ClassVar[str] = "/ldm/device/state"
    state: Annotated[str, Meta(description="open, lost (it is tried again) or closed")]
    name: Annotated[Words, Meta(description="name of the card")]
    sample_rate: Annotated[Count, Meta(description="sample rate in Hz")]
    blocksize: Annotated[Count, Meta(description="frames in a block")]
    latency_s: Annotated[Seconds, Meta(description="output latency reported by the card")]
    under_runs: Annotated[Count, Meta(description="number of output under-runs")]
    late: Annotated[Count, Meta(description="number of commands that arrived after their time")]
    voices: Annotated[Count, Meta(description="number of voices that play")]
    peak: Annotated[float, Meta(description="peak of the last block; full scale is 1")]
    load: Annotated[float, Meta(description="rendering time / playing time of the slowest block")]
    reopened: Annotated[Count, Meta(description="number of times a lost card came back")]


class DeviceNotice(Reply, frozen=True):
    """The sound card was opened, was lost or was closed."""

    address: ClassVar[str] = "/ldm/notify/device"
    state: Annotated[str, Meta(description="open, lost or closed")]
    name: Annotated[Words, Meta(description="name of the card, if one is open")]
    sample_rate: Annotated[Count, Meta(description="sample rate in Hz")]
    reason: Annotated[Words, Meta(description="why it is not open; empty where it is")]


class DeviceList(Command, frozen=True):
    """Ask for the sound cards."""

    address: ClassVar[str] = "/ldm/device/list"
    replies: ClassVar[tuple[type[Message], ...]] = (DeviceListed, DeviceState)


class DeviceOpen(Command, frozen=True):
    """Open a sound card; without arguments the default one."""

    address: ClassVar[str] = "/ldm/device/open"
    replies: ClassVar[tuple[type[Message], ...]] = (DeviceState,)
    device: Annotated[
        str, Meta(max_length=200, description="number or part of the name; none for no card")
    ] = ""
    sample_rate: Annotated[
        int,
        Meta(
            ge=0,
            le=384_000,
            description="sample rate, at least 8000; 0 for the default of the card",
            extra={"unit": "Hz"},
        ),
    ] = 0
    blocksize: Annotated[
        int,
        Meta(
            ge=0,
            le=8192,
            description="frames in a block, at least 16; JACK has its own, 0 for the card's",
            extra={"unit": "frames"},
        ),
    ] = 128
    first_output: Annotated[
        int, Meta(ge=1, le=256, description="first channel of the output pair")
    ] = 1
    first_input: Annotated[
        int, Meta(ge=0, le=256, description="first channel of the input pair; 0 for no inputs")
    ] = 1
    host_api: Annotated[str, Meta(max_length=100, description="ALSA, JACK, CoreAudio, ...")] = ""
    input_device: Annotated[
        str, Meta(max_length=200, description="card of the inputs, if another one")
    ] = ""


class DeviceClose(Command, frozen=True):
    """Close the sound card."""

    address: ClassVar[str] = "/ldm/device/close"
    replies: ClassVar[tuple[type[Message], ...]] = (DeviceState,)


class DeviceStatus(Command, frozen=True):
    """Ask for the state of the sound card."""

    address: ClassVar[str] = "/ldm/device/status"
    replies: ClassVar[tuple[type[Message], ...]] = (DeviceState,)


# --- takes and levels


class TakePlaying(Reply, frozen=True):
    """A take starts, at once or on its grid."""

    address: ClassVar[str] = "/ldm/take/playing"
    voice: Voice
    path: Path
    frame: Frame


class VoiceNotice(Reply, frozen=True):
    """A take started to play, or ended."""

    address: ClassVar[str] = "/ldm/notify/voice"
    voice: Voice
    state: Annotated[str, Meta(description="playing or ended")]
    path: Path


class TakePlay(Command, frozen=True):
    """Play a sound file through the sound card."""

    address: ClassVar[str] = "/ldm/take/play"
    replies: ClassVar[tuple[type[Message], ...]] = (TakePlaying,)
    path: Path
    gain_db: Level = 0.0
    loop: Annotated[bool, Meta(description="repeat until stopped")] = False
    quantise: Annotated[Quantise, Meta(description="grid on which it starts")] = "none"
    choke: Annotated[
        int, Meta(ge=0, le=99, description="group whose takes silence each other; 0: none")
    ] = 0


class TakeStop(Command, frozen=True):
    """Fade out a take that plays."""

    address: ClassVar[str] = "/ldm/take/stop"
    voice: Voice
    fade_s: Fade = 0.01


class TakeGain(Command, frozen=True):
    """Set the level of a take that plays."""

    address: ClassVar[str] = "/ldm/take/gain"
    voice: Voice
    gain_db: Level


class StopAll(Command, frozen=True):
    """Panic: fade everything out and cancel what is waiting to start."""

    address: ClassVar[str] = "/ldm/stop"
    fade_s: Fade = 0.05


class MasterGain(Command, frozen=True):
    """Set the level of everything, before the limiter."""

    address: ClassVar[str] = "/ldm/master/gain"
    gain_db: Level


class MonitorGain(Command, frozen=True):
    """Set the level of the inputs in the output."""

    address: ClassVar[str] = "/ldm/monitor/gain"
    gain_db: Level


class CaptureSaved(Reply, frozen=True):
    """The capture is saved as a file, which can be the clip of any job."""

    address: ClassVar[str] = "/ldm/capture/saved"
    path: Path
    seconds: Annotated[Seconds, Meta(description="length")]
    peak: Annotated[float, Meta(description="largest sample; full scale is 1")]


class CaptureSave(Command, frozen=True):
    """Save what was just played or recorded to a file."""

    address: ClassVar[str] = "/ldm/capture/save"
    replies: ClassVar[tuple[type[Message], ...]] = (CaptureSaved,)
    seconds: Annotated[
        float, Meta(ge=0.1, le=600.0, description="length, back from now", extra={"unit": "s"})
    ] = 10.0
    bus: Annotated[Bus, Meta(description="played: the outputs; recorded: the inputs")] = "played"
    path: Annotated[
        str, Meta(max_length=4000, description="file in an allowed folder; empty for a new name")
    ] = ""
