"""A bridge on free ports, on an event loop in a thread, for tests that talk through sockets."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

from osc_bridge.bridge import OscBridge
from osc_bridge.client.client import Client
from osc_bridge.oscquery.app import OscQuery
from server.config import Config
from server.engine.engine import Engine
from server.http.server import serving

E = TypeVar("E", bound=Engine)
R = TypeVar("R")


class RunningBridge(Generic[E]):
    """What the tests hold on to."""

    def __init__(self, engine: E, config: Config) -> None:
        self.engine = engine
        self.bridge = OscBridge(engine, config)
        self.oscquery: OscQuery
        self.loop = asyncio.new_event_loop()
        self.port = self.http_port = 0
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def client(self, transport: str = "udp") -> Client:
        return Client(port=self.port, transport=transport)  # type: ignore[arg-type]

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """``function`` on the loop's thread, awaited where it is a coroutine."""

        async def called() -> Any:
            result = function(*arguments)
            return await result if inspect.isawaitable(result) else result

        return self.run(called())

    def run(self, coroutine: Coroutine[Any, Any, R]) -> R:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(60)
        if self._failure is not None:
            self._thread.join(60)
            raise self._failure

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        async with AsyncExitStack() as stack:
            try:
                await self.engine.start()
                stack.push_async_callback(self.engine.close)
                await stack.enter_async_context(self.bridge)
                self.oscquery = OscQuery(self.bridge)
                app = self.oscquery.app()
                self.http_port = await stack.enter_async_context(serving(app, "127.0.0.1", 0))
                self.port = self.bridge.port
            except Exception as error:
                self._failure = error  # raised where the test waits, not in this thread
                return
            finally:
                self._ready.set()
            await self._stop.wait()


@contextmanager
def running_bridge(engine: E, takes: Path, port: int = 0) -> Iterator[RunningBridge[E]]:
    """Up inside the context, all down after it."""
    state = str(takes.parent / "state")
    config = Config(osc_port=port, http_port=0, takes_folder=str(takes), state_folder=state)
    running = RunningBridge(engine, config)
    running.start()
    try:
        yield running
    finally:
        running.stop()
