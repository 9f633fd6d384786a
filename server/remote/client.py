"""The calls that a remote engine makes: one keep-alive connection, everything resumable."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

import msgspec

from server.audio.fence.regular import read_regular
from server.engine.engine import ModelInfo
from server.errors import EngineUnavailable, StorageFull, error_for
from server.http.routes.models import Models
from server.http.views import ErrorBody, JobEvent, JobView, ModelEvent, TakeView
from server.json_errors import NOT_JSON
from server.model.manifest import Manifest
from server.remote.connections import Answer, Connections
from server.store.plan import AddRequest

__all__ = ["RemoteClient"]

T = TypeVar("T")

_SILENCE_S: Final = 40.0
"""The server says something at least every 15 s; after this the connection counts as lost."""
_MAX_CLIP_BYTES: Final = 2**30
_ENDINGS: Final = {"audio/wav": ".wav", "audio/flac": ".flac"}


class _Described(msgspec.Struct, frozen=True):
    """What is read of ``/features``."""

    model: Manifest


class RemoteClient:
    """Speaks to the server at ``url``. Every call raises what the server says, or
    :class:`EngineUnavailable` where it cannot be reached.

    Raises:
        InvalidRequest: ``url`` is none.
    """

    def __init__(self, url: str, token: str = "") -> None:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._http = Connections(url, headers)
        self.url = url

    async def close(self) -> None:
        """Let the connections go."""
        await self._http.close()

    async def manifest(self) -> Manifest:
        """The server's model."""
        return (await self._call("GET", "/features", _Described)).model

    async def submit(self, request: dict[str, Any], key: str) -> JobView:
        """Submit; safe to repeat with the same ``key``."""
        headers = {"idempotency-key": key}
        return await self._call("POST", "/v1/jobs", JobView, request, headers)

    async def job(self, job_id: str) -> JobView:
        """One job."""
        return await self._call("GET", f"/v1/jobs/{job_id}", JobView)

    async def cancel(self, job_id: str) -> JobView:
        """Cancel a job."""
        return await self._call("DELETE", f"/v1/jobs/{job_id}", JobView)

    async def models(self) -> Models:
        """The server's models."""
        return await self._call("GET", "/v1/models", Models)

    async def add_model(self, request: AddRequest) -> ModelInfo:
        """Have the server add a model."""
        return await self._call("POST", "/v1/models", ModelInfo, request)

    async def change_model(self, name: str, what: str) -> ModelInfo:
        """``load`` or ``unload`` a model."""
        path = f"/v1/models/{quote(name, safe='')}/{what}"
        return await self._call("POST", path, ModelInfo)

    async def events(self) -> AsyncIterator[JobEvent | ModelEvent | None]:
        """Everything that happens; None first, when the connection stands, and in silence."""
        try:
            async with self._http.call("GET", "/v1/events", read_s=_SILENCE_S) as answer:
                await _check(answer)
                yield None
                kind: type[JobEvent | ModelEvent] = JobEvent
                async for line in answer.lines():
                    if line.startswith("event: "):
                        kind = ModelEvent if line == "event: model" else JobEvent
                    elif line.startswith("data: "):
                        yield msgspec.json.decode(line[6:], type=kind)
                    elif line.startswith(":"):
                        yield None
        except NOT_JSON as error:
            raise self._stranger(error) from error

    async def upload(self, path: Path) -> str:
        """``path`` as the server knows it; what is there already is not sent again.

        Raises:
            AudioLDMError: the file cannot be read here.
        """
        data = await asyncio.to_thread(read_regular, path, _MAX_CLIP_BYTES)
        digest = hashlib.sha256(data).hexdigest()
        url = f"/v1/uploads/{digest}"
        async with self._http.call("HEAD", url) as there:
            await there.read()
            if there.status == 200:
                return f"upload:{digest}"
            offset = int(there.headers.get("upload-offset", "0")) if there.status == 202 else 0
        headers = {"content-range": f"bytes {offset}-{len(data) - 1}/{len(data)}"}
        async with self._http.call("PUT", url, body=data[offset:], headers=headers) as sent:
            await _check(sent)
        return f"upload:{digest}"

    async def download(self, take: TakeView, part: Path) -> str:
        """Fetch a take into ``part``, on from where it stopped; the ending that its name needs.

        Raises:
            StorageFull: it cannot be written here.
        """
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
            with part.open("ab") as file:
                # Less a byte: behind the last one there is nothing that could be asked for.
                start = max(0, file.tell() - 1)
                file.truncate(start)
                headers = {"range": f"bytes={start}-"} if start else {}
                async with self._http.call("GET", take.url, headers=headers) as answer:
                    await _check(answer)
                    if answer.status == 200:
                        file.truncate(0)
                    async for chunk in answer.chunks():
                        file.write(chunk)
                file.flush()
                await asyncio.to_thread(os.fsync, file.fileno())
        except OSError as error:
            raise StorageFull(f"{part} cannot be written: {error.strerror}") from error
        return _ENDINGS.get(answer.headers.get("content-type", ""), ".wav")

    async def preview(self, url: str) -> bytes:
        """The WAV file of a preview.

        Raises:
            NotFound: its job has ended.
        """
        async with self._http.call("GET", url) as answer:
            return await _checked(answer)

    async def _call(
        self,
        method: str,
        path: str,
        kind: type[T],
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> T:
        content = b"" if body is None else msgspec.json.encode(body)
        head = {"content-type": "application/json"} if content else {}
        head |= headers or {}
        async with self._http.call(method, path, body=content, headers=head) as answer:
            data = await _checked(answer)
        try:
            return msgspec.json.decode(data, type=kind)
        except NOT_JSON as error:
            raise self._stranger(error) from error

    def _stranger(self, error: Exception) -> EngineUnavailable:
        return EngineUnavailable(f"{self.url} is no audioldm-server: {error}")


async def _checked(answer: Answer) -> bytes:
    """The body; raises what the server said."""
    await _check(answer)
    return await answer.read()


async def _check(answer: Answer) -> None:
    """Raise what the server said."""
    if answer.status < 300:
        return
    try:
        error = msgspec.json.decode(await answer.read(), type=ErrorBody).error
    except NOT_JSON:
        raise EngineUnavailable(
            f"{answer.url} answered {answer.status}, not like an audioldm-server"
        ) from None
    raise error_for(error.code, error.message)
