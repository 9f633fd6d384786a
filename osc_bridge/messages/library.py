"""Messages about the sample library, for clients on this machine.

``/ldm/library/find query [name value]...``: the names are the conditions of a search.

>>> Find.from_osc(["rain:1 + hiss:-0.5", "max_s", 2]).search.max_s
2.0
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

import msgspec
from msgspec import Meta

from osc_bridge.messages.arguments import (
    Count,
    Frame,
    Length,
    RequestId,
    Voice,
    Words,
)
from osc_bridge.messages.message import Command, Message, Reply
from osc_bridge.messages.search import Search
from server.sample_library.query import SampleSearch

__all__ = [
    "Add",
    "Find",
    "FolderReply",
    "Found",
    "InstantPlaying",
    "Pause",
    "Remove",
    "SoundReply",
    "State",
    "Sum",
]

FolderPath = Annotated[
    str, Meta(min_length=1, max_length=4000, description="path of a folder of sounds")
]
NONE_LUFS: Final = -100.0


class FolderReply(Reply, frozen=True):
    """A folder of the library."""

    address: ClassVar[str] = "/ldm/library/folder"
    path: FolderPath
    state: Annotated[
        str, Meta(description="indexed, indexing, waiting, paused, missing or removed")
    ]
    sounds: Annotated[Count, Meta(description="number of sounds")]
    problems: Annotated[Count, Meta(description="number of files that could not be read")]


class Sum(Reply, frozen=True):
    """The whole library; follows its folders."""

    address: ClassVar[str] = "/ldm/library/listed"
    sounds: Annotated[Count, Meta(description="number of sounds")]
    waiting: Annotated[Count, Meta(description="files that are still to be indexed")]
    left_s: Annotated[
        float, Meta(description="estimated time until then; 0: not known", extra={"unit": "s"})
    ]


class SoundReply(Reply, frozen=True):
    """A sound of the library; the last one is followed by /ldm/library/found."""

    address: ClassVar[str] = "/ldm/library/sound"
    id: Annotated[Count, Meta(description="its number in the library")]
    path: Annotated[Words, Meta(description="path of the file")]
    seconds: Length
    bpm: Annotated[float, Meta(description="tempo; 0: none", extra={"unit": "BPM"})]
    note: Annotated[str, Meta(description="note, such as A4; empty: none")]
    lufs: Annotated[
        float, Meta(description=f"loudness; {NONE_LUFS:g}: silence", extra={"unit": "LUFS"})
    ]
    character: Annotated[str, Meta(description="one-shot, loop or empty")]
    similarity: Annotated[float, Meta(description="cosine similarity to the search; 0: no search")]


class Found(Reply, frozen=True):
    """The end of what was found."""

    address: ClassVar[str] = "/ldm/library/found"
    num_sounds: Annotated[Count, Meta(description="number of sounds")]


class InstantPlaying(Reply, frozen=True):
    """What sounds for a request with retrieve: a sound of the library, then the take."""

    address: ClassVar[str] = "/ldm/library/playing"
    request_id: RequestId
    source: Annotated[str, Meta(description="library or generated")]
    voice: Voice
    path: Annotated[Words, Meta(description="path of the file")]
    frame: Frame


class Add(Command, frozen=True):
    """Add a folder to the library; it is indexed in the background."""

    address: ClassVar[str] = "/ldm/library/add"
    replies: ClassVar[tuple[type[Message], ...]] = (FolderReply,)
    path: FolderPath


class Remove(Command, frozen=True):
    """Forget a folder of the library; its files stay."""

    address: ClassVar[str] = "/ldm/library/remove"
    replies: ClassVar[tuple[type[Message], ...]] = (FolderReply,)
    path: FolderPath


class Pause(Command, frozen=True):
    """Stop to index a folder, or go on with it."""

    address: ClassVar[str] = "/ldm/library/pause"
    replies: ClassVar[tuple[type[Message], ...]] = (FolderReply,)
    path: FolderPath
    paused: Annotated[bool, Meta(description="1: stop, 0: go on")] = True


class State(Command, frozen=True):
    """Ask for the folders of the library and how far they are indexed."""

    address: ClassVar[str] = "/ldm/library/state"
    replies: ClassVar[tuple[type[Message], ...]] = (FolderReply, Sum)


class Find(Search, frozen=True):
    """Find sounds of the library by words, by a sound and by measures."""

    address: ClassVar[str] = "/ldm/library/find"
    replies: ClassVar[tuple[type[Message], ...]] = (SoundReply, Found)
    conditions: ClassVar[type[msgspec.Struct]] = SampleSearch
    search: SampleSearch
