"""A CLAP embedding as a value of a request, for what no single sound file says."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from server.errors import InvalidRequest
from server.requests.explain import explain

__all__ = ["AudioEmbedding"]

_MAX_TEXT: Final = 8192


class AudioEmbedding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An embedding, of which tower, and of what."""

    of: Annotated[str, Meta(max_length=200, description="what it stands for, for people")] = ""
    audio_tower: Annotated[str, Meta(max_length=200, description="the tower that made it")]
    values: Annotated[
        str, Meta(min_length=4, max_length=_MAX_TEXT, description="float16, little-endian, base64")
    ]

    @classmethod
    def of_values(cls, values: dict[str, Any]) -> AudioEmbedding:
        """The embedding in a request.

        Raises:
            InvalidRequest: it is none.
        """
        try:
            embedding = msgspec.convert(values, cls)
        except msgspec.ValidationError as error:
            raise InvalidRequest(f"audio_embedding: {explain(error, values, cls)}") from error
        if len(embedding.data) % 2:
            raise InvalidRequest("audio_embedding: values must be whole float16 numbers")
        return embedding

    @property
    def data(self) -> bytes:
        """The numbers, as float16, little-endian.

        Raises:
            InvalidRequest: they are not base64.
        """
        try:
            return base64.b64decode(self.values, validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidRequest(f"audio_embedding: values must be base64: {error}") from error
