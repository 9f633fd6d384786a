"""``audioldm-daw``: engine, OSC and HTTP in one program that stays up."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time
from contextlib import AsyncExitStack

from osc_bridge.bridge import OscBridge
from osc_bridge.oscquery import OscQuery
from osc_bridge.web import serve_web
from server import __version__
from server.config import Config
from server.local_engine import LocalEngine

__all__ = ["run", "serve"]

log = logging.getLogger("audioldm")


def run(config: Config) -> int:
    """Serve until SIGINT or SIGTERM.

    Raises:
        AudioLDMError: why it cannot start.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    if config.trace_osc:
        for name in ("audioldm.osc.in", "audioldm.osc.out"):
            logging.getLogger(name).setLevel(logging.DEBUG)
    asyncio.run(serve(config))
    return 0


async def serve(config: Config, stop: asyncio.Event | None = None) -> None:
    """Come up, say where, and stay until ``stop`` (or a signal)."""
    started_s = time.perf_counter()
    stop = stop or _stopped_by_signals()
    async with AsyncExitStack() as stack:
        engine = LocalEngine(
            config.model_folder,
            config.roots[0],
            device=config.device,
            threads=config.threads,
            max_queued=config.max_queued,
        )
        bridge = await stack.enter_async_context(OscBridge(engine, config))
        stack.push_async_callback(engine.close)
        app = OscQuery(bridge).app()
        http_port = await stack.enter_async_context(serve_web(app, config.host, config.http_port))
        starting = asyncio.create_task(engine.start())
        stopping = asyncio.create_task(stop.wait())
        stack.callback(stopping.cancel)
        await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            return
        starting.result()
        print(
            _banner(config, engine, bridge, http_port, time.perf_counter() - started_s), flush=True
        )
        await stopping
        log.info("shutting down")


def _banner(
    config: Config, engine: LocalEngine, bridge: OscBridge, http_port: int, seconds: float
) -> str:
    manifest, status = engine.manifest, engine.status()
    lines = [
        f"audioldm-daw {__version__}",
        f"  model   {manifest.name} ({manifest.licence}), {manifest.sample_rate} Hz",
        f"  device  {config.device}: {', '.join(status.providers)}",
        f"  takes   {bridge.folders.takes_folder}",
        f"  OSC     {config.host}:{bridge.port} (UDP and TCP)",
        f"  HTTP    http://{config.host}:{http_port}/ (OSCQuery)",
        f"ready in {seconds:.1f} s; stop with Ctrl-C",
    ]
    if not config.is_loopback:
        lines.insert(1, f"  NOTE    open to the network on {config.host}: there is no password")
    return "\n".join(lines)


def _stopped_by_signals() -> asyncio.Event:
    """Set by SIGINT and SIGTERM."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    return stop
