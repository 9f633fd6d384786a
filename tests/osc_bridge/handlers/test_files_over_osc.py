"""Files through OSC: every byte arrives, or a sentence says why not."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from memory_engine import MemoryEngine
from running_bridge import RunningBridge

from osc_bridge.client.client import Client
from osc_bridge.messages.files import CHUNK_BYTES, DownloadGet, UploadChunk, UploadStart
from server.audio.waveform import Waveform
from server.errors import Conflict, Forbidden, InvalidRequest, NotFound

pytestmark = pytest.mark.integration

Running = RunningBridge[MemoryEngine]


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, 100_000).astype(np.float32)
    path = tmp_path / "loop.wav"
    path.write_bytes(Waveform.mono(noise, 48000).encode("wav24"))
    return path


def start(data: bytes, upload_id: str = "u", name: str = "a.wav") -> UploadStart:
    return UploadStart(upload_id, name, len(data), hashlib.sha256(data).hexdigest())


def ask(client: Client, message: UploadStart | UploadChunk | DownloadGet) -> tuple[object, ...]:
    return client.query(message.address, *message.to_osc().arguments)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_up_and_down_again(bridge: Running, sound: Path, takes: Path, transport: str) -> None:
    with bridge.client(transport) as client:
        path = client.upload(sound)
        assert path.read_bytes() == sound.read_bytes()
        assert path.parent == takes / "uploads"
        assert client.download(path) == sound.read_bytes()
        take = client.render("like it", kind="transfer", clip=str(path))[0]
        assert client.download(take.path) == take.path.read_bytes()
    assert list(path.parent.glob(".*")) == []


def test_repeated_chunks_do_no_harm(client: Client, takes: Path) -> None:
    data = os.urandom(2 * CHUNK_BYTES + 10)
    pieces = [data[k : k + CHUNK_BYTES] for k in range(0, len(data), CHUNK_BYTES)]
    for _ in range(2):
        assert ask(client, start(data))[2] == 3
    for index, piece in enumerate(pieces):
        for _ in range(2):
            answer = ask(client, UploadChunk("u", index, piece))
    assert Path(str(answer[1])).read_bytes() == data


def test_two_clients_may_use_the_same_ids(bridge: Running) -> None:
    ours, theirs = os.urandom(100), os.urandom(200)
    with bridge.client() as one, bridge.client() as other:
        ask(one, start(ours))
        ask(other, start(theirs))
        one_path = Path(str(ask(one, UploadChunk("u", 0, ours))[1]))
        other_path = Path(str(ask(other, UploadChunk("u", 0, theirs))[1]))
    assert (one_path.read_bytes(), other_path.read_bytes()) == (ours, theirs)


def test_what_is_wrong_is_said(client: Client, takes: Path) -> None:
    data = os.urandom(CHUNK_BYTES + 10)
    with pytest.raises(NotFound, match="start first"):
        ask(client, UploadChunk("u", 0, data[:CHUNK_BYTES]))
    with pytest.raises(InvalidRequest, match="end it in"):
        ask(client, start(data, name="a.exe"))
    with pytest.raises(InvalidRequest, match="hexadecimal"):
        ask(client, UploadStart("u", "a.wav", 10, "z" * 64))
    ask(client, start(data))
    with pytest.raises(Conflict, match="another file"):
        ask(client, start(data[:-1]))
    with pytest.raises(InvalidRequest, match="before chunk 0"):
        ask(client, UploadChunk("u", 1, data[CHUNK_BYTES:]))
    with pytest.raises(InvalidRequest, match="were expected"):
        ask(client, UploadChunk("u", 0, data[:10]))
    ask(client, UploadChunk("u", 0, data[:CHUNK_BYTES]))
    with pytest.raises(InvalidRequest, match="checksum"):
        ask(client, UploadChunk("u", 1, bytes(10)))
    assert list((takes / "uploads").iterdir()) == []


def test_only_allowed_files_are_sent(client: Client, takes: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.wav"
    secret.write_bytes(b"secret")
    takes.mkdir(exist_ok=True)
    (takes / "link.wav").symlink_to(secret)
    for path in (str(secret), "../secret.wav", "link.wav", "/etc/passwd"):
        with pytest.raises(Forbidden):
            client.download(path)
    with pytest.raises(NotFound, match="not a file"):
        client.download("nothing.wav")
    with pytest.raises(NotFound, match="no download"):
        ask(client, DownloadGet("d", 0))


def test_what_a_client_left_half_sent_is_removed(bridge: Running, takes: Path) -> None:
    with bridge.client("tcp") as client:
        ask(client, start(os.urandom(CHUNK_BYTES + 10)))
        assert len(list((takes / "uploads").iterdir())) == 1
    with bridge.client() as other:
        while list((takes / "uploads").iterdir()):
            other.query("/ldm/ping")
