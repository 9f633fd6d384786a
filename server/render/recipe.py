"""The recipe of a take, stored in its file so that the file alone can reproduce it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

import server
from server.audio.metadata.carried import Metadata
from server.errors import InvalidRequest, UnreadableAudio
from server.json_errors import NOT_JSON
from server.model.manifest import Manifest
from server.requests.request import AnyRequest
from server.requests.resolved import AnyResolved

__all__ = ["Recipe"]


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """The resolved request of one take, with its own seed, and the model that rendered it."""

    request: AnyRequest
    """Resolved where it is written; a file of another version may leave settings open."""
    model: str
    model_digest: str
    licence: str
    clips: dict[str, str] = {}
    """SHA-256 of each file that the request names."""
    audioldm_daw: str = server.__version__

    @classmethod
    def of(
        cls, request: AnyResolved, manifest: Manifest, clips: Mapping[str, str] | None = None
    ) -> Recipe:
        """The recipe of a take of ``request`` by the model that ``manifest`` describes."""
        values: dict[str, Any] = {
            "request": request,
            "model": manifest.name,
            "model_digest": manifest.digest,
            "licence": manifest.licence,
            "clips": dict(clips or {}),
        }
        return cls(**values)

    def to_json(self) -> str:
        """JSON text for the comment field of an audio file."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def read(cls, source: Path | bytes) -> Recipe:
        """The recipe in the metadata of an audio file.

        Raises:
            UnreadableAudio: the file cannot be read.
            InvalidRequest: no recipe in it.
        """
        name = source if isinstance(source, Path) else "the uploaded clip"
        try:
            return msgspec.json.decode(Metadata.read(source).recipe, type=cls)
        except OSError as error:
            raise UnreadableAudio(f"{name} cannot be read: {error.strerror}") from error
        except NOT_JSON as error:
            raise InvalidRequest(f"{name} carries no recipe of audioldm-daw") from error
