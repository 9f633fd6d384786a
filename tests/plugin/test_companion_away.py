"""The companion is absent, killed, restarted, frozen or of another version: it is said, nothing
hangs, and the audio thread notices none of it."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from companion import Companion, free_port
from probe import Probe

AWAY, CONNECTED = 2, 1
BLOCK_US = 256 / 48000 * 1e6


def test_absent_is_said_with_the_command(start_probe: Callable[..., Probe]) -> None:
    probe = start_probe(free_port())
    view = probe.until(lambda view: view["connection"] == AWAY, 5)
    assert "start it with: audioldm-daw" in view["companion"]


def test_started_later_it_is_found_and_renders_what_was_asked_for(
    start_probe: Callable[..., Probe], own_companion: Companion
) -> None:
    own_companion.stop()
    probe = start_probe(own_companion.port)
    probe.ask("generate")
    probe.until(lambda view: view["connection"] == AWAY, 5)
    own_companion.start()
    view = probe.until(lambda view: view["takes"])
    assert len(view["takes"]) == 1
    assert view["connection"] == CONNECTED


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_restarted_in_the_middle_of_a_job(
    start_probe: Callable[..., Probe], own_companion: Companion, number: signal.Signals
) -> None:
    probe = start_probe(own_companion.port)
    probe.connected()
    probe.ask("set bars 0")
    probe.ask("set seconds 60")
    probe.ask("generate")
    probe.until(lambda view: view["jobs"])
    own_companion.stop(number)
    probe.until(lambda view: view["connection"] == AWAY, 10)
    assert len(probe.view()["jobs"]) == 1
    own_companion.start()
    view = probe.until(lambda view: view["takes"], 60)
    time.sleep(1)
    assert len(probe.view()["takes"]) == 1, "the same request made no second job"
    assert view["connection"] == CONNECTED


def test_frozen_it_is_said_and_the_audio_never_waits(
    start_probe: Callable[..., Probe], own_companion: Companion
) -> None:
    probe = start_probe(own_companion.port)
    probe.connected()
    probe.generate()
    probe.ask("play 0")
    probe.ask("worst")
    own_companion.send(signal.SIGSTOP)
    for _ in range(20):
        probe.ask("generate")
    view = probe.until(lambda view: view["connection"] == AWAY, 15)
    assert "does not answer" in view["companion"]
    worst, waits = float(probe.ask("worst")), int(probe.ask("waits"))
    print(f"longest block: {worst:.0f} of {BLOCK_US:.0f} microseconds, {waits} waits")
    assert worst < BLOCK_US
    assert waits == 0
    own_companion.send(signal.SIGCONT)
    probe.until(lambda view: len(view["takes"]) == 21, 60)


@contextmanager
def _impostor(version: str) -> Iterator[int]:
    """Something that says it is audioldm-daw, and answers nothing else but pings."""
    with socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(0.2)
        end = threading.Event()

        def text(words: str) -> bytes:
            return words.encode() + b"\0" * (4 - len(words) % 4)

        def answer() -> None:
            while not end.is_set():
                try:
                    packet, sender = server.recvfrom(65536)
                except TimeoutError:
                    continue
                if packet.startswith(b"/ldm/version"):
                    reply = text("/ldm/version.reply") + text(",ss") + text("audioldm-daw")
                    server.sendto(reply + text(version), sender)
                else:
                    # Damaged packets, to be ignored.
                    for damaged in (
                        b"",
                        b"/",
                        b"/x\0\0,i\0\0",
                        b"/ldm/take\0\0\0,sb\0\xff\xff\xff\xff",
                    ):
                        server.sendto(damaged, sender)

        thread = threading.Thread(target=answer)
        thread.start()
        yield int(server.getsockname()[1])
        end.set()
        thread.join()


def test_another_version_is_said(start_probe: Callable[..., Probe]) -> None:
    with _impostor("7.8.9") as port:
        probe = start_probe(port)
        view = probe.until(lambda view: view["connection"] == CONNECTED)
        assert view["other_version"]
        assert "7.8.9" in view["notice"]
        assert "audioldm-daw 7.8.9" in view["companion"]


def test_the_end_never_waits_for_the_companion(
    start_probe: Callable[..., Probe], own_companion: Companion
) -> None:
    probe = start_probe(own_companion.port)
    probe.connected()
    own_companion.send(signal.SIGSTOP)
    probe.ask("generate")
    began = time.monotonic()
    probe.close()
    assert time.monotonic() - began < 2
    probe.close = lambda: None  # type: ignore[method-assign]


def _place(folder: Path, host: str, port: int, token: str = "") -> None:
    path = folder / "config" / "audioldm-daw" / "plugin-companion"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{host}\n{port}\n{token}\n")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_remote_companion_renders_and_the_take_is_fetched(
    start_probe: Callable[..., Probe], companion: Companion, tmp_path: Path, host: str
) -> None:
    _place(tmp_path, host, companion.http_port)
    probe = start_probe()
    probe.connected()
    probe.ask("set bars 1")
    take = probe.generate()
    assert Path(take["path"]).parent == tmp_path / "captures"
    assert take["seconds"] == pytest.approx(2)
    probe.ask(f"edit inpaint {take['number']} 0.5 1")
    edited = probe.until(lambda view: len(view["takes"]) == 2)["takes"][-1]
    assert edited["kind"] == "inpaint"
    probe.ask("preset radio noise")
    probe.until(lambda view: view["num_preset_fields"])
    probe.ask("prompt ")
    probe.ask("generate")
    assert "prompt" in probe.until(lambda view: view["notice"])["notice"]


class _Server(BaseHTTPRequestHandler):
    """A server that wants the token "secret"."""

    def do_GET(self) -> None:
        allowed = self.path == "/health" or self.headers["Authorization"] == "Bearer secret"
        self.send_response(200 if allowed else 401)
        self.end_headers()
        self.wfile.write(b'{"version": "0.1.0"}' if self.path == "/health" else b"[]")

    def log_message(self, *_: object) -> None:
        """Nothing."""


def test_a_remote_companion_wants_its_token(
    start_probe: Callable[..., Probe], tmp_path: Path
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Server) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        _place(tmp_path, "127.0.0.1", server.server_port, "wrong")
        probe = start_probe()
        assert "token" in probe.until(lambda view: view["connection"] == AWAY)["companion"]
        _place(tmp_path, "127.0.0.1", server.server_port, "secret")
        probe.ask("reconnect")
        probe.until(lambda view: view["connection"] == CONNECTED)
        server.shutdown()
        thread.join()
        probe.until(lambda view: view["connection"] == AWAY, 15)
