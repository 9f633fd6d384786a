"""Questions about the server: ping, version, status, model, help and notices."""

from __future__ import annotations

import asyncio
from typing import Final

from osc_bridge.messages.message import Command
from osc_bridge.messages.notices import EngineNotice, Notified, Notify
from osc_bridge.messages.server import (
    Help,
    HelpReply,
    ModelReply,
    ModelStatus,
    Ping,
    Pong,
    Prove,
    Proved,
    Status,
    StatusReply,
    Version,
    VersionReply,
)
from osc_bridge.service.service import Context, Handler, Service
from server import __version__
from server.engine.engine import Engine
from server.errors import Forbidden, QueueFull
from server.supervision import SupervisedTask

__all__ = ["MAX_LISTINGS", "ServerHandlers"]

PROGRAM: Final = "audioldm-daw"
_WATCH_S: Final = 0.5
MAX_LISTINGS: Final = 4
"""Lists of all addresses on their way to one host."""


class ServerHandlers:
    """Handlers of the questions about the server, and the notices about the engine's state."""

    def __init__(self, service: Service, engine: Engine) -> None:
        self._service = service
        self._engine = engine
        self._listing: dict[str, str] = {}
        """Clients that are being sent the list of addresses, with their host."""
        watch = SupervisedTask("the watch over the engine", self._watch_engine)
        self._watch = engine.supervisor.add(watch)
        service.values.add({StatusReply: self.status, ModelReply: self.model})

    @property
    def handlers(self) -> dict[type[Command], Handler]:
        """Command class to handler."""
        reply = self._service.reply
        return {
            Ping: lambda ping, c: reply(c.client, Pong(ping.token)),
            Version: lambda _, c: reply(c.client, VersionReply(PROGRAM, __version__)),
            Status: lambda _, c: reply(c.client, self.status()),
            ModelStatus: lambda _, c: reply(c.client, self.model()),
            Help: self._help,
            Prove: self._prove,
            Notify: self._notify,
        }

    async def close(self) -> None:
        """Stop watching the engine."""
        await self._engine.supervisor.stop(self._watch)

    def status(self) -> StatusReply:
        """The state of the engine and the counters of the service."""
        engine, service = self._engine.status(), self._service
        return StatusReply(
            state=engine.state,
            model=engine.model,
            providers=",".join(engine.providers),
            queued=engine.queued,
            running=engine.running,
            restarts=engine.restarts,
            clients=len(service.clients),
            received=service.received,
            refused=service.refused,
            late=service.scheduler.late,
        )

    def model(self) -> ModelReply:
        """The model in use and its defaults."""
        manifest = self._engine.manifest
        return ModelReply(
            name=manifest.name,
            sample_rate=manifest.sample_rate,
            audio_length_in_s=float(manifest.defaults.audio_length_in_s),
            num_inference_steps=manifest.defaults.num_inference_steps,
            guidance_scale=float(manifest.defaults.guidance_scale),
            licence=manifest.licence,
        )

    async def _help(self, question: Help, context: Context) -> None:
        table, client = self._service.table, context.client
        if client.key in self._listing:
            return  # a bundle of a hundred questions is answered once
        host = client.sender.host
        if sum(host == other for other in self._listing.values()) >= MAX_LISTINGS:
            raise QueueFull(f"{MAX_LISTINGS} lists are being sent to {host}; ask again later")
        about = (table.command(question.about),) if question.about else table.commands
        self._listing[client.key] = host or client.key
        try:
            for command in about:
                answer = HelpReply(command.address, command.usage(), command.description())
                self._service.reply(client, answer)
                await asyncio.sleep(0)  # other clients are answered in between
        finally:
            del self._listing[client.key]

    def _prove(self, prove: Prove, context: Context) -> None:
        sender = context.client.sender
        needs_proof = bool(sender.host) and not sender.is_local
        if needs_proof and not self._service.proofs.prove(sender.host, prove.cookie):
            raise Forbidden("this is not the cookie that /ldm/cookie sent to your address")
        self._service.reply(context.client, Proved())

    def _notify(self, notify: Notify, context: Context) -> None:
        context.client.notify = notify.on
        self._service.reply(context.client, Notified(notify.on))
        if notify.on:
            self._service.warn(context.client, self._engine.notice)
        for client in self._service.clients.end_oldest_notices():
            self._service.reply(client, Notified(False))

    async def _watch_engine(self) -> None:
        """Send a notice whenever the state of the engine changes."""
        before = self._engine.status()
        while True:
            await asyncio.sleep(_WATCH_S)
            now = self._engine.status()
            if now.notice != before.notice:
                for client in self._service.clients.notified():
                    self._service.warn(client, now.notice)
            if (now.state, now.restarts) != (before.state, before.restarts):
                self._service.broadcast(EngineNotice(now.state, now.restarts))
            before = now
