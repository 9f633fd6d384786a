"""Endless sound that follows its prompt.

One task renders chunks (here), another plays them (:mod:`osc_bridge.stage.stream.conductor`);
between them lies one chunk. Where rendering falls behind, the ladder takes fewer steps, and where
even that is late, earlier chunks are played again from other places.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec

from osc_bridge.audio.player import Player
from osc_bridge.stage.renders import Renders
from osc_bridge.stage.stream.chunks import Chunk, ChunkMaker, Rung, ladder
from osc_bridge.stage.stream.conductor import LEAD_S, Conductor
from osc_bridge.stage.stream.prompt_path import PromptPath, corner_weights, distance
from osc_bridge.stage.stream.report import StreamReport, StreamSettings
from server.errors import AudioLDMError, InvalidRequest
from server.requests.request import TextToAudio, validate

__all__ = ["Stream"]

log = logging.getLogger("audioldm.stage.stream")

_RETRY_S: Final = 0.5
_USE: Final = 0.9
"""A chunk may take this share of the time it lasts."""
_MOVE_S: Final = 1.0
"""An XY position is reached in this time."""
_MOVED: Final = 0.2
"""A mixture that has changed this much is worth an early chunk."""


class Stream:
    """One stream. All methods belong to one asyncio loop.

    Args:
        player: where it sounds.
        renders: who renders it.
        report: called at every change of rung, prompt or state.
        settings: how it is made.
        draw: randomness for recombining.
    """

    def __init__(
        self,
        player: Player,
        renders: Renders,
        report: Callable[[StreamReport], None],
        settings: StreamSettings | None = None,
        draw: random.Random | None = None,
    ) -> None:
        self.settings = settings or StreamSettings()
        self._player = player
        self._renders = renders
        self._report = report
        self._draw = draw or random.Random()
        self._tasks: list[asyncio.Task[None]] = []
        self._path = PromptPath("")
        self.corners: tuple[str, ...] = ()
        self.place = (0.0, 0.0)
        """Where between the corners it is, x and y."""
        self._said = StreamReport(state="stopped")
        self.on_turn: Callable[[], None] = lambda: None
        """Called when sound of a new prompt begins to fade in."""
        self._reset()

    def _reset(self) -> None:
        self._conductor = Conductor(self._player, self.settings, self._draw, self._follows)
        self._render: asyncio.Task[Chunk] | None = None
        self._urgent = False
        self._turned = False
        self._dropped_s = 0.0
        self._fade_s = self.settings.crossfade_s
        self._rendered_mix: dict[str, float] = {}
        self._slowdown = 1.0

    # --- steering

    @property
    def running(self) -> bool:
        """True between start and stop."""
        return bool(self._tasks)

    def status(self) -> StreamReport:
        """How it is doing."""
        return self._said

    async def start(self, prompt: str) -> None:
        """Begin to sound as soon as the first chunk is there; a running stream changes prompt.

        Raises:
            InvalidRequest: the prompt cannot be used.
        """
        if self.running:
            self.set_prompt(prompt)
            return
        self._check(prompt)
        self._reset()
        self._path = PromptPath(prompt)
        self._maker = ChunkMaker(self._player, self._renders, self.settings.chunk_s)
        self._say(state="starting", prompt=prompt, rendered=0, recombined=0, error="")
        self._tasks = [
            asyncio.create_task(self._keep_up(self._produce)),
            asyncio.create_task(self._keep_up(self._conductor.conduct)),
        ]

    async def stop(self, fade_s: float = 2.0) -> None:
        """Fade out and render no more."""
        await asyncio.gather(*self.halt(fade_s), return_exceptions=True)

    def halt(self, fade_s: float) -> Sequence[asyncio.Task[None]]:
        """Fade out at once, and render no more; the tasks that have yet to end."""
        tasks, self._tasks = self._tasks, []
        if not tasks:
            return ()
        maker = self._maker
        for task in tasks:
            task.cancel()
        # Not before the last one has ended: a cancelled render clears up after itself.
        ended = asyncio.gather(*tasks, return_exceptions=True)
        ended.add_done_callback(lambda _: maker.close())
        self._conductor.stop(fade_s)
        self._reset()
        self._say(state="stopped")
        return tasks

    def set_prompt(self, prompt: str, over_s: float | None = None) -> None:
        """Turn into ``prompt`` over ``over_s`` (default: the settings' morph time).

        Raises:
            InvalidRequest: it cannot be used.
        """
        self._check(prompt)
        over = self.settings.morph_s if over_s is None else over_s
        now_s = time.monotonic()
        self._path.go(prompt, now_s, over)
        self._fade_s = max(self.settings.crossfade_s, min(over, self.settings.chunk_s / 2))
        if self._render and now_s - self._dropped_s > 2.0 * self._maker.wall_s:
            # What is being rendered is of yesterday. Not too often, or nothing gets finished.
            self._dropped_s = now_s
            self._render.cancel()
        self._turned = True
        self._hurry()

    def set_corners(self, corners: Sequence[str]) -> None:
        """The prompts between which :meth:`move` goes.

        Raises:
            InvalidRequest: not two to four usable prompts.
        """
        corner_weights(corners, 0.0, 0.0)
        for corner in corners:
            self._check(corner)
        self.corners = tuple(corners)

    def move(self, x: float, y: float) -> None:
        """Go to a place between the corners.

        Raises:
            InvalidRequest: outside of 0..1, or there are no corners.
        """
        weights = corner_weights(self.corners, x, y)
        self.place = (x, y)
        self._path.mix(weights, time.monotonic(), _MOVE_S)
        if distance(weights, self._rendered_mix) > _MOVED:
            self._hurry()

    def set_gain(self, gain_db: float) -> None:
        """Level, also of what sounds."""
        self.settings = msgspec.structs.replace(self.settings, gain_db=gain_db)
        self._conductor.set_gain(gain_db, self.settings)

    def _check(self, prompt: str) -> None:
        if not prompt.strip():
            raise InvalidRequest("prompt is empty: say what the stream should sound like")
        validate(TextToAudio(prompt=prompt, audio_length_in_s=self.settings.chunk_s))

    def _hurry(self) -> None:
        self._urgent = True
        self._conductor.wanted.set()

    async def _keep_up(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do ``work`` again whenever it fails: a stream goes on until it is stopped."""
        while True:
            try:
                await work()
            except AudioLDMError as error:
                log.warning("stream: %s", error)
                self._say(error=str(error))
            except Exception as error:
                log.exception("stream")
                self._say(error=f"internal error: {error}")
            if (task := asyncio.current_task()) and task.cancelling():
                return  # what failed was clearing up: the cancellation went with it
            await asyncio.sleep(_RETRY_S)

    # --- rendering

    async def _produce(self) -> None:
        self._conductor.wanted.set()
        while True:
            await self._conductor.wanted.wait()
            self._conductor.wanted.clear()
            urgent, self._urgent = self._urgent, False
            if urgent:
                self._maker.forget()
            try:
                chunk = await self._next_chunk()
            except AudioLDMError:
                self._urgent = self._urgent or urgent
                raise
            if chunk is None:
                self._conductor.wanted.set()
                continue
            chunk.urgent = urgent
            self._conductor.offer(chunk)

    async def _next_chunk(self) -> Chunk | None:
        """The next chunk; None where a new prompt has made it obsolete."""
        steps = self._steps()
        turns, self._turned = self._turned, False
        heard_s = time.monotonic() + self._maker.wall_s + LEAD_S
        if turns:
            # The crossfade itself is the way there: render what stands at its end.
            heard_s += self._fade_s
        prompt = self._path.at(heard_s)
        self._rendered_mix = self._path.mixture(heard_s)
        render = self._render = asyncio.create_task(self._maker.make(prompt, steps))
        try:
            chunk = await render
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current and current.cancelling():
                render.cancel()
                await asyncio.gather(render, return_exceptions=True)
                if not render.cancelled() and not render.exception():
                    self._player.unload(render.result().clip)
                raise
            return None
        except AudioLDMError:
            self._turned = self._turned or turns
            raise
        finally:
            if self._render is render:
                self._render = None
        chunk.turns, chunk.fade_s = turns, self._fade_s
        expected = self._renders.speed.expected_s(steps, 1, self._maker.seconds)
        if expected > 0.0:
            ratio = min(10.0, self._maker.wall_s / expected)
            self._slowdown += 0.3 * (ratio - self._slowdown)
        self._say(
            num_inference_steps=steps, prompt=prompt, rendered=self._said.rendered + 1,
            real_time_factor=round(self._maker.wall_s / self._lasts_s(), 3),
            method=self._maker.method, error="",
        )  # fmt: skip
        return chunk

    def _lasts_s(self) -> float:
        return max(0.1, self.settings.chunk_s - self.settings.crossfade_s)

    def _rungs(self) -> tuple[Rung, ...]:
        """The rungs on which something is rendered."""
        full = self.settings.num_inference_steps
        return ladder(full or self._renders.engine.manifest.defaults.num_inference_steps)[:-1]

    def _steps(self) -> int:
        """As many steps as can be rendered while a chunk plays; some where speed is unknown."""
        rungs = self._rungs()
        speed = self._renders.speed
        if not speed.measured:
            return rungs[len(rungs) // 2].num_inference_steps
        budget = _USE * self._lasts_s()
        for rung in rungs:
            steps = rung.num_inference_steps
            if speed.expected_s(steps, 1, self._maker.seconds) * self._slowdown <= budget:
                return steps
        return rungs[-1].num_inference_steps

    def _follows(self, chunk: Chunk, stands_in: bool) -> None:
        """A chunk begins to sound."""
        if stands_in:
            self._say(rung="recombine", recombined=self._said.recombined + 1)
            return
        names = [r.name for r in self._rungs() if r.num_inference_steps <= chunk.steps]
        self._say(state="playing", rung=names[0] if names else "fewest")
        if chunk.turns:
            self.on_turn()

    def _say(self, **changes: object) -> None:
        said = msgspec.structs.replace(self._said, **changes)
        if said != self._said:
            self._said = said
            self._report(said)
