"""Messages about the stream."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from osc_bridge.messages.arguments import Axis, Count, Fade, Level, Over, Prompt, Words
from osc_bridge.messages.message import Command, Message, Reply


class StreamState(Reply, frozen=True):
    """The state of the stream."""

    address: ClassVar[str] = "/ldm/stream/state"
    state: Annotated[str, Meta(description="stopped, starting or playing")]
    prompt: Annotated[Words, Meta(description="prompt of the last chunk")]
    rung: Annotated[
        str, Meta(description="quality: full, half, quarter, fewest (steps) or recombine")
    ]
    num_inference_steps: Annotated[Count, Meta(description="denoising steps of the last chunk")]
    real_time_factor: Annotated[float, Meta(description="rendering time / playing time of a chunk")]
    rendered: Annotated[Count, Meta(description="number of rendered chunks")]
    recombined: Annotated[
        Count, Meta(description="number of times an earlier chunk was played again")
    ]
    method: Annotated[str, Meta(description="how chunks are joined: continue or crossfade")]
    error: Annotated[Words, Meta(description="the last error; empty where there is none")]


class StreamNotice(StreamState, frozen=True):
    """The state of the stream changed."""

    address: ClassVar[str] = "/ldm/notify/stream"


class StreamStart(Command, frozen=True):
    """Start the stream; without a prompt, with that of the live set."""

    address: ClassVar[str] = "/ldm/stream/start"
    replies: ClassVar[tuple[type[Message], ...]] = (StreamState,)
    prompt: Prompt = ""


class StreamStop(Command, frozen=True):
    """Fade out the stream."""

    address: ClassVar[str] = "/ldm/stream/stop"
    replies: ClassVar[tuple[type[Message], ...]] = (StreamState,)
    fade_s: Fade = 2.0


class StreamPrompt(Command, frozen=True):
    """Change the prompt of the stream."""

    address: ClassVar[str] = "/ldm/stream/prompt"
    prompt: Prompt
    over_s: Annotated[Over, Meta(description="time that the change takes")] = 3.0


class StreamCorners(Command, frozen=True):
    """Set the two to four prompts between which /ldm/stream/xy moves."""

    address: ClassVar[str] = "/ldm/stream/corners"
    left_bottom: Annotated[Prompt, Meta(description="prompt at x 0, y 0")]
    right_bottom: Annotated[Prompt, Meta(description="prompt at x 1, y 0")]
    left_top: Annotated[Prompt, Meta(description="prompt at x 0, y 1")] = ""
    right_top: Annotated[Prompt, Meta(description="prompt at x 1, y 1")] = ""


class StreamXY(Command, frozen=True):
    """Move the stream between the prompts of its corners."""

    address: ClassVar[str] = "/ldm/stream/xy"
    x: Annotated[Axis, Meta(description="0: left, 1: right")]
    y: Annotated[Axis, Meta(description="0: bottom, 1: top")]


class StreamGain(Command, frozen=True):
    """Set the level of the stream."""

    address: ClassVar[str] = "/ldm/stream/gain"
    gain_db: Level


class StreamStatus(Command, frozen=True):
    """Ask for the state of the stream."""

    address: ClassVar[str] = "/ldm/stream/status"
    replies: ClassVar[tuple[type[Message], ...]] = (StreamState,)
