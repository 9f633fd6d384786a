"""What is said about the endless sound."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from osc_bridge.messages.arguments import Axis, Count, Fade, Level, Over, Prompt, Words
from osc_bridge.messages.message import Command, Message, Reply


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


class StreamNotice(StreamState, frozen=True):
    """The stream changed state, prompt or rung."""

    address: ClassVar[str] = "/ldm/notify/stream"


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
