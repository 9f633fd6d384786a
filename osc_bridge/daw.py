"""``audioldm-daw``: engine, OSC, HTTP and sound card in one program."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import msgspec

from osc_bridge.audio.card import CardOutput
from osc_bridge.audio.device import NO_DEVICE, DeviceSettings
from osc_bridge.bridge import OscBridge
from osc_bridge.handlers.library import LibraryHandlers
from osc_bridge.handlers.stage import stage_on
from osc_bridge.handover import Handover
from osc_bridge.oscquery.announcement import announced
from osc_bridge.oscquery.app import OscQuery
from osc_bridge.stage.instant import nearest_sound
from osc_bridge.stage.liveset import LiveSet, load_set
from osc_bridge.stage.stage import Stage
from server import __version__
from server.audio.fence.pool import DECODERS
from server.config import Config
from server.engine.engine import Engine
from server.errors import AudioLDMError, DeviceError
from server.http.server import serving
from server.launch import (
    connection_limits,
    make_engine,
    make_http,
    make_library,
    settle,
    start_housekeeping,
)
from server.logs import set_up_logs
from server.sample_library.library import SampleLibrary
from server.signals import on_stop_signal

__all__ = ["Instance", "instance", "run", "serve", "serve_library"]

log = logging.getLogger("audioldm")


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """A running instance."""

    engine: Engine
    bridge: OscBridge
    stage: Stage
    library: SampleLibrary
    http_port: int


def run(config: Config) -> int:
    """Serve until SIGINT or SIGTERM.

    Raises:
        AudioLDMError: it cannot start.
    """
    live_set = load_set(config.live_set) if config.live_set else None
    set_up_logs()
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    if config.trace_osc:
        for name in ("audioldm.osc.in", "audioldm.osc.out"):
            logging.getLogger(name).setLevel(logging.DEBUG)
    asyncio.run(serve(config, live_set))
    return 0


async def serve(config: Config, live_set: LiveSet | None = None) -> None:
    """Start everything, print the addresses, and run until a signal."""
    started_s = time.perf_counter()
    stop = asyncio.Event()
    on_stop_signal(stop.set)
    async with instance(config) as running:
        starting = asyncio.create_task(running.engine.start())
        warming = asyncio.create_task(DECODERS.in_thread(DECODERS.warm))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                return
            starting.result()
            sound = await _open_sound(running.stage, config)
            await _open_library(running.library)
            if live_set is not None:
                await running.stage.use_set(live_set)
            print(_banner(config, running, sound, time.perf_counter() - started_s), flush=True)
            settle()
            await stopping
            log.info("shutting down")
        finally:
            for task in (starting, stopping):
                task.cancel()
            await asyncio.gather(starting, stopping, warming, return_exceptions=True)


@asynccontextmanager
async def instance(config: Config) -> AsyncIterator[Instance]:
    """A program whose ports are open; the engine is made but not started.

    Raises:
        AudioLDMError: the model cannot be used, or a port cannot be opened.
    """
    async with AsyncExitStack() as stack:
        engine = make_engine(config)
        stack.push_async_callback(engine.close)
        bridge = await stack.enter_async_context(OscBridge(engine, config))
        handover = stack.enter_context(Handover(config.state, config.audio_hold_s))
        output = CardOutput(config.audio_hold_s, handover.found, handover.note)
        stage = await stack.enter_async_context(
            stage_on(engine, bridge.service, bridge.folders, output, handover.arena)
        )
        if handover.found:
            await stage.player.device.keep_open(handover.found.settings)
        library = make_library(config)
        stack.push_async_callback(library.close)
        stack.push_async_callback(serve_library(bridge, stage, library).close)
        http = make_http(engine, config, OscQuery(bridge).routes, library)
        limits = connection_limits(config)
        serve_http = serving(http.app, config.host, config.http_port, limits)
        port = await stack.enter_async_context(serve_http)
        stack.callback(http.close)
        if config.announce:
            await stack.enter_async_context(announced(config.host, bridge.port, port))
        start_housekeeping(engine, config)
        yield Instance(engine=engine, bridge=bridge, stage=stage, http_port=port, library=library)


def serve_library(bridge: OscBridge, stage: Stage, library: SampleLibrary) -> LibraryHandlers:
    """Let ``bridge`` answer for ``library``, whose sounds ``stage`` plays."""
    handlers = LibraryHandlers(bridge.service, library, stage, bridge.folders)
    bridge.service.add(handlers.handlers)
    bridge.jobs.begin_instant = handlers.begin_instant
    bridge.jobs.name_sounds = handlers.name_sounds
    stage.pads.find_sound = partial(nearest_sound, library)
    return handlers


async def _open_sound(stage: Stage, config: Config) -> str:
    """Open the sound card, or keep time without one; returns the line for the banner.

    What plays already goes on: it was taken over from a program that has died.
    """
    device = stage.player.device
    settings = DeviceSettings(device=config.sound_card, blocksize=config.blocksize)
    try:
        opened = device.opened or await stage.open_device(settings)
    except DeviceError as error:
        await device.keep_open(DeviceSettings(device=NO_DEVICE))
        return f"none ({error})"
    if device.settings.device == NO_DEVICE:
        return "none, as asked"
    return f"{opened.name} ({opened.host_api}), {opened.sample_rate} Hz"


async def _open_library(library: SampleLibrary) -> None:
    """Go on with the sample library, if there is one; the program runs without it, too."""
    try:
        await library.start()
    except AudioLDMError as error:
        log.warning("the sample library is closed: %s", error)


def _banner(config: Config, running: Instance, sound: str, seconds: float) -> str:
    manifest, status = running.engine.manifest, running.engine.status()
    host = f"[{config.host}]" if ":" in config.host else config.host
    lines = [
        f"audioldm-daw {__version__}",
        f"  model   {manifest.name} ({manifest.licence}), {manifest.sample_rate} Hz",
        f"  device  {config.engine or config.device}: {', '.join(status.providers)}",
        f"  sound   {sound}",
        f"  takes   {running.bridge.folders.takes_folder}",
        f"  HTTP    http://{host}:{running.http_port}/ (panel, OSCQuery)",
        f"  OSC     {host}:{running.bridge.port} (UDP and TCP)",
        f"ready in {seconds:.1f} s; stop with Ctrl-C",
    ]
    if not config.is_loopback:
        lines.insert(6, f"  NOTE    OSC has no password: all who reach {config.host} can use it")
    return "\n".join(lines)
