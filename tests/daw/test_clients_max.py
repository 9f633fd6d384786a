"""The Max patch as a file: Max itself is not run anywhere in these tests."""

from __future__ import annotations

import json
import runpy
import shlex
from typing import Any

import pytest
from running_programs import CLIENTS

from osc_bridge.addresses import TABLE
from osc_bridge.submissions import Submission

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


def test_its_messages_are_understood(patcher: dict[str, Any]) -> None:
    texts = [entry["box"].get("text", "") for entry in patcher["boxes"]]
    messages = [text for text in texts if text.startswith("/ldm/")]
    assert [text.split()[0] for text in messages] == ["/ldm/text", "/ldm/inpaint"]
    for text in messages:
        for argument, value in enumerate(("id-1", "'a prompt'", "'/a clip.wav'", "1.0:2.5"), 1):
            text = text.replace(f"${argument}", value)  # noqa: PLW2901
        address, *words = shlex.split(text)
        assert words[-2] == "reply_port"
        command = TABLE.command(address)
        assert issubclass(command, Submission)
        arguments = [int(word) if word.isdigit() else word for word in words[:-2]]
        assert command.from_osc(arguments).request.prompt == "a prompt"


def test_addresses_it_routes_are_replies(patcher: dict[str, Any]) -> None:
    texts = [entry["box"].get("text", "") for entry in patcher["boxes"]]
    routed = next(text for text in texts if text.startswith("route /ldm")).split()[1:]
    assert set(routed) <= {reply.address for reply in TABLE.replies}
