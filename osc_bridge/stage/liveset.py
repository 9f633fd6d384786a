"""Live sets: pads, a stream and MIDI bindings in one YAML file.

    name: Night train
    tempo_bpm: 118
    pads:
      - {name: kick, prompt: deep kick drum, mode: one_shot, note: 36, takes: 3}
      - {name: bed, prompt: warm pad in A minor, bars: 4, quantise: bar, choke: 1}

Sets that ship with the program are found by name, others by path.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from osc_bridge.choices import Quantise
from osc_bridge.stage.transport import MAX_BPM, MIN_BPM
from server.audio.fence.regular import read_regular
from server.errors import InvalidRequest
from server.file_names import existing, path_of
from server.requests.fields import field_named
from server.requests.name_match import matching
from server.requests.new_sound import BeatsPerBar
from server.requests.request import MAX_TAKES, Delivery, TextToAudio, validate

__all__ = ["LiveSet", "MidiBinding", "Pad", "list_sets", "load_set"]

Midi7 = Annotated[int, Meta(ge=0, le=127)]


class Pad(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One pad: its sound and how it is played."""

    name: Annotated[str, Meta(min_length=1, max_length=60)]
    prompt: Annotated[str, Meta(min_length=1, max_length=2000)]
    negative_prompt: Annotated[str, Meta(max_length=2000)] = ""
    mode: Literal["one_shot", "loop"] = "loop"
    takes: Annotated[int, Meta(ge=1, le=MAX_TAKES)] = 1
    """Number of takes rendered ahead; each hit plays the next one."""
    bars: Annotated[float, Meta(ge=0.125, le=64.0)] | None = None
    """Length in bars, at the tempo of the set."""
    seconds: Annotated[float, Meta(ge=0.3, le=600.0)] | None = None
    """Length in seconds, where ``bars`` is not given."""
    quantise: Quantise = "bar"
    choke: Annotated[int, Meta(ge=0, le=99)] = 0
    """Group (from 1) whose pads silence each other; 0 for none."""
    note: Midi7 | None = None
    fade_s: Annotated[float, Meta(ge=0.0, le=60.0)] = 0.01
    """Fade-out where it is stopped."""
    gain_db: Annotated[float, Meta(ge=-80.0, le=24.0)] = 0.0
    num_inference_steps: Annotated[int, Meta(ge=1, le=1000)] | None = None
    guidance_scale: Annotated[float, Meta(ge=0.0, le=50.0)] | None = None
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    retrieve: bool = False
    """Play the nearest sound of the sample library until the takes are rendered."""

    def length_s(self, bar_s: float, default: float) -> float:
        """Length of a take; ``default`` where the pad gives none."""
        if self.bars is not None:
            return self.bars * bar_s
        return self.seconds or default

    def request(self, bpm: float, beats_per_bar: float, sample_rate: int) -> TextToAudio:
        """The request that renders the takes of this pad.

        Raises:
            InvalidRequest: a value out of range.
        """
        looped = self.mode == "loop"
        by_bars = self.bars is not None
        return validate(
            TextToAudio(
                prompt=self.prompt,
                negative_prompt=self.negative_prompt,
                num_waveforms_per_prompt=self.takes,
                num_inference_steps=self.num_inference_steps,
                guidance_scale=self.guidance_scale,
                seed=self.seed,
                bars=self.bars,
                bpm=bpm if by_bars else None,
                beats_per_bar=beats_per_bar,
                audio_length_in_s=None if by_bars else self.seconds,
                loop=looped,
                delivery=Delivery(sample_rate=sample_rate),
            )
        )


class MidiBinding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A note or a controller that sends an OSC message to this program.

    In ``arguments``, "$value" stands for the velocity or the controller value, scaled to the range
    from ``low`` to ``high``, and "$note" for the number of the note.
    """

    address: Annotated[str, Meta(pattern="^/ldm/")]
    arguments: tuple[str | float | int, ...] = ()
    note: Midi7 | None = None
    control: Midi7 | None = None
    channel: Annotated[int, Meta(ge=1, le=16)] | None = None
    """All channels where None."""
    low: float = 0.0
    high: float = 1.0


class LiveSet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A live set."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    description: str = ""
    tempo_bpm: Annotated[float, Meta(ge=MIN_BPM, le=MAX_BPM)] = 120.0
    beats_per_bar: BeatsPerBar = 4.0
    pads: Annotated[tuple[Pad, ...], Meta(max_length=128)] = ()
    stream_prompt: Annotated[str, Meta(max_length=2000)] = ""
    stream_corners: Annotated[tuple[str, ...], Meta(max_length=4)] = ()
    """Prompts at the corners of the XY pad: left bottom, right bottom, left top, right top."""
    midi: tuple[MidiBinding, ...] = ()


def list_sets() -> tuple[str, ...]:
    """Names of the live sets that ship with the program."""
    return tuple(sorted(path.stem for path in _folder().glob("*.yaml")))


def is_set_file(name: str) -> bool:
    """True for the path of a YAML file, and False for the name of a set.

    >>> is_set_file("sets/mine.YAML"), is_set_file("first-steps"), is_set_file("../kick")
    (True, False, False)
    """
    return name.lower().endswith((".yaml", ".yml"))


def load_set(name: str) -> LiveSet:
    """Load a set by its name in any spelling, or by the path of its YAML file.

    Raises:
        NotFound: there is none; the message says which are near.
        InvalidRequest: the file is not a valid set; the message says where.
    """
    path = existing(path_of(name)) if is_set_file(name) else None
    if path is None or not path.is_file():
        sets = {path.stem: path for path in sorted(_folder().glob("*.yaml"))}
        titles = {_read(path).name: path for path in sets.values()}
        path = (titles | sets)[matching(name, (*sets, *titles), "live set")]
    return _read(path)


def parse_set(text: bytes) -> LiveSet:
    """Parse a set from YAML.

    Raises:
        InvalidRequest: it is not valid, or two pads share a name or a note.
    """
    try:
        values = msgspec.yaml.decode(text)
        if isinstance(values, dict) and "beats_per_bar" in values:
            metre = field_named(LiveSet, "beats_per_bar")
            values["beats_per_bar"] = metre.coerce(values["beats_per_bar"])
        live_set = msgspec.convert(values, LiveSet)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidRequest(str(error)) from error
    for what in ("name", "note"):
        values = [v for pad in live_set.pads if (v := getattr(pad, what)) is not None]
        twice = {value for value in values if values.count(value) > 1}
        if twice:
            raise InvalidRequest(f"two pads have the {what} {twice.pop()!r}")
    for pad in live_set.pads:
        pad.request(live_set.tempo_bpm, live_set.beats_per_bar, 48000)
    return live_set


_MAX_BYTES: Final = 2**20


def _read(path: Path) -> LiveSet:
    try:
        return parse_set(read_regular(path, _MAX_BYTES))
    except InvalidRequest as error:
        raise InvalidRequest(f"{path.name}: {error}") from error


def _folder() -> Path:
    return Path(str(files("presets"))) / "live"
