"""Messages about the takes that are kept: find them, name them, put them into folders.

>>> TakesMark.from_osc(["a1", 0, "name", "Sub drop", "kept", 1]).marks.name
'Sub drop'
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Self

import msgspec
from msgspec import Meta

from osc_bridge.messages.arguments import (
    Count,
    EitherId,
    JobId,
    Length,
    TakeIndex,
    TakePath,
    Words,
    named_values,
)
from osc_bridge.messages.message import Command, Message, Reply
from osc_bridge.messages.search import Search, from_pairs, to_pairs
from osc_bridge.wire.codec import Argument, OscMessage
from server.errors import InvalidRequest
from server.jobs.library import TakeMarks, TakeSearch
from server.requests.fields import Field, fields_of

__all__ = [
    "FolderEntry",
    "FoldersListed",
    "TakeEntry",
    "TakesFind",
    "TakesFolders",
    "TakesFound",
    "TakesMark",
]


class TakeEntry(Reply, frozen=True):
    """A take that is kept; the last one that was found is followed by /ldm/takes/found."""

    address: ClassVar[str] = "/ldm/takes/entry"
    job_id: JobId
    take: TakeIndex
    name: Annotated[str, Meta(description="its own name; empty: none")]
    folder: Annotated[str, Meta(description="its folder; empty: none")]
    kept: Annotated[bool, Meta(description="1: a favourite, which is never deleted to make room")]
    prompt: Annotated[Words, Meta(description="its prompt")]
    seconds: Length
    path: TakePath


class TakesFound(Reply, frozen=True):
    """The end of the takes that were found."""

    address: ClassVar[str] = "/ldm/takes/found"
    num_takes: Annotated[Count, Meta(description="number of takes")]


class FolderEntry(Reply, frozen=True):
    """A folder of takes."""

    address: ClassVar[str] = "/ldm/takes/folder"
    folder: Annotated[str, Meta(description="its name, such as drums/kicks")]
    num_takes: Annotated[Count, Meta(description="number of takes in it")]


class FoldersListed(Reply, frozen=True):
    """The end of the folders of takes."""

    address: ClassVar[str] = "/ldm/takes/listed"
    num_folders: Annotated[Count, Meta(description="number of folders")]


class TakesFind(Search, frozen=True):
    """Find takes by words of their prompt or name, by folder and by favourites; newest first."""

    address: ClassVar[str] = "/ldm/takes/find"
    replies: ClassVar[tuple[type[Message], ...]] = (TakeEntry, TakesFound)
    conditions: ClassVar[type[msgspec.Struct]] = TakeSearch
    search: TakeSearch


class TakesFolders(Command, frozen=True):
    """Ask for the folders of takes."""

    address: ClassVar[str] = "/ldm/takes/folders"
    replies: ClassVar[tuple[type[Message], ...]] = (FolderEntry, FoldersListed)


class _Which(msgspec.Struct, frozen=True):
    id: EitherId
    take: TakeIndex


class TakesMark(Command, frozen=True):
    """Name a take, put it into a folder, tag it, or make it a favourite."""

    address: ClassVar[str] = "/ldm/takes/mark"
    positional: ClassVar[int | None] = 2
    replies: ClassVar[tuple[type[Message], ...]] = (TakeEntry,)
    id: EitherId
    take: TakeIndex
    marks: TakeMarks

    @classmethod
    def arguments(cls) -> tuple[Field, ...]:
        """The take by position, its marks as ``name value``."""
        return (*fields_of(_Which), *fields_of(TakeMarks))

    @classmethod
    def usage(cls) -> str:
        """The names of the arguments."""
        return "id take [name value]..."

    @classmethod
    def from_osc(cls, arguments: Sequence[Argument]) -> Self:
        """Parse the arguments.

        Raises:
            InvalidRequest: a name is unknown, or a value is out of range.
        """
        if len(arguments) < 2:
            raise InvalidRequest(f"{cls.address} takes {cls.usage()}; got {len(arguments)}")
        first = {"id": arguments[0], "take": arguments[1]}
        which = from_pairs(cls.address, _Which, first, ())
        pairs = named_values(cls.address, arguments[2:], "the take")
        return cls(which.id, which.take, from_pairs(cls.address, TakeMarks, {}, pairs))

    def to_osc(self) -> OscMessage:
        """The message with the marks that are to change."""
        return OscMessage(self.address, [self.id, self.take, *to_pairs(self.marks)])
