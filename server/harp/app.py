"""The Gradio app that HARP adds by URL: a thin client of an engine.

Each card of :mod:`server.harp.cards` has its own path, with the three API names of HARP:
``controls``, ``process``, ``cancel``. HARP sends no session with them, so that ``cancel`` stops all
jobs of a card. The app is for the person at this machine, and listens on loopback only.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from server.engine.engine import Engine
from server.errors import AudioLDMError, Cancelled, EngineUnavailable, error_for
from server.extras import install_extra
from server.harp.cards import CARDS, OUTPUTS, Card, controls, labels, request_of
from server.http.access import Gate
from server.http.entrance import Entrance
from server.http.server import serving
from server.jobs.job import Job, JobState

__all__ = ["HarpCard", "serving_harp"]

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
try:
    import fastapi
    import gradio
except ModuleNotFoundError as error:
    raise EngineUnavailable(f"{error.name} is missing; {install_extra('harp')}") from error

_CACHE_AGE_S: Final = 3600
_QUEUE_PAUSE_S: Final = 0.02


class HarpCard:
    """One card and its jobs on ``engine``."""

    def __init__(self, card: Card, engine: Engine) -> None:
        self.card = card
        self._engine = engine
        self._rendering: set[asyncio.Task[Job]] = set()

    def controls(self) -> dict[str, Any]:
        """The card, its inputs and its outputs."""
        return controls(self.card, self._engine.manifest)

    async def process(self, *values: Any) -> tuple[str, dict[str, Any]]:
        """Render, and return the best take's file and its labels.

        Raises:
            gradio.Error: with the sentence of the engine's error.
        """
        try:
            task = asyncio.create_task(self._render(values))
            self._rendering.add(task)
            task.add_done_callback(self._rendering.discard)
            job = await task
            return str(job.takes[0].path), labels(job)
        except AudioLDMError as error:
            raise gradio.Error(str(error), print_exception=False) from error
        except asyncio.CancelledError:
            raise gradio.Error("cancelled", print_exception=False) from None

    async def cancel(self) -> None:
        """Cancel all jobs of this card; returns when they have stopped."""
        tasks = tuple(self._rendering)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _render(self, values: tuple[Any, ...]) -> Job:
        request = request_of(self.card, values)
        submitting = asyncio.create_task(self._engine.submit(request, owner="harp"))
        try:
            job = await asyncio.shield(submitting)
            return await self._finished(job.id)
        except asyncio.CancelledError:
            # A job that is just being submitted must be cancelled too.
            await self._engine.cancel((await submitting).id)
            raise

    async def _finished(self, job_id: str) -> Job:
        """Wait until the job is done.

        Raises:
            AudioLDMError: the job failed or was cancelled elsewhere.
        """
        job = await self._engine.ended(job_id)
        if job.state is JobState.CANCELLED:
            raise Cancelled("the job was cancelled")
        if job.state is JobState.FAILED:
            raise error_for(job.error_code, job.error)
        return job


@asynccontextmanager
async def serving_harp(
    engine: Engine, takes_folder: Path, port: int, cards: Sequence[Card] = CARDS
) -> AsyncIterator[int]:
    """Serve ``cards`` on loopback inside the block; yields the port.

    Clips and copies of takes live in a folder that is deleted at the end of the block.

    Raises:
        Conflict: the port is taken.
    """
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="audioldm-harp-"))
        stack.callback(_restore, "GRADIO_TEMP_DIR", os.environ.get("GRADIO_TEMP_DIR"))
        os.environ["GRADIO_TEMP_DIR"] = folder
        app = fastapi.FastAPI(openapi_url=None)
        for card in cards:
            blocks = _blocks(HarpCard(card, engine))
            gradio.mount_gradio_app(
                app,
                blocks,
                f"/{card.kind}",
                allowed_paths=[str(takes_folder.resolve())],
                show_error=True,
                ssr_mode=False,
            )
            # Only in launched apps Gradio checks that an input file was uploaded.
            blocks.has_launched = True
            # By default the queue polls a thousand times a second, beside an audio callback.
            blocks._queue.sleep_when_free = _QUEUE_PAUSE_S
        await stack.enter_async_context(app.router.lifespan_context(app))
        local = Entrance(app, Gate(None))
        yield await stack.enter_async_context(serving(local, "127.0.0.1", port))


def _restore(name: str, value: str | None) -> None:
    if value is None:
        del os.environ[name]
    else:
        os.environ[name] = value


def _blocks(served: HarpCard) -> gradio.Blocks:
    described = served.controls()
    age = (_CACHE_AGE_S, _CACHE_AGE_S)
    with gradio.Blocks(
        title=served.card.title, analytics_enabled=False, delete_cache=age
    ) as blocks:
        gradio.Markdown(f"# {served.card.title}\n\n{described['card']['description']}")
        inputs = [_component(item) for item in described["inputs"]]
        outputs = [_component(item) for item in OUTPUTS]
        process, cancel = gradio.Button("process"), gradio.Button("cancel")
        process.click(served.process, inputs, outputs, api_name="process", concurrency_limit=None)
        cancel.click(served.cancel, [], [], api_name="cancel", concurrency_limit=None)
        gradio.Button("controls").click(
            served.controls, [], gradio.JSON(label="controls"), api_name="controls"
        )
    return blocks


def _component(item: dict[str, Any]) -> Any:
    """The Gradio component that takes a control's value."""
    named = {"label": item["label"], **({"value": item["value"]} if "value" in item else {})}
    match item["type"]:
        case "audio_track":
            return gradio.Audio(type="filepath", **named)
        case "slider":
            # Gradio's slider would refuse values beyond its end that the field allows.
            return gradio.Number(info=item["info"], **named)
        case "toggle":
            return gradio.Checkbox(info=item["info"], **named)
        case "dropdown":
            return gradio.Dropdown([tuple(pair) for pair in item["choices"]], **named)
        case "json":
            return gradio.JSON(**named)
        case _:
            return gradio.Textbox(info=item["info"], **named)
