"""The sample library: its folders, the search in them, its map, and sounds in place of takes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from osc_bridge.handlers.pads import pad_named, pad_state
from osc_bridge.messages import library as m
from osc_bridge.messages.library_map import MapPlaying, MapX, MapXY, MapY, PadSounds
from osc_bridge.messages.message import Command
from osc_bridge.messages.requests.submissions import Submission
from osc_bridge.service.allowed_folders import AllowedFolders
from osc_bridge.service.service import Context, Handler, Service
from osc_bridge.stage.instant import Instants, Sounding, Wanted
from osc_bridge.stage.map_player import MapPlayer, MapVoice, Place
from osc_bridge.stage.stage import Stage
from server.errors import AudioLDMError, Forbidden, InvalidRequest
from server.requests.request import AnyRequest
from server.sample_library.library import FolderState, SampleLibrary
from server.sample_library.named_sounds import with_named_sounds
from server.sample_library.views import LibrarySound, shown_path, sound_view

__all__ = ["LibraryHandlers"]


class LibraryHandlers:
    """Handlers of the library's addresses, for clients on this machine.

    Args:
        service: answers for them.
        library: knows the sounds.
        stage: plays them.
        folders: where clients may name other files.
    """

    def __init__(
        self, service: Service, library: SampleLibrary, stage: Stage, folders: AllowedFolders
    ) -> None:
        self._service = service
        self._library = library
        self._stage = stage
        self._folders = folders
        self._map = MapPlayer(stage, library)
        self._instants = Instants(stage, library)

    @property
    def handlers(self) -> dict[type[Command], Handler]:
        """Command class to handler."""
        return {
            m.Add: self._add,
            m.Remove: self._remove,
            m.Pause: self._pause,
            m.State: self._state,
            m.Find: self._find,
            MapXY: lambda xy, c: self._go(
                c, x=xy.x, y=xy.y, gain_db=xy.gain_db, quantise=xy.quantise, again=xy.again
            ),
            MapX: lambda to, c: self._go(c, x=to.x),
            MapY: lambda to, c: self._go(c, y=to.y),
            PadSounds: self._pad_sounds,
        }

    async def close(self) -> None:
        """Start nothing more."""
        await self._map.close()
        await self._instants.close()

    def begin_instant(self, submission: Submission, context: Context) -> asyncio.Future[str]:
        """Play the nearest sound for a request; the future is given the id of its job.

        Raises:
            Forbidden: the client is on another machine.
            InvalidRequest: the request has no prompt.
        """
        self._allowed(context)
        request, client = submission.request, context.client
        if not request.prompt.strip():
            raise InvalidRequest("retrieve: the request has no prompt to search the library with")

        def answer(what: Sounding | AudioLDMError) -> None:
            if isinstance(what, AudioLDMError):
                self._service.report(client, what, type(submission).address)
                return
            playing = m.InstantPlaying(
                request_id=submission.request_id,
                source=what.source,
                voice=what.voice,
                path=shown_path(what.path),
                frame=what.frame % 2**31,
            )
            self._service.reply(client, playing)

        wanted = Wanted(
            prompt=request.prompt,
            loop=bool(getattr(request, "loop", False)),
            quantise=submission.options.quantise,
            panic_count=context.panic_count,
        )
        return self._instants.begin(wanted, answer)

    async def name_sounds(self, request: AnyRequest, context: Context) -> AnyRequest:
        """``request`` with files in place of the sounds of the library that it names.

        Raises:
            Forbidden: the client is on another machine.
            InvalidRequest, NotFound: there is no such sound.
        """
        return await with_named_sounds(request, self._allowed(context))

    # --- the map

    def _go(self, context: Context, **changed: Any) -> None:
        """Play a place; coordinates that are not named stay."""
        self._allowed(context)
        place = Place(x=self._map.place.x, y=self._map.place.y, panic_count=context.panic_count)

        def answer(what: MapVoice | AudioLDMError) -> None:
            if isinstance(what, AudioLDMError):
                self._service.report(context.client, what, MapXY.address)
                return
            path = shown_path(what.sample.path)
            playing = MapPlaying(what.sample.row, path, what.voice, what.frame % 2**31)
            self._service.reply(context.client, playing)

        self._map.go(msgspec.structs.replace(place, **changed), answer)

    # --- pads

    async def _pad_sounds(self, command: PadSounds, context: Context) -> None:
        paths = [await self._path_of(sound, context) for sound in command.sounds]
        report = await self._stage.pads.put(pad_named(command.pad), paths)
        self._service.reply(context.client, pad_state(report))

    async def _path_of(self, sound: int | str, context: Context) -> Path:
        if isinstance(sound, str):
            return self._folders.file(sound, anywhere=context.client.sender.is_local)
        return (await self._allowed(context).sample(sound)).path

    # --- folders and search

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
