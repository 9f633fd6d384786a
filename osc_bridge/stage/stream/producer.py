"""The rendering side of the stream: one chunk ahead of what is playing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from osc_bridge.audio.player import Player
from osc_bridge.stage.stream.chunks import Chunk, ChunkMaker
from osc_bridge.stage.stream.conductor import LEAD_S, Conductor
from osc_bridge.stage.stream.ladder import StepLadder
from osc_bridge.stage.stream.prompt_path import PromptPath
from osc_bridge.stage.stream.report import StreamSettings
from server.errors import AudioLDMError

__all__ = ["ChunkProducer"]


class ChunkProducer:
    """Renders a chunk whenever the conductor needs one, or early after a change of the prompt.

    Args:
        player: whose memory holds the chunks.
        maker: renders them.
        ladder: chooses their number of steps.
        path: gives their prompts.
        conductor: plays them.
        settings: crossfades and length of chunks.
        rendered: called with each finished chunk.
    """

    def __init__(
        self,
        player: Player,
        maker: ChunkMaker,
        ladder: StepLadder,
        path: PromptPath,
        conductor: Conductor,
        *,
        settings: StreamSettings,
        rendered: Callable[[Chunk], None],
    ) -> None:
        self.maker = maker
        self.mixture: dict[str, float] = {}
        """The mixture of prompts that the last chunk was rendered for."""
        self._player = player
        self._ladder = ladder
        self._path = path
        self._conductor = conductor
        self._settings = settings
        self._rendered = rendered
        self._render: asyncio.Task[Chunk] | None = None
        self._urgent = False
        self._new_prompt = False
        self._fade_s = settings.crossfade_s
        self._abandoned_s = 0.0

    def hurry(self) -> None:
        """Render the next chunk at once, and let it take over as soon as possible."""
        self._urgent = True
        self._conductor.needs_chunk.set()

    def change_prompt(self, over_s: float) -> None:
        """Hurry, and crossfade to the new prompt in ``over_s``, as far as a chunk is that long."""
        longest_s = self._settings.chunk_s / 2
        self._fade_s = max(self._settings.crossfade_s, min(over_s, longest_s))
        now_s = time.monotonic()
        if self._render and now_s - self._abandoned_s > 2.0 * self.maker.wall_s:
            # It renders the old prompt. Not abandoned more often, or nothing gets finished.
            self._abandoned_s = now_s
            self._render.cancel()
        self._new_prompt = True
        self.hurry()

    async def run(self) -> None:
        """Render chunks; never returns.

        Raises:
            AudioLDMError: the engine refused; call it again to go on.
        """
        self._conductor.needs_chunk.set()
        while True:
            await self._conductor.needs_chunk.wait()
            self._conductor.needs_chunk.clear()
            urgent, self._urgent = self._urgent, False
            if urgent:
                self.maker.forget()
            try:
                chunk = await self._next_chunk()
            except AudioLDMError:
                self._urgent = self._urgent or urgent
                raise
            if chunk is None:
                self._conductor.needs_chunk.set()
                continue
            chunk.urgent = urgent
            self._conductor.offer(chunk)

    async def _next_chunk(self) -> Chunk | None:
        """The next chunk; None where a new prompt has made it obsolete."""
        steps = self._ladder.steps(self.maker.seconds, self._settings.lasts_s)
        new_prompt, self._new_prompt = self._new_prompt, False
        plays_s = time.monotonic() + self.maker.wall_s + LEAD_S
        if new_prompt:
            # The crossfade is the way to the new prompt: render what stands at its end.
            plays_s += self._fade_s
        self.mixture = self._path.mixture(plays_s)
        try:
            chunk = await self._make(self._path.at(plays_s), steps)
        except AudioLDMError:
            self._new_prompt = self._new_prompt or new_prompt
            raise
        if chunk is not None:
            chunk.new_prompt, chunk.fade_s = new_prompt, self._fade_s
            self._ladder.measure(steps, self.maker.seconds, self.maker.wall_s)
            self._rendered(chunk)
        return chunk

    async def _make(self, prompt: str, steps: int) -> Chunk | None:
        """Render a chunk; None where :meth:`change_prompt` abandoned it."""
        render = self._render = asyncio.create_task(self.maker.make(prompt, steps))
        try:
            return await render
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task and task.cancelling():  # the stream is stopped
                await self._drop(render)
                raise
            return None
        finally:
            if self._render is render:
                self._render = None

    async def _drop(self, render: asyncio.Task[Chunk]) -> None:
        render.cancel()
        await asyncio.gather(render, return_exceptions=True)
        if not render.cancelled() and not render.exception():
            self._player.unload(render.result().clip)
