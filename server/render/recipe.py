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
from server.requests.explain import explain
from server.requests.request import AnyRequest, Vary
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
            return cls.parse(Metadata.read(source).recipe, str(name))
        except OSError as error:
            raise UnreadableAudio(f"{name} cannot be read: {error.strerror}") from error

    @classmethod
    def of_values(cls, values: dict[str, Any]) -> Recipe:
        """The recipe in a request, without what is no part of one.

        Raises:
            InvalidRequest: it is none.
        """
        try:
            recipe = msgspec.convert(values, cls)
        except msgspec.ValidationError as error:
            raise InvalidRequest(f"recipe: {explain(error, values, cls)}") from error
        request = recipe.request
        if not isinstance(request, Vary) or request.recipe is None:
            return recipe
        inner = msgspec.to_builtins(cls.of_values(request.recipe))
        return msgspec.structs.replace(
            recipe, request=msgspec.structs.replace(request, recipe=inner)
        )

    @classmethod
    def parse(cls, text: str, name: str) -> Recipe:
        """The recipe that the file ``name`` carries as ``text``.

        Raises:
            InvalidRequest: it is none.
        """
        try:
            return msgspec.json.decode(text, type=cls)
        except NOT_JSON as error:
            raise InvalidRequest(f"{name} carries no recipe of audioldm-daw") from error
