"""The takes that are kept: search, names, folders, favourites."""

from __future__ import annotations

import asyncio

from osc_bridge.messages import takes as m
from osc_bridge.messages.message import Command
from osc_bridge.service.client_table import KnownClient
from osc_bridge.service.service import Context, Handler, Service
from server.engine.engine import Engine
from server.errors import EngineUnavailable
from server.jobs.library import Library, StoredTake

__all__ = ["TakeHandlers"]


class TakeHandlers:
    """Handlers of the library of takes. Clients of other machines see their own takes.

    Args:
        service: answers for them.
        engine: whose journal holds the takes.
    """

    def __init__(self, service: Service, engine: Engine) -> None:
        self._service = service
        self._engine = engine

    @property
    def handlers(self) -> dict[type[Command], Handler]:
        """Command class to handler."""
        return {
            m.TakesFind: self._find,
            m.TakesFolders: self._list_folders,
            m.TakesMark: self._mark,
        }

    async def _find(self, command: m.TakesFind, context: Context) -> None:
        client = context.client
        found = await self._library.search(command.search, _sees_as(client))
        for stored in found:
            self._service.reply(client, _entry(stored))
            await asyncio.sleep(0)  # other clients are answered in between
        self._service.reply(client, m.TakesFound(len(found)))

    async def _list_folders(self, _: m.TakesFolders, context: Context) -> None:
        folders = await self._library.folders(_sees_as(context.client))
        for folder in folders:
            self._service.reply(context.client, m.FolderEntry(folder.folder, folder.takes))
        self._service.reply(context.client, m.FoldersListed(len(folders)))

    async def _mark(self, command: m.TakesMark, context: Context) -> None:
        client = context.client
        job_id = client.job_ids.get(command.id, command.id)
        sees_as = _sees_as(client)
        stored = await self._library.mark(job_id, command.take + 1, command.marks, sees_as)
        self._service.reply(client, _entry(stored))

    @property
    def _library(self) -> Library:
        if self._engine.journal is None:
            raise EngineUnavailable("this program keeps no takes; ask the server that renders them")
        return Library(self._engine.journal)


def _sees_as(client: KnownClient) -> str | None:
    return None if client.sender.is_local else client.key


def _entry(stored: StoredTake) -> m.TakeEntry:
    return m.TakeEntry(
        job_id=stored.job_id,
        take=stored.number - 1,
        name=stored.name,
        folder=stored.folder,
        kept=stored.kept,
        prompt=stored.prompt,
        seconds=stored.take.seconds,
        path=str(stored.take.path),
    )
