"""From the settings to a running engine and its HTTP application."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from server.config import Config
from server.engine.engine import Engine
from server.engine.fleet import Fleet
from server.errors import AudioLDMError, InvalidRequest, ModelError
from server.http.access import Gate, TokenFile
from server.jobs.acceptance import Limits
from server.jobs.journal import Journal
from server.jobs.library import Library
from server.jobs.storage import remove_parts
from server.jobs.uploads import Uploads
from server.model.manifest import Manifest
from server.model.memory import GIB
from server.net.limits import ConnectionLimits
from server.supervision import SupervisedTask
from server.worker.towers import ClapTowers

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from server.http.app import HttpApi
    from server.sample_library.library import SampleLibrary

__all__ = [
    "connection_limits",
    "keep_house",
    "make_engine",
    "make_http",
    "make_library",
    "make_local_engine",
    "settle",
    "start_housekeeping",
]

log = logging.getLogger("audioldm")

_HOUSEKEEPING_S: Final = 600.0
_UPLOAD_DAYS: Final = 7.0


def make_engine(config: Config) -> Engine:
    """The engine that the settings ask for; it is not started yet.

    Raises:
        ModelError: the model folder cannot be used.
        InvalidRequest: the engine's URL is none.
    """
    if not config.engine:
        return make_local_engine(config)
    from server.remote.remote_engine import RemoteEngine

    return RemoteEngine(
        config.engine,
        config.roots[0],
        token=config.engine_token,
        make_fallback=lambda: make_local_engine(config),
    )


def settle() -> None:
    """Tell the garbage collector that what is loaded now stays.

    To go through all of it again took 40 ms, several times a minute under load, and whoever
    asked meanwhile waited.
    """
    gc.collect()
    gc.freeze()


def make_local_engine(config: Config) -> Fleet:
    """The models of this machine, with their journal.

    Raises:
        ModelError: a folder that was named is no model folder.
    """
    return Fleet(
        _usable(config),
        config.roots[0],
        devices=config.devices,
        budget_bytes=round(config.memory * GIB),
        threads=config.threads,
        max_queued=config.max_queued,
        limits=Limits.of(config),
        journal=Journal(config.journal_file),
        models_folder=config.models if config.models_folder else None,
    )


def make_http(
    engine: Engine,
    config: Config,
    extra_routes: Sequence[BaseRoute] = (),
    samples: SampleLibrary | None = None,
) -> HttpApi:
    """The HTTP application for ``engine``; ``extra_routes`` share its port and its gate.

    Takes are searched with the CLAP towers of ``samples``, where there are any.

    Raises:
        InvalidRequest: open to the network, and nobody has a token.
    """
    from server.http.app import HttpApi
    from server.http.streams import StreamSlots

    return HttpApi(
        engine,
        make_uploads(config),
        journal=engine.journal,
        towers=samples.towers if samples else ClapTowers(config.model_folder),
        gate=_gate(config),
        presets=config.state / "presets",
        samples=samples,
        extra_routes=extra_routes,
        limits=connection_limits(config),
        streams=StreamSlots(config.max_streams),
    )


def connection_limits(config: Config) -> ConnectionLimits:
    """The limits of the HTTP port."""
    return ConnectionLimits(
        total=config.max_connections,
        per_address=config.max_connections_per_address,
        head_s=config.head_s,
        stall_s=config.stall_s,
    )


def make_library(config: Config) -> SampleLibrary:
    """The library of the user's sounds; it is not started yet."""
    from server.sample_library.library import SampleLibrary

    return SampleLibrary(config.state, config.model_folder, ClapTowers(config.model_folder))


def make_uploads(config: Config) -> Uploads:
    """Where clips go."""
    return Uploads(config.state / "uploads", config.max_upload_mb * 2**20)


def start_housekeeping(engine: Engine, config: Config) -> None:
    """Delete what need not be kept, now and every ten minutes, as long as the engine is up."""
    housekeeping = partial(keep_house, engine, config)
    engine.supervisor.add(SupervisedTask("housekeeping", housekeeping))


async def keep_house(engine: Engine, config: Config) -> None:
    """Delete what need not be kept, now and every ten minutes, for ever."""
    journal, uploads = engine.journal, make_uploads(config)
    while True:
        try:
            for folder in (uploads.folder, config.roots[0]):
                await asyncio.to_thread(remove_parts, folder)
            if journal is not None and (config.keep_gb or config.keep_days):
                await Library(journal).retain(round(config.keep_gb * 1e9), config.keep_days * 86400)
            await asyncio.to_thread(uploads.retain, _UPLOAD_DAYS * 86400, _files_in_use(engine))
        except (AudioLDMError, OSError) as error:
            log.warning("old takes and clips could not be removed: %s", error)
        await asyncio.sleep(_HOUSEKEEPING_S)


def _files_in_use(engine: Engine) -> frozenset[str]:
    """Stems of the files that unfinished jobs read."""
    from server.requests.fields import file_fields

    return frozenset(
        Path(getattr(job.request, name)).stem
        for job in engine.jobs()
        if not job.state.final
        for name in file_fields(type(job.request))
    )


def _gate(config: Config) -> Gate:
    if config.is_loopback:
        return Gate(None)
    tokens = TokenFile(config.tokens_file)
    if not len(tokens):
        raise InvalidRequest(
            f"host {config.host} opens this server to the network, and nobody has a token yet. "
            "Give one to each client: audioldm-server token add NAME"
        )
    return Gate(tokens)


def _usable(config: Config) -> list[Path]:
    """The model folders, without the broken ones that nobody named."""
    first, *others = config.model_folders
    usable, named = [first], config.named_folders
    for folder in others:
        try:
            Manifest.load(folder)
        except ModelError as error:
            if folder in named:
                raise
            log.warning("%s; it is left out", error)
        else:
            usable.append(folder)
    return usable
