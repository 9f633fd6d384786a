"""Every route and every upgrade asks the same question: who are you?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from memory_engine import MemoryEngine
from strangers import EVIL, paths_of, status_of

from osc_bridge.bridge import OscBridge
from osc_bridge.oscquery.app import OscQuery
from server.config import Config
from server.http.access import Caller, Gate, TokenFile
from server.http.app import HttpApi
from server.http.server import serving
from server.http.streams import StreamSlots
from server.jobs.uploads import Uploads
from server.model.manifest import Manifest

pytestmark = pytest.mark.integration

OPEN = ("/health", "/ready", "/openapi.json", "/panel", "/v1/session")
NO_ROUTE = [("TRACE", "/"), ("OPTIONS", "/v1/jobs"), ("GET", "/nothing"), ("FROBNICATE", "/ldm")]
UPGRADES = [("WS", path) for path in ("/", "/ldm", "/v1/jobs", "/panel/", "/health", "/nothing")]


@asynccontextmanager
async def daw(
    tiny_folder: Path, folder: Path, gate: Gate
) -> AsyncIterator[tuple[int, list[tuple[str, str]]]]:
    """audioldm-daw's HTTP side: its port, and all that can be asked there."""
    engine = MemoryEngine(Manifest.load(tiny_folder), folder / "takes")
    config = Config(osc_port=0, takes_folder=str(folder / "takes"), state_folder=str(folder))
    await engine.start()
    async with OscBridge(engine, config) as bridge:
        api = HttpApi(
            engine,
            Uploads(folder / "uploads", 2**20),
            gate=gate,
            extra_routes=OscQuery(bridge).routes,
            streams=StreamSlots(4),
        )
        async with serving(api.app, "127.0.0.1", 0) as port:
            yield port, [*paths_of(api.routes), *NO_ROUTE, *UPGRADES]
            api.close()
    await engine.close()


def is_open(method: str, path: str) -> bool:
    return method != "WS" and any(path == p or path.startswith(f"{p}/") for p in OPEN)


def test_on_the_network_nobody_comes_in_without_a_token(tiny_folder: Path, tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path / "tokens.json")
    token = tokens.add(Caller(name="ann"))

    async def scenario() -> None:
        async with daw(tiny_folder, tmp_path, Gate(tokens)) as (port, asked):
            assert len(asked) > 35
            for method, path in asked:
                status = await status_of(port, method, path)
                assert (status == 401) is not is_open(method, path), (method, path, status)
                wrong = await status_of(port, method, path, Authorization="Bearer no")
                assert wrong == status, (method, path)
                rebound = {"Host": EVIL, "Origin": f"http://{EVIL}"}
                assert await status_of(port, method, path, **rebound) == status, (method, path)
                for origin in (f"https://{EVIL}", "null", f"http://127.0.0.1:{port}.{EVIL}"):
                    for header in ({}, {"Cookie": f"audioldm_token={token}"}):
                        got = await status_of(port, method, path, Origin=origin, **header)
                        assert got == 403, (method, path, origin)
            assert await status_of(port, "GET", "/", Accept="text/html") == 307
            assert await status_of(port, "GET", "/", Accept="text/html", Origin="null") == 403
            bearer = {"Authorization": f"Bearer {token}"}
            assert await status_of(port, "GET", "/ldm", **bearer) == 200
            assert await status_of(port, "WS", "/", **bearer) == 101
            assert await status_of(port, "WS", "/v1/events", **bearer) == 101

    asyncio.run(scenario())


def test_on_loopback_no_page_of_another_site_comes_in(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with daw(tiny_folder, tmp_path, Gate(None)) as (port, asked):
            for method, path in asked:
                for headers in (
                    {"Origin": f"https://{EVIL}"},
                    {"Origin": "null"},
                    {"Host": EVIL},
                    {"Host": f"{EVIL}:{port}", "Origin": f"http://{EVIL}:{port}"},
                    {"Host": "", "Origin": ""},
                ):
                    got = await status_of(port, method, path, **headers)
                    assert got == 403, (method, path, headers)
            assert await status_of(port, "WS", "/", Origin=f"http://127.0.0.1:{port}") == 101
            assert await status_of(port, "GET", "/ldm") == 200

    asyncio.run(scenario())


def test_streams_and_websockets_are_counted(tiny_folder: Path, tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path / "tokens.json")
    ann, bob = tokens.add(Caller(name="ann")), tokens.add(Caller(name="bob"))

    async def opened(port: int, path: str, token: str) -> tuple[int, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        )
        return int((await reader.readline()).split()[1]), writer

    async def scenario() -> None:
        async with daw(tiny_folder, tmp_path, Gate(tokens)) as (port, _):
            status, kept = await opened(port, "/v1/events", ann)
            assert status == 200
            bearer = {"Authorization": f"Bearer {ann}"}
            assert await status_of(port, "WS", "/v1/events", **bearer) == 429
            assert await status_of(port, "WS", "/", **bearer) == 429
            assert await status_of(port, "GET", "/v1/events", **bearer) == 429
            other = {"Authorization": f"Bearer {bob}"}
            assert await status_of(port, "WS", "/v1/events", **other) == 101
            kept.transport.abort()
            await asyncio.gather(kept.wait_closed(), return_exceptions=True)
            await asyncio.sleep(0.3)
            assert await status_of(port, "WS", "/v1/events", **bearer) == 101

    asyncio.run(scenario())
