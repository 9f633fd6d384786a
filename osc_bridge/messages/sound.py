"""What is said about sound: the device, takes, levels, what was captured.

What changes by itself is told to all clients that have notices on (``/ldm/notify 1``).
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
    id: Count
    name: Words
    host_api: Words
    inputs: Count
    outputs: Count
    sample_rate: Count
    default: bool


class DeviceState(Reply, frozen=True):
    """The audio side in numbers; counts since the program began."""

    address: ClassVar[str] = "/ldm/device/state"
    state: Annotated[str, Meta(description="open, lost (it is tried again) or closed")]
    name: Words
    sample_rate: Count
    blocksize: Count
    latency_s: Seconds
    under_runs: Annotated[Count, Meta(description="blocks that came too late")]
    late: Annotated[Count, Meta(description="starts that came after their time")]
    voices: Annotated[Count, Meta(description="sounding now")]
    peak: Annotated[float, Meta(description="of the last block, full scale is 1")]
    load: Annotated[float, Meta(description="longest block since the last state / its time")]
    reopened: Annotated[Count, Meta(description="times the device came back")]


class DeviceNotice(Reply, frozen=True):
    """The sound card came, went or refused."""

    address: ClassVar[str] = "/ldm/notify/device"
    state: Annotated[str, Meta(description="open, lost or closed")]
    name: Words
    sample_rate: Count
    reason: Words


class DeviceList(Command, frozen=True):
    """Ask which sound cards there are."""

    address: ClassVar[str] = "/ldm/device/list"
    replies: ClassVar[tuple[type[Message], ...]] = (DeviceListed, DeviceState)


class DeviceOpen(Command, frozen=True):
    """Play on a sound card from now on; without arguments on the default one."""

    address: ClassVar[str] = "/ldm/device/open"
    replies: ClassVar[tuple[type[Message], ...]] = (DeviceState,)
    device: Annotated[
        str, Meta(max_length=200, description="number, part of the name, or none: no sound")
    ] = ""
    sample_rate: Annotated[
        int, Meta(ge=0, le=384_000, description="0: the card's own", extra={"unit": "Hz"})
    ] = 0
    blocksize: Annotated[
        int, Meta(ge=0, le=8192, description="frames; JACK has its own", extra={"unit": "frames"})
    ] = 128
    first_output: Annotated[int, Meta(ge=1, le=256, description="first of the pair")] = 1
    first_input: Annotated[int, Meta(ge=0, le=256, description="first of the pair; 0: none")] = 1
    host_api: Annotated[str, Meta(max_length=100, description="ALSA, JACK, CoreAudio ...")] = ""
    input_device: Annotated[str, Meta(max_length=200, description="if not the same card")] = ""


class DeviceClose(Command, frozen=True):
    """Let the sound card go."""

    address: ClassVar[str] = "/ldm/device/close"
    replies: ClassVar[tuple[type[Message], ...]] = (DeviceState,)


class DeviceStatus(Command, frozen=True):
    """Ask how the sound card is doing."""

    address: ClassVar[str] = "/ldm/device/status"
    replies: ClassVar[tuple[type[Message], ...]] = (DeviceState,)


# --- takes and levels


class TakePlaying(Reply, frozen=True):
    """A take begins (or waits for its grid)."""

    address: ClassVar[str] = "/ldm/take/playing"
    voice: Voice
    path: Path
    frame: Frame


class VoiceNotice(Reply, frozen=True):
    """A take began to sound, or ended."""

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
    quantise: Annotated[Quantise, Meta(description="begin on the next ...")] = "none"
    choke: Annotated[int, Meta(ge=0, le=99, description="group that silences itself")] = 0


class TakeStop(Command, frozen=True):
    """Fade a take out."""

    address: ClassVar[str] = "/ldm/take/stop"
    voice: Voice
    fade_s: Fade = 0.01


class TakeGain(Command, frozen=True):
    """Change the level of a sounding take."""

    address: ClassVar[str] = "/ldm/take/gain"
    voice: Voice
    gain_db: Level


class StopAll(Command, frozen=True):
    """Panic: everything fades out at once, streams too; nothing that was asked for begins."""

    address: ClassVar[str] = "/ldm/stop"
    fade_s: Fade = 0.05


class MasterGain(Command, frozen=True):
    """Level of everything, before the limiter."""

    address: ClassVar[str] = "/ldm/master/gain"
    gain_db: Level


class MonitorGain(Command, frozen=True):
    """Level at which the inputs are heard."""

    address: ClassVar[str] = "/ldm/monitor/gain"
    gain_db: Level


class CaptureSaved(Reply, frozen=True):
    """What was just played is a file now, usable as clip for every job."""

    address: ClassVar[str] = "/ldm/capture/saved"
    path: Path
    seconds: Seconds
    peak: float


class CaptureSave(Command, frozen=True):
    """Keep what was just played (or recorded)."""

    address: ClassVar[str] = "/ldm/capture/save"
    replies: ClassVar[tuple[type[Message], ...]] = (CaptureSaved,)
    seconds: Annotated[
        float, Meta(ge=0.1, le=600.0, description="how far back", extra={"unit": "s"})
    ] = 10.0
    bus: Annotated[Bus, Meta(description="outputs or inputs")] = "played"
    path: Annotated[
        str, Meta(max_length=4000, description="file in an allowed folder; empty: a new name")
    ] = ""
