"""The table of routes, and the OpenAPI document made from it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from server import __version__
from server.http.views import ErrorBody

__all__ = ["Operation", "document"]

Handler = Callable[[Request], Awaitable[Response]]

_AUDIO: Final = {"schema": {"type": "string", "format": "binary"}}
_ERRORS: Final = {
    400: "a value is out of range or contradicts another",
    401: "a token is needed",
    403: "not allowed",
    404: "no such thing",
    409: "an id was used before for something else",
    413: "too large",
    415: "not readable as audio",
    429: "the queue is full, or too many requests; see Retry-After",
    500: "it failed here",
    503: "the engine is down or about to stop",
    507: "the disk is full or read-only",
}


@dataclass(frozen=True)
class Operation:
    """One route. Where ``answer`` is None, ``content`` names what is sent."""

    method: str
    path: str
    handler: Handler
    summary: str
    body: type | Any = None
    query: type[msgspec.Struct] | None = None
    answer: type | Any = None
    status: int = 200
    content: str = "application/json"
    body_content: str = "application/json"
    errors: tuple[int, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)
    """Request headers that the route reads, with their purpose."""


def document(operations: Iterable[Operation]) -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    operations = tuple(operations)
    types: list[Any] = [ErrorBody]
    for operation in operations:
        types += [t for t in (operation.body, operation.answer) if t is not None]
    schemas, components = msgspec.json.schema_components(
        types, ref_template="#/components/schemas/{name}"
    )
    of_type = dict(zip(map(repr, types), schemas, strict=True))
    paths: dict[str, Any] = {}
    for operation in operations:
        path = re.sub(r":\w+}", "}", operation.path)
        paths.setdefault(path, {})[operation.method.lower()] = _describe(operation, of_type)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "audioldm-server",
            "version": __version__,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _describe(operation: Operation, of_type: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": operation.handler.__name__,
        "parameters": [*_path_parameters(operation), *_parameters(operation)],
        "responses": {str(operation.status): _answer(operation, of_type)},
    }
    if operation.body is not None:
        content: dict[str, Any] = {"application/json": {"schema": of_type[repr(operation.body)]}}
        if operation.body_content == "multipart/form-data":
            content["multipart/form-data"] = {"schema": {"type": "object"}}
        described["requestBody"] = {"required": True, "content": content}
    elif operation.body_content != "application/json":
        described["requestBody"] = {
            "required": True,
            "content": {operation.body_content: _AUDIO},
        }
    error = {"application/json": {"schema": of_type[repr(ErrorBody)]}}
    for status in sorted({400, 401, 403, 429, *operation.errors}):
        described["responses"][str(status)] = {"description": _ERRORS[status], "content": error}
    return described


def _answer(operation: Operation, of_type: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": operation.summary}
    if operation.answer is not None:
        schema = of_type[repr(operation.answer)]
        answer["content"] = {operation.content: {"schema": schema}}
    elif operation.status != 204:
        answer["content"] = {operation.content: {}}
    return answer


def _path_parameters(operation: Operation) -> list[dict[str, Any]]:
    found = re.findall(r"{(\w+)(?::(\w+))?}", operation.path)
    kinds = {"int": "integer"}
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": kinds.get(kind, "string")},
        }
        for name, kind in found
    ]


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "header", "schema": {"type": "string"}, "description": text}
        for name, text in operation.headers.items()
    ]
    if operation.query is not None:
        schema = msgspec.json.schema(operation.query)
        properties = schema["$defs"][operation.query.__name__]["properties"]
        for name, described in properties.items():
            parameters.append({"name": name, "in": "query", "schema": described})
    return parameters
