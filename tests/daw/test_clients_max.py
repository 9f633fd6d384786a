"""The Max patch as a file: Max itself is not run anywhere in these tests."""

from __future__ import annotations

import json
import runpy
import shlex
import socket
from typing import Any

import pytest
from running_programs import CLIENTS, Instrument

from osc_bridge.messages.addresses import TABLE
from osc_bridge.wire.codec import OscMessage, decode, encode

FOLDER = CLIENTS / "max"


@pytest.fixture(scope="module")
def patcher() -> dict[str, Any]:
    return dict(json.loads((FOLDER / "audioldm.maxpat").read_text())["patcher"])


def test_the_file_is_what_the_script_writes() -> None:
    script = runpy.run_path(str(FOLDER / "make_patch.py"))
    assert script["audioldm"]().render() == (FOLDER / "audioldm.maxpat").read_text()


def test_lines_join_ports_that_exist(patcher: dict[str, Any]) -> None:
    boxes = {entry["box"]["id"]: entry["box"] for entry in patcher["boxes"]}
    assert len(boxes) == len(patcher["boxes"])
    for entry in patcher["lines"]:
        source, outlet = entry["patchline"]["source"]
        target, inlet = entry["patchline"]["destination"]
        assert outlet < boxes[source]["numoutlets"], boxes[source]
        assert inlet < boxes[target]["numinlets"], boxes[target]


@pytest.mark.integration
def test_its_messages_are_answered_by_a_running_instrument(
    patcher: dict[str, Any], instrument: Instrument
) -> None:
    """Every message box, filled in as the patch does it: a take comes to the port it names."""
    texts = [entry["box"].get("text", "") for entry in patcher["boxes"]]
    messages = [text for text in texts if text.startswith("/ldm/")]
    assert [text.split()[0] for text in messages] == ["/ldm/text", "/ldm/inpaint"]
    clip = instrument.clip("for max.wav", 1.0, 48000)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as inbox:
        inbox.bind(("127.0.0.1", 0))
        inbox.settimeout(60)
        for number, text in enumerate(messages):
            filled = (f"max-{number}", "'a prompt'", f"'{clip}'", "0.250000:0.500000")
            told = _sent(instrument.port, inbox, text, filled)
            takes = [message.arguments for message in told if message.address == "/ldm/take"]
            assert [take[2] for take in takes] == list(range(4 if number == 0 else 1))
            assert all(isinstance(take[3], str) for take in takes)  # "unpack s s 0 s" in the patch


def _sent(port: int, inbox: socket.socket, text: str, filled: tuple[str, ...]) -> list[OscMessage]:
    """What comes to ``inbox`` up to done; the message goes out from another port, as in Max."""
    for argument, value in enumerate(filled, 1):
        text = text.replace(f"${argument}", value)
    address, *words = shlex.split(text)
    assert words[-2:] == ["reply_port", "9548"]
    words[-1] = str(inbox.getsockname()[1])
    arguments = [int(word) if word.isdigit() else word for word in words]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(encode(OscMessage(address, arguments)), ("127.0.0.1", port))
    told: list[OscMessage] = []
    while not told or told[-1].address != "/ldm/job/done":
        told += [packet.message for packet in decode(inbox.recv(65536))]
        assert told[-1].address not in ("/ldm/error", "/ldm/job/fail"), told[-1]
    return told


def test_addresses_it_routes_are_replies(patcher: dict[str, Any]) -> None:
    texts = [entry["box"].get("text", "") for entry in patcher["boxes"]]
    routed = next(text for text in texts if text.startswith("route /ldm")).split()[1:]
    assert set(routed) <= {reply.address for reply in TABLE.replies}
