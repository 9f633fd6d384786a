"""``audioldm-server``: engine and HTTP in one program that stays up."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import AsyncExitStack

from server import __version__
from server.config import Config
from server.engine.engine import Engine
from server.engine.fleet import Fleet
from server.http.server import serving
from server.jobs.job import Job, JobState
from server.launch import (
    connection_limits,
    make_http,
    make_local_engine,
    settle,
    start_housekeeping,
)
from server.logs import set_up_logs
from server.remote.cluster_engine import ClusterEngine
from server.signals import on_stop_signal

__all__ = ["run", "serve"]

log = logging.getLogger("audioldm.server")


def run(
    config: Config,
    *,
    drain_s: float = 30.0,
    json_logs: bool = False,
    make_engine: Callable[[Config], Fleet | ClusterEngine] = make_local_engine,
) -> int:
    """Serve until SIGINT or SIGTERM; a second one does not wait for the running job.

    Raises:
        AudioLDMError: why it cannot start.
    """
    set_up_logs(as_json=json_logs)
    asyncio.run(serve(config, drain_s, make_engine))
    return 0


async def serve(
    config: Config,
    drain_s: float,
    make_engine: Callable[[Config], Fleet | ClusterEngine] = make_local_engine,
) -> None:
    """Come up, say where, stay until a signal, let the running job finish, stop."""
    started_s = time.perf_counter()
    stop, hurry = asyncio.Event(), asyncio.Event()

    def asked_to_stop() -> None:
        (hurry if stop.is_set() else stop).set()

    on_stop_signal(asked_to_stop)
    async with AsyncExitStack() as stack:
        engine = make_engine(config)
        stack.push_async_callback(engine.close)
        stack.callback(engine.listen(_log_job))
        http = make_http(engine, config)
        limits = connection_limits(config)
        serve_http = serving(http.app, config.host, config.http_port, limits)
        port = await stack.enter_async_context(serve_http)
        stack.callback(http.close)
        starting = asyncio.create_task(engine.start())
        if not await _first(starting, stop):
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            return
        start_housekeeping(engine, config)
        _say_ready(config, engine, port, time.perf_counter() - started_s)
        settle()
        await stop.wait()
        log.info("stopping; what waits goes on at the next start")
        draining = asyncio.create_task(engine.drain(drain_s))
        await _first(draining, hurry)
        draining.cancel()


def _log_job(job: Job) -> None:
    """A line at the beginning and at the end of each job."""
    if job.state.final:
        seconds = job.finished_s - (job.started_s or job.finished_s)
        summary = f"{job.state.value} in {seconds:.2f} s {job.error}".rstrip()
        log.info("job %s %s", job.id, summary, extra={"job_id": job.id, "owner": job.owner})
    elif job.state is JobState.RUNNING and not job.step:
        log.info("job %s started", job.id, extra={"job_id": job.id, "owner": job.owner})


async def _first(task: asyncio.Task[None], event: asyncio.Event) -> bool:
    """True if ``task`` is done before ``event`` is set; what it raised is raised."""
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    if task.done():
        task.result()
    return task.done()


def _say_ready(config: Config, engine: Engine, port: int, seconds: float) -> None:
    host = f"[{config.host}]" if ":" in config.host else config.host
    manifest, status = engine.manifest, engine.status()
    others = [model.name for model in engine.models()[1:]]
    lines = [
        f"audioldm-server {__version__}",
        f"  model   {manifest.name} ({manifest.licence}), {manifest.sample_rate} Hz",
        *([f"  others  {', '.join(others)}"] if others else []),
        f"  device  {config.device}: {', '.join(status.providers)}",
        f"  takes   {config.roots[0]}",
        f"  HTTP    http://{host}:{port}/ (panel, /openapi.json)",
        f"ready in {seconds:.1f} s; stop with Ctrl-C",
    ]
    if not config.is_loopback:
        lines.insert(-1, "  NOTE    tokens travel readable: put TLS in front (SECURITY.md)")
    print("\n".join(lines), flush=True)
