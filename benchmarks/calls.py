"""Cost of one HTTP call: CPU time of the server, and latency.

    python -m benchmarks.calls [--model FOLDER] [--calls 300] [--json FILE]

One client, one connection, one call after the other. CPU time is the process's own (Linux:
/proc), so that it says something on a busy machine too. ``submit`` has the whole life of a job
in it: journal, queue, talk with the worker, events.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.server_process import ServerProcess

__all__ = ["cpu_s", "main"]

_REQUEST = {
    "kind": "text",
    "prompt": "low hum",
    "num_inference_steps": 2,
    "audio_length_in_s": 0.5,
}


def cpu_s(pid: int) -> float:
    """CPU time that a process has used, without its children's."""
    tasks = Path(f"/proc/{pid}/task")
    return sum(int((t / "schedstat").read_text().split()[0]) for t in tasks.iterdir()) / 1e9


class _Caller:
    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)

    def __call__(self, method: str, path: str, body: Any = None) -> bytes:
        content = None if body is None else json.dumps(body)
        self._connection.request(method, path, content)
        answer = self._connection.getresponse()
        data = answer.read()
        assert answer.status < 300, data
        return data

    def measure(self, num: int, method: str, path: str, body: Any = None) -> dict[str, float]:
        """Milliseconds a call."""
        waits_ms = []
        before_s = cpu_s(self._server.pid)
        for _ in range(num):
            started_s = time.perf_counter()
            data = self(method, path, body)
            waits_ms.append(1000 * (time.perf_counter() - started_s))
        if method == "POST":
            self.finish(data)
        used_ms = 1000 * (cpu_s(self._server.pid) - before_s) / num
        return {"cpu": round(used_ms, 2), "wait_median": round(statistics.median(waits_ms), 2)}

    def finish(self, submitted: bytes) -> str:
        """Return a job's id when it is finished."""
        job_id = str(json.loads(submitted)["id"])
        self("GET", f"/v1/jobs/{job_id}/events")
        return job_id


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, default=Path("models/tiny"))
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--json", type=Path, help="write the result here too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = ServerProcess(options.model, Path(folder))
        server.start()
        try:
            call = _Caller(server)
            job = f"/v1/jobs/{call.finish(call('POST', '/v1/jobs', _REQUEST))}"
            num = options.calls
            report = {
                "health": call.measure(num, "GET", "/health"),
                "job": call.measure(num, "GET", job),
                "search": call.measure(num, "GET", "/v1/takes?query=hum&limit=5"),
                "take": call.measure(num, "GET", f"{job}/takes/1"),
                "submit": call.measure(max(1, num // 10), "POST", "/v1/jobs", _REQUEST),
            }
        finally:
            server.stop()
    print(json.dumps(report, indent=1))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
