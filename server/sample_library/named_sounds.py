"""Sounds of the library in requests: ``library:17``, ``library:nearest``, ``library:FOLDER``.

They become files, or for a folder the mean of its embeddings, before a request is accepted. So a
job, its recipe and other machines need no library.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from server.errors import InvalidRequest
from server.model.noise import GROUNDING_STREAM, generator
from server.requests.audio_embedding import AudioEmbedding
from server.requests.coercion import is_utf8
from server.requests.fields import file_fields
from server.requests.request import AnyRequest
from server.sample_library.library import SampleLibrary
from server.sample_library.query import SampleSearch
from server.sample_library.views import shown_path

__all__ = ["SCHEME", "names_library", "with_named_sounds"]

SCHEME: Final = "library:"
_NEAREST: Final = "nearest"
_DRAWN_FROM: Final = 8
_SHARPNESS: Final = 20.0
"""As for the model's own bank: a near sound is drawn more often than one that is merely close."""


def names_library(request: AnyRequest) -> bool:
    """True where a file of ``request`` is one of the library."""
    return any(getattr(request, f).startswith(SCHEME) for f in file_fields(type(request)))


async def with_named_sounds(request: AnyRequest, library: SampleLibrary | None) -> AnyRequest:
    """``request`` with files in place of the sounds that it names.

    Args:
        request: of a client that may use the library.
        library: None where there is none.

    Raises:
        InvalidRequest: a name cannot be understood, or there is no library.
        NotFound: no such sound, or no sound in the folder.
    """
    like = request.audio_prompt.removeprefix(SCHEME)
    for field in sorted(file_fields(type(request)), key=_nearest_last):
        scheme, named, name = getattr(request, field).partition(SCHEME)
        if scheme or not named:
            continue
        if library is None:
            raise InvalidRequest(f"{field} {SCHEME}{name}: there is no sample library here")
        if name == _NEAREST:
            near = "" if like == _NEAREST else request.audio_prompt or like
            found = {field: _path(await _nearest(request, near, library))}
        else:
            found = await _found(field, name, library)
        request = msgspec.structs.replace(request, **found)
    return request


def _nearest_last(field: str) -> bool:
    """What is nearest depends on the sound that it should resemble."""
    return field != "audio_prompt"


async def _found(field: str, name: str, library: SampleLibrary) -> dict[str, Any]:
    """The fields that stand for ``library:name`` in ``field``."""
    if name.isascii() and name.isdigit():
        return {field: _path((await library.sample(int(name))).path)}
    if field != "audio_prompt":
        raise InvalidRequest(
            f"{field} {SCHEME}{name}: name a sound as {SCHEME}ID or {SCHEME}{_NEAREST}"
        )
    tower, mean = await library.centre_of(Path(name))
    values = base64.b64encode(mean.astype("<f2").tobytes()).decode()
    of = shown_path(Path(Path(name).name))[:200]
    embedding = AudioEmbedding(of=of, audio_tower=tower, values=values)
    return {"audio_prompt": "", "audio_embedding": msgspec.to_builtins(embedding)}


async def _nearest(request: AnyRequest, like: str, library: SampleLibrary) -> Path:
    """The sound nearest to the prompt and to ``like``; with a seed one of the eight nearest."""
    search = SampleSearch(query=request.prompt, like=like, limit=_DRAWN_FROM)
    if not search.query.strip() and not like:
        raise InvalidRequest(f"{SCHEME}{_NEAREST} needs a prompt or an audio_prompt")
    found = await library.search(search)
    if not found:
        raise InvalidRequest(f"{SCHEME}{_NEAREST}: the library is empty; add a folder to it")
    if request.seed is None:
        return found[0][0].path
    similarity = np.array([score or 0.0 for _, score in found])
    weights = np.exp(_SHARPNESS * (similarity - similarity.max()))
    drawn = generator(request.seed, GROUNDING_STREAM).choice(len(found), p=weights / weights.sum())
    return found[int(drawn)][0].path


def _path(path: Path) -> str:
    """The path as a value of a request.

    Raises:
        InvalidRequest: it is no text.
    """
    if not is_utf8(str(path)):
        raise InvalidRequest(f"{shown_path(path)}: rename it, its name is not UTF-8")
    return str(path)
