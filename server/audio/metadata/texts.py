"""Names, comments and recipes among the metadata, and where each format keeps them.

A recipe has two places, because programs differ in what they keep: the comment, and a field of
its own (in WAV the ``USER`` part of iXML, in FLAC a Vorbis comment). A comment that came with a
clip stays.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from typing import Final

from server.audio.metadata.flac import Comments
from server.audio.metadata.riff import Chunk, joined, parts

__all__ = [
    "RECIPE_COMMENT",
    "commented",
    "info_of",
    "is_recipe",
    "recipe_in_ixml",
    "with_info",
    "with_recipe_in_ixml",
]

RECIPE_COMMENT: Final = "AUDIOLDM_RECIPE"
_COMMENT_OF: Final = {
    b"INAM": "TITLE",
    b"IART": "ARTIST",
    b"IPRD": "ALBUM",
    b"ICMT": "COMMENT",
    b"ICOP": "COPYRIGHT",
    b"ICRD": "DATE",
    b"IGNR": "GENRE",
    b"ITRK": "TRACKNUMBER",
    b"ISFT": "ENCODER",
    b"ILNG": "LANGUAGE",
    b"IBPM": "BPM",
}
_INFO_OF: Final = {name: id for id, name in _COMMENT_OF.items()} | {
    "DESCRIPTION": b"ICMT",
    "SOFTWARE": b"ISFT",
    "LICENSE": b"ICOP",
}
_IXML: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<BWFXML><IXML_VERSION>2.0</IXML_VERSION>{}</BWFXML>\n'
)
_ELEMENT: Final = f"<USER><{RECIPE_COMMENT}>{{}}</{RECIPE_COMMENT}></USER>"
_ELEMENT_FOUND: Final = re.compile(
    rf"<USER><{RECIPE_COMMENT}>([^<]*)</{RECIPE_COMMENT}></USER>".encode()
)
_ROOT_END: Final = b"</BWFXML>"


def is_recipe(text: str) -> bool:
    """True for a recipe of ours, which the next one replaces."""
    return text.startswith("{") and '"request"' in text and '"model_digest"' in text


def info_of(chunks: Iterable[Chunk]) -> list[Chunk]:
    """The entries of all ``LIST`` chunks of type ``INFO``."""
    lists = (chunk.data for chunk in chunks if _is_info(chunk))
    return [entry for data in lists for entry in parts(data[4:])]


def with_info(chunks: tuple[Chunk, ...], comments: Comments, recipe: str) -> tuple[Chunk, ...]:
    """``chunks`` with one ``INFO`` list: their own entries, then ``comments`` and ``recipe``."""
    entries = [entry for entry in info_of(chunks) if not is_recipe(_text(entry))]
    known = {entry.id for entry in entries}
    for name, text in comments:
        id = _INFO_OF.get(name)
        if id is not None and id not in known and not is_recipe(text):
            entries.append(_entry(id, text))
            known.add(id)
    if recipe and b"ICMT" not in known:
        entries.append(_entry(b"ICMT", recipe))
    others = tuple(chunk for chunk in chunks if not _is_info(chunk))
    return (*others, Chunk(b"LIST", b"INFO" + joined(entries))) if entries else others


def commented(chunks: tuple[Chunk, ...], comments: Comments, recipe: str) -> Comments:
    """``comments``, those that ``chunks`` hold, and ``recipe``, for a FLAC file."""
    own = [pair for pair in comments if pair[0] != RECIPE_COMMENT and not is_recipe(pair[1])]
    named = {name for name, _ in own}
    for entry in info_of(chunks):
        name, text = _COMMENT_OF.get(entry.id, ""), _text(entry)
        if name and name not in named and not is_recipe(text):
            own.append((name, text))
            named.add(name)
    if recipe:
        own += [] if "COMMENT" in named else [("COMMENT", recipe)]
        own.append((RECIPE_COMMENT, recipe))
    return tuple(own)


def comment_texts(chunks: Iterable[Chunk]) -> Iterator[str]:
    """The comments of a RIFF file, and the recipe in its iXML."""
    for chunk in chunks:
        if _is_info(chunk):
            yield from (_text(e) for e in parts(chunk.data[4:]) if e.id == b"ICMT")
        elif chunk.id == b"iXML":
            yield recipe_in_ixml(chunk.data)


def recipe_in_ixml(data: bytes) -> str:
    """The recipe in an iXML document; empty where there is none."""
    found = _ELEMENT_FOUND.search(data)
    return html.unescape(found[1].decode("utf-8", "replace")) if found else ""


def with_recipe_in_ixml(chunks: tuple[Chunk, ...], recipe: str) -> tuple[Chunk, ...]:
    """``chunks`` with ``recipe`` in their iXML document, which is made where there is none.

    A document of another program is changed only where the comment has no room for the recipe.
    """
    if not recipe and not any(_ELEMENT_FOUND.search(c.data) for c in chunks if c.id == b"iXML"):
        return chunks
    element = _ELEMENT.format(html.escape(recipe)).encode() if recipe else b""
    others = tuple(chunk for chunk in chunks if chunk.id != b"iXML")
    document = next((chunk.data for chunk in chunks if chunk.id == b"iXML"), b"")
    foreign = _ELEMENT_FOUND.sub(b"", document)
    if foreign in (b"", _IXML.format("").encode()):
        return (
            (*others, Chunk(b"iXML", _IXML.format(element.decode()).encode())) if recipe else others
        )
    missing = bool(recipe) and not any(is_recipe(text) for text in comment_texts(others))
    if missing and _ROOT_END in foreign:
        foreign = foreign.replace(_ROOT_END, element + _ROOT_END, 1)
    elif missing:
        others = (*others, Chunk(b"LIST", b"INFO" + joined([_entry(b"ICMT", recipe)])))
    return (*others, Chunk(b"iXML", foreign))


def _entry(id: bytes, text: str) -> Chunk:
    return Chunk(id, text.encode() + b"\0")


def _is_info(chunk: Chunk) -> bool:
    return chunk.id == b"LIST" and chunk.data[:4] == b"INFO"


def _text(entry: Chunk) -> str:
    data = entry.data.split(b"\0", 1)[0]
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")
