"""``audioldm-osc`` and addresses without an answer: what is refused is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import run
from stage_over_osc import Running, loaded

from osc_bridge.client.client import Client
from server.requests.presets import list_presets

pytestmark = pytest.mark.integration


def test_an_unknown_pad_is_said_and_a_known_one_is_hit(
    running: Running, opened: Client, tmp_path: Path
) -> None:
    def osc(*words: str) -> tuple[int, str, str]:
        return run("osc_bridge.client.command", "--port", str(running.port), *words)

    code, text, errors = osc("/ldm/pad/hit", "nosuch")
    assert (code, text) == (1, "")
    assert "pad 'nosuch': no live set is loaded" in errors
    loaded(opened, tmp_path)
    for transport in ((), ("--tcp",)):
        code, text, errors = osc(*transport, "/ldm/pad/hit", "nosuch")
        assert (code, text) == (1, "")
        assert "pad 'nosuch': there are pads 1 to 2: kick, bed" in errors
    assert osc("/ldm/pad/hit", "1") == (0, "", "")
    assert osc("/ldm/pad/gain", "kick", "99")[0] == 1
    assert osc("/ldm/stop") == (0, "", "")
    code, text, _ = osc("/ldm/pad/list")
    assert (code, [line.split("\t")[1] for line in text.splitlines()]) == (0, ["kick", "bed"])


def test_every_answer_is_printed(running: Running) -> None:
    command = ("osc_bridge.client.command", "--port", str(running.port))
    code, text, _ = run(*command, "/ldm/preset/list")
    *names, count = (line.split("\t")[0] for line in text.splitlines())
    assert (code, names) == (0, [preset.name for preset in list_presets()])
    assert int(count) == len(names)
    code, _, errors = run(*command, "/ldm/press/text", "1")
    assert (code, "prompt is empty" in errors) == (1, True)


def test_a_server_that_is_not_there_is_noticed_without_an_answer() -> None:
    code, text, errors = run("osc_bridge.client.command", "--port", "1", "/ldm/stop")
    assert (code, text) == (3, "")
    assert "nobody answers at udp 127.0.0.1:1" in errors
