"""schemathesis against a running server: every operation of its OpenAPI document.

Half of the cases follow the document, half break it. No answer may be a 5xx; status, media type,
headers and body must be those that the document names; what breaks the document must be refused.
"""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import Any, Final

import numpy as np
import requests
import schemathesis
import soundfile
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi.checks import positive_data_acceptance

from benchmarks.server_process import ServerProcess

__all__ = ["fuzz_api"]

_STREAMS: Final = ("/v1/events", "/v1/jobs/{job_id}/events")
"""Streams without an end; tests/server/http/test_http.py tests them."""
_EXCLUDED: Final = [positive_data_acceptance]
"""A request may be refused though each value is in its range: regions that overlap, say."""
_ROUND: Final = 60
"""Cases of one operation before the next operation."""


@schemathesis.serializer("audio/*")
def _bytes(_: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def fuzz_api(model: Path, folder: Path, cases: int, start: int = 0) -> dict[str, Any]:
    """At least ``cases`` calls of a server of its own in ``folder``, spread over all operations;
    ``start`` is the first seed.

    Raises what schemathesis raises: the smallest call that was answered wrongly.
    """
    load_all_checks()
    server = ServerProcess(model, folder, "--max-queued", "16", "--max-upload-mb", "1")
    server.start()
    try:
        with requests.Session() as session:
            report = _Run(server.url, session).rounds(cases, start)
    finally:
        server.stop()
    assert "Traceback" not in server.log(), server.log()
    return report


class _Run:
    def __init__(self, url: str, session: requests.Session) -> None:
        self._url = url
        self._session = session
        self._statuses: Counter[str] = Counter()
        self._known: dict[str, Any] = {}
        schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
        self._operations = [
            found.ok() for found in schema.exclude(path=list(_STREAMS)).get_all_operations()
        ]

    def rounds(self, cases: int, start: int) -> dict[str, Any]:
        modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
        each = min(_ROUND, max(2, cases // (len(self._operations) * len(modes))))
        while self._statuses.total() < cases:
            self._make_things()
            for operation in self._operations:
                for mode in modes:
                    if mode.is_positive or _can_be_wrong(operation):
                        self._one(operation, mode, _share(each, operation), start)
            start += 1
        return {
            "operations": len(self._operations),
            "cases": self._statuses.total(),
            "statuses": dict(sorted(self._statuses.items())),
            "next_start": start,
        }

    def _one(self, operation: APIOperation, mode: GenerationMode, cases: int, start: int) -> None:
        @seed(start)
        @settings(
            max_examples=cases,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            verbosity=Verbosity.quiet,
        )
        @given(case=operation.as_strategy(generation_mode=mode), real=st.booleans())
        def call(case: Case, real: bool) -> None:
            if real and mode.is_positive:
                self._make_real(case)
            answer = case.call(base_url=self._url, session=self._session, timeout=60)
            self._statuses[f"{operation.method.upper()} {answer.status_code}"] += 1
            case.validate_response(answer, excluded_checks=_EXCLUDED)

        call()
        self._tidy()

    def _make_things(self) -> None:
        """A finished job and a clip, so that some ids exist."""
        request = {"kind": "text", "prompt": "hum", "num_inference_steps": 2}
        job = self._session.post(f"{self._url}/v1/jobs", json=request).json()
        self._session.get(f"{self._url}/v1/jobs/{job['id']}/events")
        clip = io.BytesIO()
        soundfile.write(clip, np.zeros(800), 16000, format="WAV")
        upload = self._session.post(f"{self._url}/v1/uploads", data=clip.getvalue()).json()
        self._known = {"job_id": job["id"], "number": 1, "upload_id": upload["id"]}

    def _make_real(self, case: Case) -> None:
        """Replace generated ids by existing ones."""
        known = self._known
        case.path_parameters |= {n: known[n] for n in known if n in case.path_parameters}
        if isinstance(case.body, dict) and "kind" in case.body:
            for name in ("model", "audio_prompt"):
                case.body.pop(name, None)
            if "clip" in case.body:
                case.body["clip"] = f"upload:{known['upload_id']}"

    def _tidy(self) -> None:
        """Cancel what was accepted, so that the next requests find room."""
        for state in ("queued", "running"):
            for job in self._session.get(f"{self._url}/v1/jobs?state={state}").json():
                self._session.delete(f"{self._url}/v1/jobs/{job['id']}")


def _share(cases: int, operation: APIOperation) -> int:
    """Fewer cases for uploads, which each decode in a process of their own."""
    return max(1, cases // 10) if operation.label == "POST /v1/uploads" else cases


def _can_be_wrong(operation: APIOperation) -> bool:
    """False for operations without a body or query whose ids may be any text."""
    described = operation.definition.raw
    body = described.get("requestBody", {}).get("content", {})
    parameters = [p for p in described["parameters"] if p["in"] != "header"]
    return "application/json" in body or any(p["schema"] != {"type": "string"} for p in parameters)
