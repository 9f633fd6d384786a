"""Endless sound that follows its prompt.

One task renders chunks (:mod:`osc_bridge.stage.stream.producer`), another one plays them
(:mod:`osc_bridge.stage.stream.conductor`). When rendering falls behind, chunks are rendered with
fewer steps (:mod:`osc_bridge.stage.stream.ladder`). When even that is late, earlier chunks are
played again from other positions.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec

from osc_bridge.audio.player import Player
from osc_bridge.stage.listening.shape import MOST_DB, Shape, check_level
from osc_bridge.stage.renders import Renders
from osc_bridge.stage.stream.chunks import Chunk, ChunkMaker
from osc_bridge.stage.stream.conductor import Conductor
from osc_bridge.stage.stream.ladder import StepLadder
from osc_bridge.stage.stream.producer import ChunkProducer
from osc_bridge.stage.stream.prompt_path import PromptPath, corner_weights, distance
from osc_bridge.stage.stream.report import StreamReport, StreamSettings
from server.errors import AudioLDMError, InvalidRequest
from server.requests.request import TextToAudio, validate
from server.supervision import SupervisedTask

__all__ = ["Stream"]

_RETRY_S: Final = 0.5
_MOVE_S: Final = 1.0
"""Time in which an XY position is reached."""
_MOVED: Final = 0.2
"""Change of the mixture that asks for a chunk early."""


class Stream:
    """One stream. All methods belong to one asyncio loop.

    Args:
        player: plays it.
        renders: renders it.
        report: called at every change of rung, prompt or state.
        settings: length of chunks, crossfades and level.
        rng: for the positions from which earlier chunks are played.
    """

    def __init__(
        self,
        player: Player,
        renders: Renders,
        report: Callable[[StreamReport], None],
        settings: StreamSettings | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.settings = settings or StreamSettings()
        self.corners: tuple[str, ...] = ()
        self.position = (0.0, 0.0)
        """Position between the corners, x and y."""
        self.on_prompt_change: Callable[[], None] = lambda: None
        """Called when a new prompt begins to fade in."""
        self._shape: Shape | None = None
        self._player = player
        self._renders = renders
        self._report = report
        self._rng = rng or random.Random()
        self._tasks: list[SupervisedTask] = []
        self._ending: asyncio.Task[None] | None = None
        self._path = PromptPath("")
        self._status = StreamReport(state="stopped")
        self._producer: ChunkProducer | None = None
        self._conductor = self._new_conductor()
        self._ladder = StepLadder(renders, self.settings.num_inference_steps)

    # --- start and stop

    @property
    def running(self) -> bool:
        """True between start and stop."""
        return bool(self._tasks)

    def status(self) -> StreamReport:
        """The state of the stream."""
        return self._status

    async def start(self, prompt: str) -> None:
        """Play as soon as the first chunk is rendered; a running stream changes its prompt.

        Raises:
            InvalidRequest: the prompt cannot be used.
        """
        if self.running:
            self.set_prompt(prompt)
            return
        self._check(prompt)
        self._path = PromptPath(prompt)
        self._conductor = self._new_conductor()
        self._conductor.keep_below(self._shape)
        self._ladder = StepLadder(self._renders, self.settings.num_inference_steps)
        maker = ChunkMaker(self._player, self._renders, self.settings.chunk_s)
        maker.shape = self._shape
        self._producer = ChunkProducer(
            self._player, maker, self._ladder, self._path, self._conductor,
            settings=self.settings, rendered=self._chunk_rendered,
        )  # fmt: skip
        self._update(state="starting", prompt=prompt, rendered=0, recombined=0, error="")
        self._tasks = [
            self._supervised("the rendering of the stream", self._producer.run),
            self._supervised("the playing of the stream", self._conductor.run),
        ]

    async def stop(self, fade_s: float = 2.0) -> None:
        """Fade out and end rendering."""
        self.halt(fade_s)
        if self._ending:
            await self._ending

    def halt(self, fade_s: float) -> None:
        """Start to fade out and to end rendering."""
        tasks, self._tasks = self._tasks, []
        producer, self._producer = self._producer, None
        if not tasks or producer is None:
            return
        for task in tasks:
            task.cancel()
        self._conductor.stop(fade_s)
        self._ending = asyncio.create_task(_end(tasks, producer.maker))
        self._update(state="stopped")

    # --- prompt and level

    def set_prompt(self, prompt: str, over_s: float | None = None) -> None:
        """Morph to ``prompt`` over ``over_s`` (default: the morph time of the settings).

        Raises:
            InvalidRequest: it cannot be used.
        """
        self._check(prompt)
        over_s = self.settings.morph_s if over_s is None else over_s
        self._path.go(prompt, time.monotonic(), over_s)
        if self._producer:
            self._producer.change_prompt(over_s)

    def set_corners(self, corners: Sequence[str]) -> None:
        """Set the prompts between which :meth:`move` goes.

        Raises:
            InvalidRequest: not two to four usable prompts.
        """
        corner_weights(corners, 0.0, 0.0)
        for corner in corners:
            self._check(corner)
        self.corners = tuple(corners)

    def move(self, x: float, y: float) -> None:
        """Go to a position between the corners.

        Raises:
            InvalidRequest: outside of 0..1, or there are no corners.
        """
        weights = corner_weights(self.corners, x, y)
        self.position = (x, y)
        self._path.mix(weights, time.monotonic(), _MOVE_S)
        if self._producer and distance(weights, self._producer.mixture) > _MOVED:
            self._producer.hurry()

    def reshape(self, shape: Shape | None) -> None:
        """Shape the chunks from the next one on; what plays is below the ceiling at once."""
        self._shape = shape
        if shape and self.settings.gain_db > MOST_DB:
            self.set_gain(MOST_DB)
        self._conductor.keep_below(shape)
        if self._producer:
            self._producer.maker.shape = shape

    def set_gain(self, gain_db: float) -> None:
        """Set the level, also of what is playing.

        Raises:
            InvalidRequest: it is above what is allowed now.
        """
        check_level(gain_db, self._shape)
        self.settings = msgspec.structs.replace(self.settings, gain_db=gain_db)
        self._conductor.set_gain(self.settings)

    def _check(self, prompt: str) -> None:
        if not prompt.strip():
            raise InvalidRequest("prompt is empty: say what the stream should sound like")
        validate(TextToAudio(prompt=prompt, audio_length_in_s=self.settings.chunk_s))

    # --- inside

    def _new_conductor(self) -> Conductor:
        return Conductor(self._player, self.settings, self._rng, self._chunk_started)

    def _supervised(self, name: str, run: Callable[[], Awaitable[None]]) -> SupervisedTask:
        """A task that goes on until the stream is stopped, whatever fails."""
        return SupervisedTask(
            name, run, pause_s=_RETRY_S, expected=(AudioLDMError,), on_failure=self._failed
        )

    def _failed(self, error: Exception) -> None:
        known = isinstance(error, AudioLDMError)
        self._update(error=str(error) if known else f"internal error: {error}")

    def _chunk_rendered(self, chunk: Chunk) -> None:
        maker = self._producer.maker if self._producer else None
        if maker is None:
            return
        self._update(
            num_inference_steps=chunk.steps, prompt=chunk.prompt,
            rendered=self._status.rendered + 1,
            real_time_factor=round(maker.wall_s / self.settings.lasts_s, 3),
            method=maker.method, error="",
        )  # fmt: skip

    def _chunk_started(self, chunk: Chunk, recombined: bool) -> None:
        if recombined:
            self._update(rung="recombine", recombined=self._status.recombined + 1)
            return
        self._update(state="playing", rung=self._ladder.name(chunk.steps))
        if chunk.new_prompt:
            self.on_prompt_change()

    def _update(self, **changes: object) -> None:
        status = msgspec.structs.replace(self._status, **changes)
        if status != self._status:
            self._status = status
            self._report(status)


async def _end(tasks: Sequence[SupervisedTask], maker: ChunkMaker) -> None:
    """Delete the files when the last task has ended: a cancelled render cleans up after itself."""
    await asyncio.gather(*(task.stop() for task in tasks), return_exceptions=True)
    maker.close()
