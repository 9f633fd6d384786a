"""What is said about sound: device, takes, transport, pads, stream, capture, MIDI.

One class an address, as in :mod:`osc_bridge.messages`. Pads are named by number (from 1) or name.
What changes by itself is told to all clients that have notices on (``/ldm/notify 1``).

>>> PadHit.from_osc([2, 0.5])
PadHit(pad='2', velocity=0.5)
>>> TransportTempo(118.0).to_osc()
OscMessage('/ldm/transport/tempo', 118.0)
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from msgspec import Meta

from osc_bridge.choices import Bus, ClockName, MidiApi, Quantise
from osc_bridge.messages import Command, Message, Reply
from osc_bridge.transport import MAX_BPM, MIN_BPM

SOFTEST_DB: Final = -80.0
Level = Annotated[float, Meta(ge=SOFTEST_DB, le=24.0, description="level", extra={"unit": "dB"})]
Fade = Annotated[float, Meta(ge=0.0, le=60.0, description="fade-out", extra={"unit": "s"})]
Over = Annotated[float, Meta(ge=0.0, le=600.0, extra={"unit": "s"})]
PadName = Annotated[str, Meta(min_length=1, max_length=60, description="number from 1, or name")]
Voice = Annotated[int, Meta(ge=0, description="number of the sounding take")]
Bpm = Annotated[float, Meta(ge=MIN_BPM, le=MAX_BPM, description="tempo", extra={"unit": "bpm"})]
Path = Annotated[str, Meta(max_length=4000, description="a sound file", extra={"file": True})]
Prompt = Annotated[str, Meta(max_length=2000, description="what it should sound like")]
Words = Annotated[str, Meta(max_length=4000)]
Seconds = Annotated[float, Meta(extra={"unit": "s"})]
Frame = Annotated[int, Meta(ge=0, description="frame at which it begins, modulo 2^31; 0: at once")]
Count = Annotated[int, Meta(ge=0)]
Axis = Annotated[float, Meta(ge=0.0, le=1.0)]


# --- device


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


# --- transport


class TransportPosition(Reply, frozen=True):
    """Where the transport is."""

    address: ClassVar[str] = "/ldm/transport/position"
    bar: Annotated[int, Meta(description="from 1")]
    beat: Annotated[float, Meta(description="within the bar, from 1.0")]
    bpm: float
    beats_per_bar: int
    clock: Annotated[str, Meta(description="who leads")]
    peers: Annotated[Count, Meta(description="others on Ableton Link")]
    off_s: Annotated[float, Meta(description="last distance from the leading clock")]


class Transport(Command, frozen=True):
    """Ask where the transport is."""

    address: ClassVar[str] = "/ldm/transport"
    replies: ClassVar[tuple[type[Message], ...]] = (TransportPosition,)


class TransportTempo(Command, frozen=True):
    """Change the tempo."""

    address: ClassVar[str] = "/ldm/transport/tempo"
    bpm: Bpm


class TransportMeter(Command, frozen=True):
    """Change the length of a bar."""

    address: ClassVar[str] = "/ldm/transport/meter"
    beats_per_bar: Annotated[int, Meta(ge=1, le=32)]


class TransportRestart(Command, frozen=True):
    """Be at a bar now, or at the bundle's time."""

    address: ClassVar[str] = "/ldm/transport/restart"
    takes_time: ClassVar[bool] = True
    bar: Annotated[int, Meta(ge=1, le=100_000)] = 1


class TransportClock(Command, frozen=True):
    """Choose who leads: internal, Ableton Link, MIDI clock or OSC beats."""

    address: ClassVar[str] = "/ldm/transport/clock"
    replies: ClassVar[tuple[type[Message], ...]] = (TransportPosition,)
    clock: ClockName


class TransportBeat(Command, frozen=True):
    """A beat of the OSC clock: now, or at the bundle's time."""

    address: ClassVar[str] = "/ldm/transport/beat"
    takes_time: ClassVar[bool] = True
    beat: Annotated[
        float, Meta(ge=0.0, description="from 0; after days as d or i: f has only 24 bits")
    ]
    bpm: Bpm


# --- live set and pads


class PadState(Reply, frozen=True):
    """Where a pad stands."""

    address: ClassVar[str] = "/ldm/pad/state"
    number: Count
    name: Words
    state: Annotated[str, Meta(description="empty, rendering, ready, queued, playing or failed")]
    takes: Count
    refreshing: bool
    error: Words


class PadNotice(Reply, frozen=True):
    """A pad changed."""

    address: ClassVar[str] = "/ldm/notify/pad"
    number: Count
    name: Words
    state: Annotated[str, Meta(description="empty, rendering, ready, queued, playing or failed")]
    takes: Count
    refreshing: bool
    error: Words


class LiveLoaded(Reply, frozen=True):
    """A live set is loaded; its pads are being rendered."""

    address: ClassVar[str] = "/ldm/live/loaded"
    name: Words
    num_pads: Count
    bpm: float


class LiveListed(Reply, frozen=True):
    """The live sets that ship with the program."""

    address: ClassVar[str] = "/ldm/live/listed"
    names: Annotated[str, Meta(description="separated by commas")]


class LiveLoad(Command, frozen=True):
    """Load a live set by name, or from a YAML file."""

    address: ClassVar[str] = "/ldm/live/load"
    replies: ClassVar[tuple[type[Message], ...]] = (LiveLoaded,)
    name: Annotated[str, Meta(min_length=1, max_length=4000)]


class LiveList(Command, frozen=True):
    """Ask for the live sets."""

    address: ClassVar[str] = "/ldm/live/list"
    replies: ClassVar[tuple[type[Message], ...]] = (LiveListed,)


class PadList(Command, frozen=True):
    """Ask for the state of all pads."""

    address: ClassVar[str] = "/ldm/pad/list"
    replies: ClassVar[tuple[type[Message], ...]] = (PadState,)


class PadHit(Command, frozen=True):
    """Play a pad's next take on its grid; a loop that plays stops."""

    address: ClassVar[str] = "/ldm/pad/hit"
    takes_time: ClassVar[bool] = True
    pad: PadName
    velocity: Annotated[float, Meta(ge=0.0, le=1.0)] = 1.0


class PadPlay(Command, frozen=True):
    """Play a pad's next take on its grid; a loop that plays begins again."""

    address: ClassVar[str] = "/ldm/pad/play"
    takes_time: ClassVar[bool] = True
    pad: PadName
    velocity: Annotated[float, Meta(ge=0.0, le=1.0)] = 1.0


class PadStop(Command, frozen=True):
    """Stop a pad on its grid."""

    address: ClassVar[str] = "/ldm/pad/stop"
    takes_time: ClassVar[bool] = True
    pad: PadName


class PadGain(Command, frozen=True):
    """Level of a pad."""

    address: ClassVar[str] = "/ldm/pad/gain"
    pad: PadName
    gain_db: Level


class PadRefresh(Command, frozen=True):
    """Render new takes behind; a loop that plays changes over on its next bar."""

    address: ClassVar[str] = "/ldm/pad/refresh"
    pad: PadName
    prompt: Annotated[str, Meta(max_length=2000, description="empty: the same again")] = ""


# --- stream


class StreamState(Reply, frozen=True):
    """How the stream is doing."""

    address: ClassVar[str] = "/ldm/stream/state"
    state: Annotated[str, Meta(description="stopped, starting or playing")]
    prompt: Words
    rung: Annotated[str, Meta(description="full, half, quarter, fewest (steps) or recombine")]
    num_inference_steps: Count
    real_time_factor: Annotated[float, Meta(description="time to render / time it lasts")]
    rendered: Annotated[Count, Meta(description="chunks so far")]
    recombined: Annotated[Count, Meta(description="times an old chunk stood in")]
    method: Annotated[str, Meta(description="continue or crossfade")]
    error: Words


class StreamNotice(Reply, frozen=True):
    """The stream changed state, prompt or rung."""

    address: ClassVar[str] = "/ldm/notify/stream"
    state: Annotated[str, Meta(description="stopped, starting or playing")]
    prompt: Words
    rung: Annotated[str, Meta(description="full, half, quarter, fewest (steps) or recombine")]
    num_inference_steps: Count
    real_time_factor: float
    rendered: Count
    recombined: Count
    method: Words
    error: Words


class StreamStart(Command, frozen=True):
    """Begin an endless sound; without prompt, that of the live set."""

    address: ClassVar[str] = "/ldm/stream/start"
    replies: ClassVar[tuple[type[Message], ...]] = (StreamState,)
    prompt: Prompt = ""


class StreamStop(Command, frozen=True):
    """Fade the stream out."""

    address: ClassVar[str] = "/ldm/stream/stop"
    replies: ClassVar[tuple[type[Message], ...]] = (StreamState,)
    fade_s: Fade = 2.0


class StreamPrompt(Command, frozen=True):
    """Turn the stream into something else."""

    address: ClassVar[str] = "/ldm/stream/prompt"
    prompt: Prompt
    over_s: Annotated[Over, Meta(description="how long the change takes")] = 3.0


class StreamCorners(Command, frozen=True):
    """Two to four prompts between which the stream can be moved."""

    address: ClassVar[str] = "/ldm/stream/corners"
    left_bottom: Prompt
    right_bottom: Prompt
    left_top: Prompt = ""
    right_top: Prompt = ""


class StreamXY(Command, frozen=True):
    """Move the stream between its corners."""

    address: ClassVar[str] = "/ldm/stream/xy"
    x: Annotated[Axis, Meta(description="0 left, 1 right")]
    y: Annotated[Axis, Meta(description="0 bottom, 1 top")]


class StreamGain(Command, frozen=True):
    """Level of the stream."""

    address: ClassVar[str] = "/ldm/stream/gain"
    gain_db: Level


class StreamStatus(Command, frozen=True):
    """Ask how the stream is doing."""

    address: ClassVar[str] = "/ldm/stream/status"
    replies: ClassVar[tuple[type[Message], ...]] = (StreamState,)


# --- rendering for a bar


class BarState(Reply, frozen=True):
    """How a render for a bar is doing."""

    address: ClassVar[str] = "/ldm/bar/state"
    request_id: Words
    bar: Count
    state: Annotated[str, Meta(description="planned, ready, late or failed")]
    num_inference_steps: Count
    num_takes: Count
    expected_s: Seconds
    margin_s: Annotated[Seconds, Meta(description="time left before the bar")]
    path: Path
    error: Words


class BarRender(Command, frozen=True):
    """Render something that sounds when a bar begins; steps and takes are chosen to be in time."""

    address: ClassVar[str] = "/ldm/bar/render"
    replies: ClassVar[tuple[type[Message], ...]] = (BarState,)
    request_id: Annotated[str, Meta(max_length=200, description="the id that the client chose")]
    bar: Annotated[int, Meta(ge=1, le=1_000_000, description="where it begins")]
    bars: Annotated[float, Meta(ge=0.125, le=64.0, description="how long it is")]
    prompt: Prompt
    num_waveforms_per_prompt: Annotated[
        int, Meta(ge=1, le=64, description="takes, of which the best one sounds")
    ] = 1


# --- MIDI


class MidiListed(Reply, frozen=True):
    """MIDI inputs, and the one that is open."""

    address: ClassVar[str] = "/ldm/midi/listed"
    names: Annotated[str, Meta(description="one a line")]
    opened: Words


class MidiList(Command, frozen=True):
    """Ask which MIDI inputs there are."""

    address: ClassVar[str] = "/ldm/midi/list"
    replies: ClassVar[tuple[type[Message], ...]] = (MidiListed,)
    api: MidiApi = ""


class MidiOpen(Command, frozen=True):
    """Listen to a MIDI input; without name, to a port of our own that others connect to."""

    address: ClassVar[str] = "/ldm/midi/open"
    replies: ClassVar[tuple[type[Message], ...]] = (MidiListed,)
    port: Annotated[str, Meta(max_length=200)] = ""
    api: MidiApi = ""


class MidiClose(Command, frozen=True):
    """Listen to MIDI no more."""

    address: ClassVar[str] = "/ldm/midi/close"


class MidiBind(Command, frozen=True):
    """Let a note or controller send a message to us; $value stands for its value, $note for it."""

    address: ClassVar[str] = "/ldm/midi/bind"
    control: Annotated[str, Meta(pattern="^(note|control)$", description="note or control")]
    number: Annotated[int, Meta(ge=0, le=127)]
    target: Annotated[str, Meta(pattern="^/ldm/", max_length=200, description="an address")]
    arguments_text: Annotated[
        str, Meta(max_length=1000, description="separated by spaces, as in: bed $value")
    ] = "$value"
    low: Annotated[float, Meta(description="value at 0")] = 0.0
    high: Annotated[float, Meta(description="value at 127")] = 1.0
