"""The chunks of a stream: each one is rendered as a continuation of the last."""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np

from osc_bridge.audio.clips import LoadedClip, Loop
from osc_bridge.audio.player import Player
from osc_bridge.stage.listening.shape import Shape
from osc_bridge.stage.renders import Renders
from server.audio.fence.reading import read_sound
from server.audio.waveform import Waveform
from server.errors import AudioLDMError, Cancelled, EngineUnavailable, QueueFull
from server.jobs.job import Job
from server.requests.request import AnyRequest, Continue, Delivery, TextToAudio

__all__ = ["Chunk", "ChunkMaker", "Method"]

log = logging.getLogger("audioldm.stage.stream")

Method = Literal["continue", "crossfade"]
LOOP_SEAM_S: Final = 0.05
"""Crossfade with which a chunk repeats that nothing follows, even if this process has died."""
_CONTEXT_S: Final = 2.0
_JOIN_BACK_S: Final = 0.1
"""A continuation takes over this long before the end of its context, where both are equal."""
_EQUAL: Final = 1e-3


@dataclass(eq=False)
class Chunk:
    """A rendered chunk. After ``usable`` frames its end crossfades into its beginning."""

    clip: LoadedClip
    usable: int
    prompt: str
    steps: int
    rendered: Waveform
    """As it was rendered: the next chunk continues this."""
    shape: Shape | None = None
    """What was done to it then."""
    joins: Chunk | None = None
    """The chunk that this one continues sample by sample; None where a crossfade joins them."""
    join_at: int = 0
    """Frame of this chunk at which it takes over."""
    join_from: int = 0
    """The same frame in the chunk that it continues."""
    urgent: bool = False
    """True where the prompt has changed: take over as soon as possible."""
    fade_s: float = 0.0
    """Crossfade of an urgent chunk."""
    new_prompt: bool = False
    """True where chunks of the prompt before must not be played again."""


class ChunkMaker:
    """Renders chunks into memory; their files are deleted again.

    Args:
        player: plays them.
        renders: renders them.
        seconds: length of a chunk.
    """

    def __init__(self, player: Player, renders: Renders, seconds: float) -> None:
        self._player = player
        self._renders = renders
        self.seconds = seconds
        self.method: Method = "continue"
        self.shape: Shape | None = None
        """What is done to chunks before they are placed in memory."""
        self.wall_s = 0.0
        """Time from the request of the last chunk to its arrival in memory."""
        self._folder = Path(tempfile.mkdtemp(prefix="audioldm-stream-"))
        self._previous: Chunk | None = None

    def close(self) -> None:
        """Delete the files."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def forget(self) -> None:
        """Render the next chunk from its prompt alone, not as a continuation."""
        self._previous = None

    async def make(self, prompt: str, steps: int) -> Chunk:
        """Render the next chunk.

        Raises:
            AudioLDMError: the engine refused or failed.
        """
        begun_s = time.monotonic()
        previous = self._previous if self.method == "continue" else None
        if previous is not None:
            try:
                chunk = await self._continue(previous, prompt, steps)
            except (Cancelled, EngineUnavailable, QueueFull):
                raise
            except AudioLDMError as error:
                # This engine or model cannot continue a clip; independent chunks always work.
                log.info("the stream continues with crossfades: %s", error)
                self.method = "crossfade"
                chunk = await self._start(prompt, steps)
        else:
            chunk = await self._start(prompt, steps)
        self._previous = chunk
        self.wall_s = time.monotonic() - begun_s
        return chunk

    async def _start(self, prompt: str, steps: int) -> Chunk:
        request = TextToAudio(
            prompt=prompt, num_inference_steps=steps, audio_length_in_s=self.seconds,
            num_candidates=1, one_shot="off", delivery=self._delivery(),
        )  # fmt: skip
        waveform = await self._render(request)
        return await self._load(waveform, prompt, steps)

    async def _continue(self, previous: Chunk, prompt: str, steps: int) -> Chunk:
        context = _tail(previous.rendered, _CONTEXT_S)
        path = self._folder / "context.wav"
        await asyncio.to_thread(path.write_bytes, context.encode("wav32f"))
        request = Continue(
            prompt=prompt, num_inference_steps=steps, audio_length_in_s=self.seconds,
            clip=str(path), delivery=self._delivery(),
        )  # fmt: skip
        waveform = await self._render(request)
        chunk = await self._load(waveform, prompt, steps)
        back = round(_JOIN_BACK_S * waveform.sample_rate)
        if _holds(waveform, context, back):
            chunk.join_at, chunk.join_from = context.frames - back, previous.usable - back
            # Two shapes do not meet sample by sample: a crossfade joins them.
            chunk.joins = previous if chunk.shape == previous.shape else None
        return chunk

    async def _render(self, request: AnyRequest) -> Waveform:
        job = await self._renders.render(request, self._folder, temporary=True)
        try:
            return await read_sound(job.takes[0].path)
        finally:
            await asyncio.to_thread(_delete, job, self._folder)

    async def _load(self, waveform: Waveform, prompt: str, steps: int) -> Chunk:
        shape = self.shape
        shaped = await asyncio.to_thread(shape.of, waveform) if shape else waveform
        clip = await self._player.load(shaped, Loop(seam_s=LOOP_SEAM_S))
        # Behind the usable part lies the seam, as long as the loop's start, and one frame more.
        usable = clip.frames - clip.loop_start - 1
        return Chunk(clip, usable, prompt, steps, rendered=waveform, shape=shape)

    def _delivery(self) -> Delivery:
        return Delivery(sample_rate=self._player.sample_rate, file_format="wav32f")


def _tail(waveform: Waveform, seconds: float) -> Waveform:
    """The end of a chunk without its seam: the context of the next one."""
    seam = round(LOOP_SEAM_S * waveform.sample_rate)
    frames = round(seconds * waveform.sample_rate)
    end = waveform.frames - seam
    return Waveform(waveform.samples[max(0, end - frames) : end], waveform.sample_rate)


def _holds(waveform: Waveform, context: Waveform, back: int) -> bool:
    """True where ``waveform`` begins with ``context`` (but for its last ``back`` frames)."""
    n = context.frames - back
    same_shape = waveform.frames > context.frames and waveform.channels == context.channels
    if n <= 0 or not same_shape or waveform.sample_rate != context.sample_rate:
        return False
    return bool(np.abs(waveform.samples[:n] - context.samples[:n]).max() < _EQUAL)


def _delete(job: Job, folder: Path) -> None:
    """Delete the files of a job; a stream of weeks must not fill the disk."""
    stems: Sequence[str] = [take.path.stem for take in job.takes]
    for path in folder.iterdir():
        if any(path.name.startswith(stem) for stem in stems):
            path.unlink(missing_ok=True)
