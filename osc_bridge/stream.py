"""Endless sound that follows its prompt.

One task renders chunks, another strings them together ahead of time; between them lies one
chunk. Where rendering falls behind, the ladder takes fewer steps, and where even that is late,
earlier chunks are played again from other places. A chunk that nothing follows repeats by itself
in the audio process, so the stream is not silent even if this process hangs or dies.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from osc_bridge.chunks import Chunk, ChunkMaker, ladder
from osc_bridge.player import Player
from osc_bridge.prompt_path import PromptPath, corner_weights, distance
from osc_bridge.renders import Renders
from server.errors import AudioLDMError, InvalidRequest
from server.request import TextToAudio, validate

__all__ = ["Stream", "StreamReport", "StreamSettings"]

logger = logging.getLogger("audioldm.stream")

POLL_S: Final = 0.01
_LEAD_S: Final = 0.25
"""What comes next is decided this long before it sounds."""
_RETRY_S: Final = 0.5
_REMEMBERED: Final = 4
_USE: Final = 0.9
"""A chunk may take this share of the time it lasts."""
_MOVE_S: Final = 1.0
"""An XY position is reached in this time."""
_MOVED: Final = 0.2
"""A mixture that has changed this much is worth an early chunk."""


class StreamSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a stream is made."""

    chunk_s: Annotated[float, Meta(ge=1.0, le=60.0)] = 5.0
    crossfade_s: Annotated[float, Meta(ge=0.01, le=10.0)] = 0.5
    morph_s: Annotated[float, Meta(ge=0.0, le=600.0)] = 3.0
    """From one prompt to the next."""
    num_inference_steps: Annotated[int, Meta(ge=1, le=1000)] | None = None
    gain_db: Annotated[float, Meta(ge=-80.0, le=24.0)] = 0.0


class StreamReport(msgspec.Struct, frozen=True, kw_only=True):
    """How a stream is doing."""

    state: Literal["stopped", "starting", "playing"]
    prompt: str = ""
    rung: str = ""
    """full, half, quarter, fewest (steps), or recombine."""
    num_inference_steps: int = 0
    real_time_factor: float = 0.0
    """Time that the last chunk took / time that it lasts; below 1 keeps up."""
    rendered: int = 0
    recombined: int = 0
    method: str = ""
    """continue or crossfade."""
    error: str = ""


@dataclass(frozen=True)
class _Segment:
    """A chunk being heard: from ``begin``, to be followed at the latest at ``end``."""

    chunk: Chunk
    voice: int
    begin: int
    end: int
    skip: int


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
        self._corners: tuple[str, ...] = ()
        self._said = StreamReport(state="stopped")
        self.on_turn: Callable[[], None] = lambda: None
        """Called when sound of a new prompt begins to fade in."""
        self._reset()

    def _reset(self) -> None:
        self._fresh: Chunk | None = None
        self._wanted = asyncio.Event()
        self._history: deque[Chunk] = deque(maxlen=_REMEMBERED)
        self._segment: _Segment | None = None
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
            asyncio.create_task(self._keep_up(self._conduct)),
        ]

    async def stop(self, fade_s: float = 2.0) -> None:
        """Fade out and render no more."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if not tasks:
            return
        if self._segment:
            self._player.stop(self._segment.voice, fade_s=fade_s)
        for chunk in {*self._history, *([self._fresh] if self._fresh else [])}:
            self._player.unload(chunk.clip)
        self._maker.close()
        self._reset()
        self._say(state="stopped")

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
        self._corners = tuple(corners)

    def move(self, x: float, y: float) -> None:
        """Go to a place between the corners.

        Raises:
            InvalidRequest: outside of 0..1, or there are no corners.
        """
        weights = corner_weights(self._corners, x, y)
        self._path.mix(weights, time.monotonic(), _MOVE_S)
        if distance(weights, self._rendered_mix) > _MOVED:
            self._hurry()

    def set_gain(self, gain_db: float) -> None:
        """Level, also of what sounds."""
        self.settings = msgspec.structs.replace(self.settings, gain_db=gain_db)
        if self._segment:
            self._player.set_gain(self._segment.voice, gain_db)

    def _check(self, prompt: str) -> None:
        if not prompt.strip():
            raise InvalidRequest("prompt is empty: say what the stream should sound like")
        validate(TextToAudio(prompt=prompt, audio_length_in_s=self.settings.chunk_s))

    def _hurry(self) -> None:
        self._urgent = True
        self._wanted.set()

    async def _keep_up(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do ``work`` again whenever it fails: a stream goes on."""
        while True:
            try:
                await work()
            except AudioLDMError as error:
                logger.warning("stream: %s", error)
                self._say(error=str(error))
            except Exception as error:
                logger.exception("stream")
                self._say(error=f"internal error: {error}")
            await asyncio.sleep(_RETRY_S)

    # --- rendering

    async def _produce(self) -> None:
        self._wanted.set()
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            urgent, self._urgent = self._urgent, False
            if urgent:
                self._maker.forget()
            try:
                chunk = await self._next_chunk()
            except AudioLDMError:
                self._urgent = self._urgent or urgent
                raise
            if chunk is None:
                self._wanted.set()
                continue
            chunk.urgent = urgent
            self._replace_fresh(chunk)

    async def _next_chunk(self) -> Chunk | None:
        """The next chunk; None where a new prompt has made it obsolete."""
        steps = self._steps()
        heard_s = time.monotonic() + self._maker.wall_s + _LEAD_S
        if self._turned:
            # The crossfade itself is the way there: render what stands at its end.
            heard_s += self._fade_s
        prompt = self._path.at(heard_s)
        self._rendered_mix = self._path.mixture(heard_s)
        self._render = asyncio.create_task(self._maker.make(prompt, steps))
        try:
            chunk = await self._render
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current and current.cancelling():
                self._render.cancel()
                await asyncio.gather(self._render, return_exceptions=True)
                raise
            return None
        finally:
            self._render = None
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

    def _steps(self) -> int:
        """As many steps as can be rendered while a chunk plays; some where speed is unknown."""
        full = self.settings.num_inference_steps
        full = full or self._renders.engine.manifest.defaults.num_inference_steps
        rungs = ladder(full)[:-1]
        speed = self._renders.speed
        if not speed.measured:
            return rungs[len(rungs) // 2].num_inference_steps
        budget = _USE * self._lasts_s()
        for rung in rungs:
            steps = rung.num_inference_steps
            if speed.expected_s(steps, 1, self._maker.seconds) * self._slowdown <= budget:
                return steps
        return rungs[-1].num_inference_steps

    def _replace_fresh(self, chunk: Chunk) -> None:
        if self._fresh is not None:
            self._player.unload(self._fresh.clip)
        self._fresh = chunk

    # --- playing

    async def _conduct(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            segment, fresh = self._segment, self._fresh
            if segment is None or not self._player.is_playing(segment.voice):
                if fresh or self._history:
                    self._begin()
                continue
            lead = round(_LEAD_S * self._player.sample_rate)
            if fresh and fresh.urgent:
                self._follow(self._take_fresh(), self._player.frame_now() + lead // 4)
            elif self._player.frame_now() >= self._takeover(segment, fresh) - lead:
                if fresh:
                    self._follow(self._take_fresh(), self._takeover(segment, fresh))
                else:
                    self._recombine(self._takeover(segment, None))

    def _takeover(self, segment: _Segment, fresh: Chunk | None) -> int:
        """The frame at which ``fresh`` (or an old chunk) takes over."""
        if fresh and fresh.joins is segment.chunk:
            return segment.begin - segment.skip + fresh.join_from
        return segment.end - self._fade_frames()

    def _fade_frames(self) -> int:
        return round(self.settings.crossfade_s * self._player.sample_rate)

    def _take_fresh(self) -> Chunk:
        chunk, self._fresh = self._fresh, None
        assert chunk is not None
        if len(self._history) == self._history.maxlen:
            self._player.unload(self._history[0].clip)
        self._history.append(chunk)
        self._wanted.set()
        return chunk

    def _begin(self) -> None:
        """The first chunk, or the first after somebody silenced everything."""
        chunk = self._take_fresh() if self._fresh else self._history[-1]
        begin = self._player.frame_now() + round(0.02 * self._player.sample_rate)
        self._segment = self._sound(chunk, begin, 0, self._fade_frames())
        self._say(state="playing", rung=self._rung(chunk))

    def _follow(self, chunk: Chunk, frame: int) -> None:
        """Let ``chunk`` take over at ``frame``."""
        segment = self._segment
        assert segment is not None
        if chunk.joins is segment.chunk and not chunk.urgent:
            fade, skip = 0, chunk.join_at
        else:
            fade = self._fade_for(chunk)
            # What it was to continue is over: leave most of the repeated context out.
            skip = max(0, chunk.join_at - fade)
        self._player.stop(segment.voice, frame, fade / self._player.sample_rate)
        self._segment = self._sound(chunk, frame, skip, fade)
        if chunk.urgent and self._turned:
            self._forget_all_but(chunk)
            self.on_turn()
        self._say(rung=self._rung(chunk))

    def _forget_all_but(self, chunk: Chunk) -> None:
        """What was made for another prompt is not to come back."""
        self._turned = False
        for old in self._history:
            if old is not chunk:
                self._player.unload(old.clip)
        self._history.clear()
        self._history.append(chunk)

    def _fade_for(self, chunk: Chunk) -> int:
        if not chunk.urgent:
            return self._fade_frames()
        wanted = round(self._fade_s * self._player.sample_rate)
        return max(self._fade_frames(), min(wanted, chunk.usable // 2))

    def _recombine(self, frame: int) -> None:
        """Nothing new is ready: an earlier chunk from another place."""
        segment = self._segment
        assert segment is not None
        others = [c for c in self._history if c is not segment.chunk] or [segment.chunk]
        chunk = self._draw.choice(others)
        fade = self._fade_frames()
        skip = self._draw.randrange(max(1, chunk.usable // 2))
        self._player.stop(segment.voice, frame, fade / self._player.sample_rate)
        self._segment = self._sound(chunk, frame, skip, fade)
        self._say(rung="recombine", recombined=self._said.recombined + 1)

    def _sound(self, chunk: Chunk, frame: int, skip: int, fade: int) -> _Segment:
        voice = self._player.start(
            chunk.clip, frame, gain_db=self.settings.gain_db, skip=skip,
            fade_s=fade / self._player.sample_rate,
        )  # fmt: skip
        return _Segment(chunk, voice, frame, frame + chunk.usable - skip, skip)

    def _rung(self, chunk: Chunk) -> str:
        full = self.settings.num_inference_steps
        full = full or self._renders.engine.manifest.defaults.num_inference_steps
        fitting = [r.name for r in ladder(full)[:-1] if r.num_inference_steps <= chunk.steps]
        return fitting[0] if fitting else "fewest"

    def _say(self, **changes: object) -> None:
        said = msgspec.structs.replace(self._said, **changes)
        if said != self._said:
            self._said = said
            self._report(said)
