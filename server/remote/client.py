"""The calls that a remote engine makes: one keep-alive connection, everything resumable."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from server.audio.fence.regular import read_regular
from server.engine.engine import ModelInfo
from server.errors import EngineUnavailable, InvalidRequest, StorageFull, error_for
from server.http.routes.models import Models
from server.http.views import ErrorBody, JobEvent, JobView, ModelEvent, TakeView
from server.json_errors import NOT_JSON
from server.model.manifest import Manifest
from server.store.plan import AddRequest

__all__ = ["RemoteClient"]

T = TypeVar("T")

_TIMEOUT: Final = httpx.Timeout(10.0, read=60.0, pool=60.0)
_SILENCE_S: Final = 40.0
"""The server says something at least every 15 s; after this the connection counts as lost."""
_MAX_CLIP_BYTES: Final = 2**30
_CHUNK_BYTES: Final = 256 * 1024
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
        if not url.startswith(("http://", "https://")):
            raise InvalidRequest(f"engine {url!r}: expected http://HOST:PORT")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # Without TLS there is nothing to verify, and reading the system's certificates takes long.
        verify = url.startswith("https://")
        self._http = httpx.AsyncClient(
            base_url=url, headers=headers, timeout=_TIMEOUT, trust_env=False, verify=verify
        )
        self.url = url

    async def close(self) -> None:
        """Let the connections go."""
        await self._http.aclose()

    async def manifest(self) -> Manifest:
        """The server's model."""
        return (await self._call("GET", "/features", _Described)).model

    async def submit(self, request: dict[str, Any], key: str) -> JobView:
        """Submit; safe to repeat with the same ``key``."""
        headers = {"Idempotency-Key": key}
        return await self._call("POST", "/v1/jobs", JobView, json=request, headers=headers)

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
        return await self._call("POST", "/v1/models", ModelInfo, json=msgspec.to_builtins(request))

    async def change_model(self, name: str, what: str) -> ModelInfo:
        """``load`` or ``unload`` a model."""
        path = f"/v1/models/{quote(name, safe='')}/{what}"
        return await self._call("POST", path, ModelInfo)

    async def events(self) -> AsyncIterator[JobEvent | ModelEvent | None]:
        """Everything that happens; None first, when the connection stands, and in silence."""
        timeout = httpx.Timeout(10.0, read=_SILENCE_S)
        try:
            async with self._http.stream("GET", "/v1/events", timeout=timeout) as response:
                await _check(response)
                yield None
                kind: type[JobEvent | ModelEvent] = JobEvent
                async for line in response.aiter_lines():
                    if line.startswith("event: "):
                        kind = ModelEvent if line == "event: model" else JobEvent
                    elif line.startswith("data: "):
                        yield msgspec.json.decode(line[6:], type=kind)
                    elif line.startswith(":"):
                        yield None
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        except NOT_JSON as error:
            raise EngineUnavailable(f"{self.url} is no audioldm-server: {error}") from error

    async def upload(self, path: Path) -> str:
        """``path`` as the server knows it; what is there already is not sent again.

        Raises:
            AudioLDMError: the file cannot be read here.
        """
        data = await asyncio.to_thread(read_regular, path, _MAX_CLIP_BYTES)
        digest = hashlib.sha256(data).hexdigest()
        url = f"/v1/uploads/{digest}"
        there = await self._send("HEAD", url)
        if there.status_code == 200:
            return f"upload:{digest}"
        offset = int(there.headers.get("upload-offset", "0")) if there.status_code == 202 else 0
        headers = {"Content-Range": f"bytes {offset}-{len(data) - 1}/{len(data)}"}
        sent = await self._send("PUT", url, content=data[offset:], headers=headers)
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
                headers = {"Range": f"bytes={start}-"} if start else {}
                async with self._http.stream("GET", take.url, headers=headers) as response:
                    await _check(response)
                    if response.status_code == 200:
                        file.truncate(0)
                    async for chunk in response.aiter_bytes(_CHUNK_BYTES):
                        file.write(chunk)
                file.flush()
                await asyncio.to_thread(os.fsync, file.fileno())
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        except OSError as error:
            raise StorageFull(f"{part} cannot be written: {error.strerror}") from error
        return _ENDINGS.get(response.headers.get("content-type", ""), ".wav")

    async def preview(self, url: str) -> bytes:
        """The WAV file of a preview.

        Raises:
            NotFound: its job has ended.
        """
        response = await self._send("GET", url)
        await _check(response)
        return response.content

    async def _call(self, method: str, path: str, kind: type[T], **options: Any) -> T:
        response = await self._send(method, path, **options)
        await _check(response)
        try:
            return msgspec.json.decode(response.content, type=kind)
        except NOT_JSON as error:
            raise EngineUnavailable(f"{self.url} is no audioldm-server: {error}") from error

    async def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            return await self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: httpx.HTTPError) -> EngineUnavailable:
        return EngineUnavailable(f"{self.url}: {str(error) or type(error).__name__}")


async def _check(response: httpx.Response) -> None:
    """Raise what the server said."""
    if response.is_success:
        return
    content = await response.aread()
    try:
        error = msgspec.json.decode(content, type=ErrorBody).error
    except NOT_JSON:
        raise EngineUnavailable(
            f"{response.url} answered {response.status_code}, not like an audioldm-server"
        ) from None
    raise error_for(error.code, error.message)
