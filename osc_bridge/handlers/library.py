"""The sample library: its folders, and the search in them."""

from __future__ import annotations

import asyncio
from pathlib import Path

from osc_bridge.messages import library as m
from osc_bridge.messages.message import Command
from osc_bridge.service.service import Context, Handler, Service
from server.errors import Forbidden
from server.sample_library.library import FolderState, SampleLibrary
from server.sample_library.views import LibrarySound, sound_view

__all__ = ["LibraryHandlers"]


class LibraryHandlers:
    """Handlers of the library's addresses, for clients on this machine.

    Args:
        service: answers for them.
        library: knows the sounds.
    """

    def __init__(self, service: Service, library: SampleLibrary) -> None:
        self._service = service
        self._library = library

    @property
    def handlers(self) -> dict[type[Command], Handler]:
        """Command class to handler."""
        return {
            m.Add: self._add,
            m.Remove: self._remove,
            m.Pause: self._pause,
            m.State: self._state,
            m.Find: self._find,
        }

    async def _add(self, command: m.Add, context: Context) -> None:
        folder = await self._allowed(context).add(Path(command.path))
        self._service.reply(context.client, _folder(folder))

    async def _remove(self, command: m.Remove, context: Context) -> None:
        sounds = await self._allowed(context).remove(Path(command.path))
        removed = m.FolderReply(path=command.path, state="removed", sounds=sounds, problems=0)
        self._service.reply(context.client, removed)

    async def _pause(self, command: m.Pause, context: Context) -> None:
        folder = await self._allowed(context).pause(Path(command.path), command.paused)
        self._service.reply(context.client, _folder(folder))

    async def _state(self, _: m.State, context: Context) -> None:
        state = await self._allowed(context).state()
        for folder in state.folders:
            self._service.reply(context.client, _folder(folder))
        total = m.Sum(sounds=state.sounds, waiting=state.waiting, left_s=state.left_s or 0.0)
        self._service.reply(context.client, total)

    async def _find(self, command: m.Find, context: Context) -> None:
        found = await self._allowed(context).search(command.search)
        for sample, similarity in found:
            self._service.reply(context.client, _sound(sound_view(sample, similarity)))
            await asyncio.sleep(0)  # other clients are answered in between
        self._service.reply(context.client, m.Found(len(found)))

    def _allowed(self, context: Context) -> SampleLibrary:
        """The library holds the files of whoever runs the program.

        Raises:
            Forbidden: the client is on another machine.
        """
        if not context.client.sender.is_local:
            raise Forbidden("the sample library is for clients on this machine")
        return self._library


def _folder(folder: FolderState) -> m.FolderReply:
    return m.FolderReply(
        path=folder.path, state=folder.state, sounds=folder.sounds, problems=folder.problems
    )


def _sound(sound: LibrarySound) -> m.SoundReply:
    return m.SoundReply(
        id=sound.id,
        path=sound.path,
        seconds=sound.seconds,
        bpm=sound.bpm or 0.0,
        note=sound.note,
        lufs=m.NONE_LUFS if sound.lufs is None else sound.lufs,
        character=sound.character,
        similarity=sound.similarity or 0.0,
    )
