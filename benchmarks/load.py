"""Many HTTP clients at once: latencies, answers, and fairness between them.

    python -m benchmarks.load --model FOLDER [--clients 64] [--seconds 300] [--json FILE]

Every client has a token of its own and does what people do: submit, ask, follow events,
cancel, download. Reported: answers by status, waiting times of the calls that render nothing,
the CPU time of the server's process a call, its memory over the run, and how many jobs each
client got done. ``lag`` is how late this program itself was woken: that much of the waiting
times is not the server's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import httpx

from benchmarks.calls import cpu_s
from benchmarks.server_process import ServerProcess
from server.http.access import Caller, TokenFile

__all__ = ["Load", "main"]

_ALLOWED = (429, 503)
_TICK_S = 0.02
_REQUEST = {
    "kind": "text",
    "prompt": "low hum",
    "num_inference_steps": 2,
    "audio_length_in_s": 0.5,
}


class Load:
    """One run against a server of its own."""

    def __init__(self, model: Path, folder: Path, num_clients: int, seconds: float) -> None:
        tokens = TokenFile(folder / "state" / "tokens.json")
        self._tokens = [
            tokens.add(Caller(name=f"client{k}", max_queued=4, per_minute=6000))
            for k in range(num_clients)
        ]
        # Open to the network, so that tokens are checked; reached by loopback.
        self._server = ServerProcess(model, folder, "--host", "0.0.0.0", "--max-queued", "64")
        self._seconds = seconds
        self._statuses: Counter[str] = Counter()
        self._waited_s: dict[str, list[float]] = defaultdict(list)
        self._done: Counter[int] = Counter()
        self._memory_mb: list[float] = []
        self._lag_s: list[float] = []
        self._cpu_s = 0.0
        self._until = 0.0

    def run(self) -> dict[str, Any]:
        """Start the server, run all clients, report."""
        self._server.start()
        try:
            before_s = cpu_s(self._server.pid)
            asyncio.run(self._all())
            self._cpu_s = cpu_s(self._server.pid) - before_s
        finally:
            self._server.stop()
        calls = [s for name, waited in self._waited_s.items() for s in waited if name != "submit"]
        done = [self._done[k] for k in range(len(self._tokens))]
        return {
            "clients": len(self._tokens),
            "seconds": self._seconds,
            "statuses": dict(sorted(self._statuses.items())),
            "calls_p50_ms": _quantile(calls, 0.5),
            "calls_p99_ms": _quantile(calls, 0.99),
            "p99_ms": {name: _quantile(w, 0.99) for name, w in sorted(self._waited_s.items())},
            "lag_p99_ms": _quantile(self._lag_s, 0.99),
            "server_cpu_ms_a_call": round(1000 * self._cpu_s / self._statuses.total(), 2),
            "jobs_done": sum(done),
            "jobs_a_client": {
                "least": min(done),
                "median": statistics.median(done),
                "most": max(done),
            },
            "memory_mb": self._memory_mb[:: max(1, len(self._memory_mb) // 10)],
            "faults": self._faults(),
        }

    def _faults(self) -> list[str]:
        return [
            f"{count} answers {status}"
            for status, count in self._statuses.items()
            if status.isdigit() and int(status) >= 500 and int(status) not in _ALLOWED
        ]

    async def _all(self) -> None:
        self._until = time.monotonic() + self._seconds
        watches = [asyncio.create_task(w) for w in (self._watch_memory(), self._watch_lag())]
        await asyncio.gather(*(self._client(k) for k in range(len(self._tokens))))
        for watch in watches:
            watch.cancel()

    async def _client(self, number: int) -> None:
        choice = random.Random(number)
        headers = {"Authorization": f"Bearer {self._tokens[number]}"}
        async with httpx.AsyncClient(
            base_url=self._server.url,
            headers=headers,
            timeout=60,
            trust_env=False,
            verify=False,  # plain HTTP; a TLS context a client would cost seconds
        ) as http:
            await asyncio.sleep(choice.uniform(0.0, 2.0))
            while time.monotonic() < self._until:
                await self._one_job(http, number, choice)
                await asyncio.sleep(choice.uniform(0.1, 1.0))

    async def _one_job(self, http: httpx.AsyncClient, number: int, choice: random.Random) -> None:
        answer = await self._call(http, "submit", "POST", "/v1/jobs", json=_REQUEST)
        if answer is None or answer.status_code != 202:
            await asyncio.sleep(choice.uniform(0.5, 2.0))
            return
        url = f"/v1/jobs/{answer.json()['id']}"
        if choice.random() < 0.15:
            await self._call(http, "cancel", "DELETE", url)
            return
        if choice.random() < 0.3:
            await self._follow(http, f"{url}/events")
        while time.monotonic() < self._until:
            answer = await self._call(http, "poll", "GET", url)
            if answer is None or answer.json().get("state") not in ("queued", "running"):
                break
            await asyncio.sleep(choice.uniform(0.3, 1.0))
        if answer is not None and answer.json().get("state") == "done":
            self._done[number] += 1
            await self._call(http, "download", "GET", answer.json()["takes"][0]["url"])
            await self._call(http, "search", "GET", "/v1/takes?query=hum&limit=5")

    async def _follow(self, http: httpx.AsyncClient, url: str) -> None:
        try:
            async with http.stream("GET", url) as stream:
                async for _ in stream.aiter_lines():
                    if time.monotonic() > self._until:
                        return
        except httpx.HTTPError as error:
            self._statuses[type(error).__name__] += 1

    async def _call(
        self, http: httpx.AsyncClient, name: str, method: str, url: str, **options: Any
    ) -> httpx.Response | None:
        started = time.perf_counter()
        try:
            answer = await http.request(method, url, **options)
        except httpx.HTTPError as error:
            self._statuses[type(error).__name__] += 1
            return None
        self._waited_s[name].append(time.perf_counter() - started)
        self._statuses[str(answer.status_code)] += 1
        return answer

    async def _watch_memory(self) -> None:
        status = Path(f"/proc/{self._server.pid}/status")
        while status.exists():
            for line in status.read_text().splitlines():
                if line.startswith("VmRSS"):
                    self._memory_mb.append(round(int(line.split()[1]) / 1024, 1))
            await asyncio.sleep(1.0)

    async def _watch_lag(self) -> None:
        while True:
            started = time.perf_counter()
            await asyncio.sleep(_TICK_S)
            self._lag_s.append(time.perf_counter() - started - _TICK_S)


def _quantile(seconds: list[float], part: float) -> float:
    ordered = sorted(seconds)
    return round(1000 * ordered[min(len(ordered) - 1, int(part * len(ordered)))], 1)


def main() -> int:
    """Entry point; 1 where the server answered with an error of its own."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="model folder; a small one")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--json", type=Path, help="write the result here too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = Load(options.model, Path(folder), options.clients, options.seconds).run()
    print(json.dumps(result, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return 1 if result["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
