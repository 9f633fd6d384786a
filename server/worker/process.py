"""The engine's end of a worker process."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from server.errors import ModelError
from server.model.manifest import Manifest
from server.worker.protocol import Failed, FromWorker, Loading, Ready, ToWorker, pack, receive

__all__ = ["WorkerProcess", "worker_process"]

_GRACE_S = 3.0
_LOADING_S = 300.0
"""Compiling a large model for a new device takes minutes, but not more."""


class WorkerProcess:
    """A :class:`~server.worker.renderer.Renderer`: a running worker that has loaded its model."""

    def __init__(self, process: asyncio.subprocess.Process, ready: Ready) -> None:
        self._process = process
        self.ready = ready
        """What it said of itself."""

    @property
    def details(self) -> dict[str, Any]:
        """Its process id."""
        return {"worker_pid": self._process.pid}

    async def send(self, command: ToWorker) -> None:
        """Hand over a command; a dead worker is noticed by :meth:`receive`."""
        assert self._process.stdin is not None
        with contextlib.suppress(ConnectionError):
            self._process.stdin.write(pack(command))
            await self._process.stdin.drain()

    async def receive(self) -> FromWorker:
        """The next event.

        Raises:
            asyncio.IncompleteReadError, ConnectionError: the worker died.
        """
        assert self._process.stdout is not None
        return await receive(self._process.stdout)


@asynccontextmanager
async def worker_process(
    model: Path,
    device: str,
    threads: int,
    cache: Path | None = None,
    on_loading: Callable[[Loading], None] = lambda event: None,
) -> AsyncIterator[WorkerProcess]:
    """A worker with ``model`` loaded; killed at the end of the block.

    Args:
        model: the model folder.
        device: where it runs.
        threads: CPU threads; 0 for what fits.
        cache: folder of compiled graphs; None: none are kept.
        on_loading: told how far loading is.

    Raises:
        ModelError: the model cannot be loaded, or a file of it is damaged.
        OSError: the process cannot be started.
        asyncio.IncompleteReadError, ConnectionError: the worker died while it loaded the model.
    """
    await asyncio.to_thread(Manifest.load(model).verify, model)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "server.worker.main", "--model", str(model)),
        *("--device", device, "--threads", str(threads)),
        *(("--cache", str(cache)) if cache else ()),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield WorkerProcess(process, await _wait_until_ready(process, model, on_loading))
    finally:
        await _end(process)


async def _wait_until_ready(
    process: asyncio.subprocess.Process, model: Path, on_loading: Callable[[Loading], None]
) -> Ready:
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_LOADING_S):
            while isinstance(event := await receive(process.stdout), Loading):
                on_loading(event)
    except TimeoutError as error:
        raise ModelError(f"{model} was not loaded within {_LOADING_S:.0f} s") from error
    if isinstance(event, Failed):
        raise ModelError(event.message)
    if not isinstance(event, Ready):
        raise ModelError(f"the worker began with {type(event).__name__} instead of Ready")
    return event


async def _end(process: asyncio.subprocess.Process) -> None:
    """Close the worker's input, which ends it; kill it if it hangs or there is no time."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(_GRACE_S):
            await process.wait()
    except TimeoutError:
        pass
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
