"""Who may speak to the HTTP interface, over a real socket."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
from server_run import ENDLESS, QUICK, error_of, running_server
from websockets.asyncio.client import connect

from server.http.access import Caller, Gate, TokenFile

pytestmark = pytest.mark.integration


def test_no_page_of_another_site_comes_in(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_server(tiny_folder, tmp_path) as server:
            foreign = {"Origin": "https://evil.example"}
            assert error_of(await server.http.get("/v1/jobs", headers=foreign), 403)
            assert error_of(await server.http.post("/v1/jobs", json=QUICK, headers=foreign), 403)
            rebound = {"Host": "evil.example"}
            assert error_of(await server.http.get("/v1/jobs", headers=rebound), 403)
            own = await server.http.get("/v1/jobs", headers={"Origin": server.url})
            assert own.status_code == 200
            assert "access-control-allow-origin" not in own.headers
            assert own.headers["x-content-type-options"] == "nosniff"
            assert "default-src 'self'" in own.headers["content-security-policy"]
            url = server.url.replace("http", "ws") + "/v1/events"
            with pytest.raises(Exception, match="403"):
                async with connect(url, additional_headers=foreign):
                    pass

    asyncio.run(scenario())


def test_on_the_network_a_token_is_needed_and_clients_see_their_own(
    tiny_folder: Path, tmp_path: Path
) -> None:
    tokens = TokenFile(tmp_path / "tokens.json")
    ann = tokens.add(Caller(name="ann", max_queued=1))
    bob = tokens.add(Caller(name="bob", per_minute=5))
    assert ann not in (tmp_path / "tokens.json").read_text()
    assert (tmp_path / "tokens.json").stat().st_mode & 0o77 == 0
    gate = Gate(TokenFile(tmp_path / "tokens.json"))

    async def scenario() -> None:
        async with running_server(tiny_folder, tmp_path, gate=gate, token=ann) as server:
            job = await server.submit(ENDLESS)
            full = await server.http.post("/v1/jobs", json=QUICK)
            assert "1 jobs of yours" in error_of(full, 429)["message"]
            async with httpx.AsyncClient(base_url=server.url) as other:
                no_token = await other.get("/v1/jobs")
                assert error_of(no_token, 401)["code"] == "unauthorized"
                assert no_token.headers["www-authenticate"] == "Bearer"
                assert (await other.get("/health")).status_code == 200
                assert (await other.get("/panel/")).status_code == 200
                wrong = {"Authorization": f"Bearer {ann[:-1]}"}
                assert error_of(await other.get("/v1/jobs", headers=wrong), 401)
                bobs = {"Authorization": f"Bearer {bob}"}
                assert (await other.get("/v1/jobs", headers=bobs)).json() == []
                url = f"/v1/jobs/{job['id']}"
                assert error_of(await other.get(url, headers=bobs), 404)
                assert error_of(await other.delete(url, headers=bobs), 404)
                await other.get("/v1/jobs", headers=bobs)
                limited = [await other.get("/v1/jobs", headers=bobs) for _ in range(3)]
                assert error_of(limited[-1], 429)["code"] == "rate_limited"
                signed = await other.post("/v1/session", json={"token": ann})
                assert signed.status_code == 204
                assert "HttpOnly" in signed.headers["set-cookie"]
                mine = (await other.get("/v1/jobs")).json()
                assert [j["id"] for j in mine] == [job["id"]]
                assert mine[0]["takes"] == []

    asyncio.run(scenario())
