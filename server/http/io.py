"""Bodies and queries to values, values and errors to answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final, TypeVar

import msgspec
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from server.errors import AudioLDMError, InvalidRequest, TooLarge
from server.http.access import Caller
from server.http.views import ErrorBody, ErrorView
from server.json_errors import NOT_JSON, without_bom
from server.requests.explain import explain

__all__ = [
    "MAX_JSON_BYTES",
    "answer",
    "as_json",
    "body",
    "body_chunks",
    "client_of",
    "error_answer",
    "query",
]

T = TypeVar("T")

MAX_JSON_BYTES: Final = 256 * 1024
_RETRY_AFTER_S: Final = {429: "2", 503: "5"}


def client_of(connection: HTTPConnection) -> Caller:
    """The client that the access middleware has identified."""
    client: Caller = connection.scope["state"]["client"]
    return client


async def body(request: Request, kind: type[T]) -> T:
    """The JSON body as ``kind``.

    Raises:
        InvalidRequest: not JSON, or not a valid ``kind``.
        TooLarge: more than 256 KiB.
    """
    data = bytearray()
    async for chunk in body_chunks(request, MAX_JSON_BYTES):
        data += chunk
    try:
        values = msgspec.json.decode(without_bom(bytes(data)))
    except NOT_JSON as error:
        raise InvalidRequest(f"the body is not JSON: {error}") from error
    return _converted(values, kind, "body")


async def body_chunks(request: Request, max_bytes: int) -> AsyncIterator[bytes]:
    """The body in chunks as it arrives.

    Raises:
        TooLarge: it is longer than ``max_bytes``, or says that it will be.
    """
    announced = request.headers.get("content-length", "0")
    size = 0
    if announced.isdigit() and int(announced) > max_bytes:
        raise TooLarge(f"a body of {announced} bytes; at most {max_bytes} are taken")
    async for chunk in request.stream():
        size += len(chunk)
        if size > max_bytes:
            raise TooLarge(f"the body has more than {max_bytes} bytes")
        yield chunk


def query(connection: HTTPConnection, kind: type[T]) -> T:
    """The query string as ``kind``.

    Raises:
        InvalidRequest: unknown names, values out of range.
    """
    return _converted(dict(connection.query_params), kind, "query", strict=False)


def _converted(values: Any, kind: type[T], source: str, *, strict: bool = True) -> T:
    try:
        return msgspec.convert(values, kind, strict=strict)
    except msgspec.ValidationError as error:
        is_struct = isinstance(kind, type) and issubclass(kind, msgspec.Struct)
        kinds = (kind,) if is_struct else ()
        raise InvalidRequest(f"the {source}: {explain(error, values, *kinds)}") from error


def as_json(value: Any) -> bytes:
    """``value`` as JSON; paths are text."""
    return msgspec.json.encode(value, enc_hook=str)


def answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """``value`` as JSON."""
    return Response(as_json(value), status, headers, media_type="application/json")


def error_answer(error: AudioLDMError) -> Response:
    """``error`` as an answer: its status, its code and its sentence."""
    headers = {}
    if error.status in _RETRY_AFTER_S:
        headers["Retry-After"] = _RETRY_AFTER_S[error.status]
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return answer(ErrorBody(ErrorView(error.code, str(error))), error.status, headers)
