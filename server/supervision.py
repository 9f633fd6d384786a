"""Tasks that run as long as the program: one that fails is logged, shown and restarted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

__all__ = ["SupervisedTask", "Supervisor"]

log = logging.getLogger("audioldm.supervision")

RESTART_PAUSE_S: Final = 1.0


class SupervisedTask:
    """Runs ``run`` again and again until it is stopped.

    Args:
        name: what the log and the status call it.
        run: the work; it ends by an exception, or by returning when there is nothing left to do.
        pause_s: how long to wait before ``run`` is called again.
        expected: exceptions that are part of normal life, logged without a traceback.
        on_failure: called with every exception, before the pause.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[], Awaitable[None]],
        *,
        pause_s: float = RESTART_PAUSE_S,
        expected: tuple[type[Exception], ...] = (),
        on_failure: Callable[[Exception], None] = lambda error: None,
    ) -> None:
        self.name = name
        self.failure = ""
        """Why it is not running; empty while it runs."""
        self.restarts = 0
        self._run = run
        self._pause_s = pause_s
        self._expected = expected
        self._on_failure = on_failure
        self._task = asyncio.create_task(self._supervise(), name=name)

    def cancel(self) -> None:
        """Cancel the task without waiting for its end."""
        self._task.cancel()

    async def stop(self) -> None:
        """Cancel the task and wait until it has ended."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self.failure = ""

    async def finish(self) -> None:
        """Wait until the work has returned by itself."""
        await asyncio.gather(self._task, return_exceptions=True)

    async def _supervise(self) -> None:
        while True:
            try:
                await self._run()
            except asyncio.CancelledError as error:
                if self._is_stopping():
                    raise
                # Something that the task waited for was cancelled, not the task.
                self._failed(RuntimeError(f"cancelled from inside: {error!r}"))
            except Exception as error:
                self._failed(error)
                if self._is_stopping():
                    return  # it failed while it cleaned up, which swallowed the cancellation
            else:
                return
            await asyncio.sleep(self._pause_s)
            self.failure = ""
            self.restarts += 1

    def _is_stopping(self) -> bool:
        task = asyncio.current_task()
        return task is None or task.cancelling() > 0

    def _failed(self, error: Exception) -> None:
        self.failure = f"{type(error).__name__}: {error}"
        if isinstance(error, self._expected):
            log.warning("%s: %s; starting again", self.name, self.failure)
        else:
            log.error("%s failed; starting again", self.name, exc_info=error)
        self._on_failure(error)


class Supervisor:
    """The supervised tasks of a part of the program."""

    def __init__(self) -> None:
        self._tasks: list[SupervisedTask] = []

    @property
    def failures(self) -> dict[str, str]:
        """Why tasks are not running, by name; empty when all run."""
        return {task.name: task.failure for task in self._tasks if task.failure}

    def add(self, task: SupervisedTask) -> SupervisedTask:
        """Watch over ``task``, which has begun."""
        self._tasks.append(task)
        return task

    async def stop(self, task: SupervisedTask) -> None:
        """Stop one task."""
        if task in self._tasks:
            self._tasks.remove(task)
        await task.stop()

    async def close(self) -> None:
        """Stop all tasks."""
        for task in tuple(self._tasks):
            await self.stop(task)
