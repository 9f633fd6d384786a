"""The small questions: ping, version, status, model, help, notices, settings."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from osc_bridge.handlers.transfers import Transfers
from osc_bridge.messages.files import DownloadGet, DownloadStart, UploadChunk, UploadStart
from osc_bridge.messages.generated import SETTINGS
from osc_bridge.messages.message import Command
from osc_bridge.messages.notices import EngineNotice, Notified, Notify
from osc_bridge.messages.server import (
    Help,
    HelpReply,
    ModelReply,
    ModelStatus,
    Ping,
    Pong,
    Status,
    StatusReply,
    Version,
    VersionReply,
)
from osc_bridge.messages.settings import Set, SetClear, Setting
from osc_bridge.service.service import Context, Handler, Service
from server import __version__
from server.engine.engine import Engine
from server.requests.fields import Field

__all__ = ["Housekeeping", "transfer_handlers"]

PROGRAM: Final = "audioldm-daw"
_WATCH_S: Final = 0.5


class Housekeeping:
    """Handlers of the addresses that start no job, and the watch over the engine's state."""

    def __init__(self, service: Service, engine: Engine) -> None:
        self._service = service
        self._engine = engine
        self._watch = asyncio.get_running_loop().create_task(self._watch_engine())
        self._listing: set[str] = set()
        service.values |= {StatusReply: self.status, ModelReply: self.model}
        self.last_set: dict[str, Any] = {}
        """The value that anybody set last, by field name: what OSCQuery shows."""

    @property
    def handlers(self) -> dict[type[Command], Handler]:
        """Command class to handler."""
        return {
            **dict.fromkeys(SETTINGS, self._set),
            Ping: lambda ping, c: self._service.reply(c.client, Pong(ping.token)),
            Version: lambda _, c: self._service.reply(c.client, VersionReply(PROGRAM, __version__)),
            Status: lambda _, c: self._service.reply(c.client, self.status()),
            ModelStatus: lambda _, c: self._service.reply(c.client, self.model()),
            Help: self._help,
            Notify: self._notify,
            SetClear: lambda _, c: c.client.settings.clear(),
        }

    async def close(self) -> None:
        """Stop watching."""
        self._watch.cancel()
        await asyncio.gather(self._watch, return_exceptions=True)

    def status(self) -> StatusReply:
        """How the server is."""
        engine, service = self._engine.status(), self._service
        return StatusReply(
            engine.state,
            engine.model,
            ",".join(engine.providers),
            engine.queued,
            engine.running,
            engine.restarts,
            len(service.clients),
            service.received,
            service.refused,
            service.scheduler.late,
        )

    def model(self) -> ModelReply:
        """The model in use."""
        manifest = self._engine.manifest
        return ModelReply(
            manifest.name,
            manifest.sample_rate,
            float(manifest.defaults.audio_length_in_s),
            manifest.defaults.num_inference_steps,
            float(manifest.defaults.guidance_scale),
            manifest.licence,
        )

    def value_of(self, field: Field) -> Any:
        """What a request uses where neither it nor its client says anything.

        None: it is drawn or derived anew for each job.
        """
        if field.default is not None:
            return field.default
        return getattr(self._engine.manifest.defaults, field.name, None)

    async def _help(self, question: Help, context: Context) -> None:
        table, client = self._service.table, context.client
        if client.key in self._listing:
            return  # a bundle of a hundred questions is answered once
        about = (table.command(question.about),) if question.about else table.commands
        self._listing.add(client.key)
        try:
            for command in about:
                answer = HelpReply(command.address, command.usage(), command.description())
                self._service.reply(client, answer)
                await asyncio.sleep(0)  # others have their turn between the lines
        finally:
            self._listing.discard(client.key)

    def _notify(self, notify: Notify, context: Context) -> None:
        context.client.notify = notify.on
        self._service.reply(context.client, Notified(notify.on))
        for client in self._service.clients.end_oldest_notices():
            self._service.reply(client, Notified(False))

    def _set(self, setting: Set, context: Context) -> None:
        name = setting.field.name
        if setting.given:
            context.client.settings[name] = setting.value
            self.last_set[name] = setting.value
            self._service.observe(setting.to_osc())
            return
        value = context.client.settings.get(name)
        shown = self.value_of(setting.field) if value is None else value
        self._service.reply(context.client, Setting(name, "" if shown is None else shown))

    async def _watch_engine(self) -> None:
        """Tell those with notices on when the engine's state changes."""
        before = self._engine.status()
        while True:
            await asyncio.sleep(_WATCH_S)
            now = self._engine.status()
            if (now.state, now.restarts) != (before.state, before.restarts):
                self._service.broadcast(EngineNotice(now.state, now.restarts))
            before = now


def transfer_handlers(service: Service, transfers: Transfers) -> dict[type[Command], Handler]:
    """Handlers of uploads and downloads."""
    service.on_forget.append(transfers.forget)

    def answered_by(method: Any) -> Handler:
        return lambda message, c: service.reply(c.client, method(c.client.key, message))

    async def download_start(message: DownloadStart, c: Context) -> None:
        service.reply(c.client, await transfers.download_start(c.client.key, message))

    return {
        UploadStart: answered_by(transfers.upload_start),
        UploadChunk: answered_by(transfers.upload_chunk),
        DownloadStart: download_start,
        DownloadGet: answered_by(transfers.download_get),
    }
