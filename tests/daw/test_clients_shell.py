"""liblo's command-line tools, as clients/README.md shows them."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from running_programs import Instrument, needs, run_program

pytestmark = [pytest.mark.daw, pytest.mark.timeout(60), needs("oscsend", "oscdump", "stdbuf")]


@pytest.fixture
def dump() -> Iterator[tuple[int, Iterator[str]]]:
    """oscdump on a free port: the port, and the lines that it prints."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ("stdbuf", "-oL", "oscdump", str(port))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while f":{port:04X} " not in Path("/proc/net/udp").read_text():
            time.sleep(0.02)  # it does not say when it listens
        yield port, iter(process.stdout)
        process.terminate()


def _send(instrument: Instrument, *words: object) -> None:
    run_program(("oscsend", "127.0.0.1", str(instrument.port), *map(str, words)))


def test_a_prompt_from_a_shell_is_answered_at_the_named_port(
    instrument: Instrument, dump: tuple[int, Iterator[str]]
) -> None:
    port, lines = dump
    prompt = ("/ldm/text", "sssi", "shell-1", "low hum of a shell", "reply_port", port)
    _send(instrument, *prompt)
    told = []
    for line in lines:
        told.append(line.split(maxsplit=2)[1])
        if told[-1] in ("/ldm/job/done", "/ldm/job/fail"):
            break
    assert told[:2] == ["/ldm/job/received", "/ldm/job/accepted"]
    assert told[-2:] == ["/ldm/take", "/ldm/job/done"]
