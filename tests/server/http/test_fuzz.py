"""Nonsense in, sentences out: no input ends in a 500, a hang, or a file outside its folder.

``AUDIOLDM_FUZZ=100000`` tries that many cases of each kind instead of a few.
"""

from __future__ import annotations

import asyncio
import io
import os
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.audio.fence.checks import decode_clip
from server.engine.local import LocalEngine
from server.errors import AudioLDMError, UnreadableAudio
from server.http.app import HttpApi
from server.jobs.journal import Journal
from server.jobs.uploads import Uploads
from server.requests.request import parse_request

pytestmark = pytest.mark.integration

CASES = int(os.environ.get("AUDIOLDM_FUZZ", "40"))
many = settings(
    max_examples=CASES,
    deadline=None,
    derandomize=CASES <= 1000,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

FIELDS = [
    *("kind", "prompt", "negative_prompt", "seed", "num_inference_steps", "guidance_scale"),
    *("clip", "regions", "strength", "audio_length_in_s", "delivery", "sample_rate", "bpm"),
]
texts = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["text", "inpaint", "transfer", "vary", "a:0.5 + b:0.5", "upload:" + "0" * 64]),
    st.sampled_from(["../../etc/passwd", "take:x/1", "take:a/99999999999999999999", "1:2", "\0"]),
)
plain = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), texts, st.sampled_from([-1, 0, 2**63])
)
values = st.recursive(
    plain,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(FIELDS), texts), inner, max_size=6),
    ),
    max_leaves=12,
)
requests = st.fixed_dictionaries(
    {"kind": st.one_of(st.sampled_from(["text", "inpaint", "transfer", "morph"]), values)},
    optional={name: values for name in FIELDS if name != "kind"},
)


class Talk:
    """The application without a worker: accepting jobs is refused, everything before is real."""

    def __init__(self, model: Path, folder: Path) -> None:
        journal = Journal(folder / "state" / "journal.sqlite3")
        journal.load()
        self.folder = folder
        self._engine = LocalEngine(model, folder / "takes", journal=journal)
        uploads = Uploads(folder / "state" / "uploads", 2**20)
        self._api = HttpApi(self._engine, uploads, journal=journal)
        self._runner = asyncio.Runner()
        transport = httpx.ASGITransport(self._api.app)
        self._http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")

    def ask(self, method: str, url: str, **options: Any) -> httpx.Response:
        """An answer that is no 5xx but "the engine is not running", in the one form of errors."""

        async def call() -> httpx.Response:
            async with asyncio.timeout(30):
                return await self._http.request(method, url, **options)

        answer = self._runner.run(call())
        assert answer.status_code < 500 or answer.status_code == 503, answer.text
        if answer.status_code >= 400 and answer.status_code != 416 and method != "HEAD":
            assert set(answer.json()["error"]) == {"code", "message"}
        return answer

    def close(self) -> None:
        self._api.close()
        self._runner.run(self._http.aclose())
        self._runner.run(self._engine.close())
        self._runner.close()


@pytest.fixture(scope="module")
def talk(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    talk = Talk(tiny_folder, tmp_path_factory.mktemp("fuzz"))
    yield talk
    talk.close()
    inside = {path.name for path in talk.folder.iterdir()}
    assert inside <= {"state", "takes"}


@many
@given(st.one_of(requests, values))
def test_requests_as_values(request: Any) -> None:
    try:
        parse_request(request)
    except AudioLDMError as error:
        assert str(error)  # noqa: PT017 - either outcome is right


@many
@given(content=st.one_of(st.binary(max_size=200), requests.map(lambda r: repr(r).encode())))
def test_bodies(talk: Talk, content: bytes) -> None:
    assert talk.ask("POST", "/v1/jobs", content=content).status_code >= 400


@many
@given(request=requests)
def test_json(talk: Talk, request: Any) -> None:
    import msgspec

    talk.ask("POST", "/v1/jobs", content=msgspec.json.encode(request))


@many
@given(
    head=st.binary(max_size=30),
    name=st.text(string.printable, max_size=20),
    body=st.binary(max_size=300),
    boundary=st.sampled_from(["x", "x" * 71, ""]),
)
def test_forms(talk: Talk, head: bytes, name: str, body: bytes, boundary: str) -> None:
    part = f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode()
    content = head + part + body + b"\r\n--x--\r\n"
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    talk.ask("POST", "/v1/jobs", content=content, headers=headers)


paths = st.lists(
    st.one_of(
        st.sampled_from(
            ["v1", "jobs", "takes", "uploads", "presets", "panel", "..", "%2e%2e", "1"]
        ),
        st.text(string.ascii_letters + string.digits + "._-~%\\", max_size=12),
    ),
    max_size=6,
)


@many
@given(
    method=st.sampled_from(["GET", "HEAD", "PUT", "PATCH", "DELETE"]),
    path=paths,
    query=st.dictionaries(
        st.sampled_from(["limit", "offset", "query", "tag", "kept", "state", "format"]), texts
    ),
    content=st.binary(max_size=50),
    content_range=st.one_of(
        st.none(), st.from_regex(r"\Abytes [0-9]{1,3}-[0-9]{1,3}/[0-9]{1,3}\Z")
    ),
)
def test_paths(
    talk: Talk,
    *,
    method: str,
    path: list[str],
    query: dict[str, str],
    content: bytes,
    content_range: str | None,
) -> None:
    headers = {"Content-Range": content_range} if content_range else {}
    url = "/" + "/".join(path)
    if url in ("/v1/events",):
        return
    try:
        request = httpx.Request(method, f"http://127.0.0.1{url}", params=query)
    except (httpx.InvalidURL, UnicodeError):
        return
    body = content if method in ("PUT", "PATCH") else None
    answer = talk.ask(method, str(request.url), headers=headers, content=body)
    assert b"root:" not in answer.content


SOUNDS = ["WAV", "FLAC", "OGG", "AIFF"]


def sound(container: str) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).normal(0, 0.1, 400)
    soundfile.write(buffer, noise, 8000, format=container)
    return buffer.getvalue()


@many
@given(
    container=st.sampled_from(SOUNDS),
    places=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=8),
    cut=st.floats(0, 1),
)
def test_damaged_sounds(
    tmp_path: Path, container: str, places: list[tuple[float, int]], cut: float
) -> None:
    data = bytearray(sound(container))
    for place, value in places:
        # Headers matter most.
        data[int(place**3 * (len(data) - 1))] = value
    path = tmp_path / "clip"
    path.write_bytes(data[: 1 + int((1 - cut**3) * len(data))])
    try:
        info = decode_clip(path)
    except UnreadableAudio:
        return
    assert 0 < info.seconds <= 3600
    assert 1 <= info.channels <= 64
