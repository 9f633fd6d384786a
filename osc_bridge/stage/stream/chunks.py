"""The pieces a stream is made of: rendered one after the other, each from the last one's end."""

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

import msgspec
import numpy as np

from osc_bridge.audio.clips import LoadedClip, Loop
from osc_bridge.audio.player import Player
from osc_bridge.stage.renders import Renders
from server.audio.waveform import Waveform
from server.errors import AudioLDMError, Cancelled, EngineUnavailable, QueueFull
from server.jobs.job import Job
from server.requests.request import AnyRequest, Continue, Delivery, TextToAudio

__all__ = ["Chunk", "ChunkMaker", "Method", "Rung", "ladder"]

log = logging.getLogger("audioldm.stage.stream")

Method = Literal["continue", "crossfade"]
LOOP_SEAM_S: Final = 0.05
"""A chunk that nothing follows repeats with this seam, even if our process is gone."""
_CONTEXT_S: Final = 2.0
_JOIN_BACK_S: Final = 0.1
"""A continuation takes over this long before the end of what it continues, where both are equal."""
_EQUAL: Final = 1e-3


class Rung(msgspec.Struct, frozen=True):
    """A step of the ladder: how a stream is kept going."""

    name: str
    num_inference_steps: int


@dataclass(eq=False)
class Chunk:
    """A rendered piece. ``usable`` frames can be heard before its end blends into its beginning."""

    clip: LoadedClip
    usable: int
    prompt: str
    steps: int
    joins: Chunk | None = None
    """The chunk that this one continues sample by sample ..."""
    join_at: int = 0
    """... from this frame of its own on ..."""
    join_from: int = 0
    """... which is this frame of the other."""
    urgent: bool = False
    """The prompt has changed: take over as soon as possible ..."""
    fade_s: float = 0.0
    """... with a crossfade this long ..."""
    turns: bool = False
    """... and what was before is not to come back."""


def ladder(steps: int, fewest: int = 2) -> tuple[Rung, ...]:
    """The rungs from full quality down to playing on with what is there.

    >>> [(rung.name, rung.num_inference_steps) for rung in ladder(20)]
    [('full', 20), ('half', 10), ('quarter', 5), ('fewest', 2), ('recombine', 0)]
    """
    names = (("full", 1), ("half", 2), ("quarter", 4))
    rungs = [Rung(name, steps // part) for name, part in names if steps // part > fewest]
    return (*rungs, Rung("fewest", min(steps, fewest)), Rung("recombine", 0))


class ChunkMaker:
    """Renders chunks into memory; their files are deleted again.

    Args:
        player: where they will sound.
        renders: who makes them.
        seconds: length of a chunk.
    """

    def __init__(self, player: Player, renders: Renders, seconds: float) -> None:
        self._player = player
        self._renders = renders
        self.seconds = seconds
        self.method: Method = "continue"
        self.wall_s = 0.0
        """How long the last chunk took, waiting included."""
        self._folder = Path(tempfile.mkdtemp(prefix="audioldm-stream-"))
        self._previous: Chunk | None = None

    def close(self) -> None:
        """Delete what is left on disk."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def forget(self) -> None:
        """Let the next chunk begin afresh instead of continuing."""
        self._previous = None

    async def make(self, prompt: str, steps: int) -> Chunk:
        """The next chunk.

        Raises:
            AudioLDMError: the engine could not.
        """
        begun_s = time.monotonic()
        previous = self._previous if self.method == "continue" else None
        if previous is not None:
            try:
                chunk = await self._continue(previous, prompt, steps)
            except (Cancelled, EngineUnavailable, QueueFull):
                raise
            except AudioLDMError as error:
                # This engine or model cannot; chunks of their own with crossfades always work.
                log.info("stream goes on with crossfades: %s", error)
                self.method = "crossfade"
                chunk = await self._fresh(prompt, steps)
        else:
            chunk = await self._fresh(prompt, steps)
        self._previous = chunk
        self.wall_s = time.monotonic() - begun_s
        return chunk

    async def _fresh(self, prompt: str, steps: int) -> Chunk:
        request = TextToAudio(
            prompt=prompt, num_inference_steps=steps, audio_length_in_s=self.seconds,
            num_candidates=1, delivery=self._delivery(),
        )  # fmt: skip
        waveform = await self._render(request)
        return await self._load(waveform, prompt, steps)

    async def _continue(self, previous: Chunk, prompt: str, steps: int) -> Chunk:
        context = _tail(previous.clip.source, _CONTEXT_S)
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
            chunk.joins, chunk.join_at = previous, context.frames - back
            chunk.join_from = previous.usable - back
        return chunk

    async def _render(self, request: AnyRequest) -> Waveform:
        job = await self._renders.render(request, self._folder)
        try:
            return await asyncio.to_thread(Waveform.read, job.takes[0].path)
        finally:
            await asyncio.to_thread(_delete, job, self._folder)

    async def _load(self, waveform: Waveform, prompt: str, steps: int) -> Chunk:
        clip = await self._player.load(waveform, Loop(seam_s=LOOP_SEAM_S))
        # Behind the usable part lies the seam, as long as the loop's start, and one frame more.
        return Chunk(clip, clip.frames - clip.loop_start - 1, prompt, steps)

    def _delivery(self) -> Delivery:
        return Delivery(sample_rate=self._player.sample_rate, file_format="wav32f")


def _tail(waveform: Waveform, seconds: float) -> Waveform:
    """The end of a sound, as one chunk hands it on to the next."""
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
    """Remove a job's files; a stream of weeks must not fill the disk."""
    stems: Sequence[str] = [take.path.stem for take in job.takes]
    for path in folder.iterdir():
        if any(path.name.startswith(stem) for stem in stems):
            path.unlink(missing_ok=True)
