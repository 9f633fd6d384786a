"""The control surface's layout as a file: Open Stage Control itself is not run in these tests."""

from __future__ import annotations

import json
import runpy
from typing import Any

import pytest
from running_programs import CLIENTS, Instrument

from osc_bridge.client.client import Client
from osc_bridge.messages.addresses import TABLE
from osc_bridge.wire.codec import Argument

FOLDER = CLIENTS / "open-stage-control"
LAYOUT = json.loads((FOLDER / "audioldm.json").read_text())
SOUNDS, STAGE = (tab["widgets"] for tab in LAYOUT["content"]["tabs"])
CONTROLS = [widget for widget in SOUNDS if "address" in widget]


def test_the_file_is_what_the_script_makes_of_the_address_table() -> None:
    made = runpy.run_path(str(FOLDER / "make_layout.py"))["layout"]()
    assert json.loads(json.dumps(made)) == LAYOUT, "run clients/open-stage-control/make_layout.py"


def test_every_setting_and_every_button_has_a_control() -> None:
    wanted = {
        c.address for c in TABLE.commands if c.address.startswith(("/ldm/set/", "/ldm/press/"))
    }
    shown = {widget["address"] for widget in CONTROLS if widget["type"] == "text"}
    assert {widget["address"] for widget in CONTROLS} - shown == wanted
    assert shown <= {reply.address for reply in TABLE.replies}


def _sent(widget: dict[str, Any]) -> list[float | str]:
    """What a fader, a switch or a list sends at its extremes."""
    if widget["type"] == "fader":
        return [widget["range"]["min"], widget["range"]["max"]]
    if widget["type"] == "button":
        return [widget["off"], widget["on"]]
    return list(widget.get("values", ()))


def _typed(widget: dict[str, Any], value: float | str) -> Argument:
    """With the type that the layout gives it."""
    return {"i": int, "f": float}.get(widget.get("typeTags", ""), str)(value)


@pytest.mark.integration
def test_every_control_and_button_is_accepted_by_a_running_instrument(
    instrument: Instrument,
) -> None:
    """Each at its extremes, text fields with what they are for; then every button renders."""
    with instrument.client() as client:
        clip = client.render("wind", num_inference_steps=2, bandwidth="model")[0].path
        written = {"prompt": "rain > wind", "regions": "0.1:0.2", "num_inference_steps": 2}
        written |= {"clip": str(clip), "other": str(clip), "clip_prompt": str(clip)}
        for widget in CONTROLS:
            name = widget["address"].removeprefix("/ldm/set/")
            if widget["type"] == "input":
                least = TABLE.command(widget["address"]).arguments()[0].low or 0
                text = "" if widget["typeTags"] == "s" else least
                _send(client, widget, written.get(name, text))
            elif name == widget["address"]:
                continue
            for value in _sent(widget):
                _send(client, widget, value)
        client.send("/ldm/settings/clear")
        for widget in CONTROLS:
            name = widget["address"].removeprefix("/ldm/set/")
            if name in ("prompt", "regions", "num_inference_steps", "clip", "other"):
                _send(client, widget, written[name])
        for widget in CONTROLS:
            if widget["address"].startswith("/ldm/press/"):
                _send(client, widget, widget["on"], "/ldm/job/done")


def _send(
    client: Client, widget: dict[str, Any], value: float | str, answer: str = "/ldm/synced"
) -> None:
    client.send(widget["address"], _typed(widget, value))
    if answer == "/ldm/synced":  # what is set is not answered, only what is wrong
        client.send("/ldm/sync", 1)
    while (reply := client.receive(60)) is not None and reply.address != answer:
        assert reply.address not in ("/ldm/error", "/ldm/job/fail"), (widget["address"], reply)
    assert reply is not None, widget["address"]


def test_controls_do_not_overlap() -> None:
    for widgets in (SOUNDS, STAGE):
        places = [(widget["left"], widget["top"]) for widget in widgets]
        assert len(set(places)) == len(places)
    names = [widget["id"] for widget in (*SOUNDS, *STAGE)]
    assert len(set(names)) == len(names)


def test_the_stage_has_pads_stream_transport_and_a_stop() -> None:
    wanted = {
        *("/ldm/pad/hit", "/ldm/stream/start", "/ldm/stream/stop", "/ldm/stream/xy", "/ldm/stop"),
        *("/ldm/transport/tempo", "/ldm/transport/restart", "/ldm/live/load", "/ldm/master/gain"),
    }
    assert wanted <= {widget["address"] for widget in STAGE}
    assert [w["preArgs"] for w in STAGE if w["address"] == "/ldm/pad/hit"][:2] == [[1], [2]]


@pytest.mark.integration
def test_every_control_of_the_stage_is_understood(instrument: Instrument) -> None:
    """As a surface sends it: with the arguments before its value."""
    words = {"/ldm/stream/start": "rain", "/ldm/transport/tempo": 100.0}
    with instrument.client() as client:
        client.query("/ldm/live/load", "first-steps")
        client.send("/ldm/stream/corners", "rain", "wind")
        for widget in STAGE:
            address = widget["address"]
            if widget["type"] in ("text", "dropdown"):
                continue
            values = [0.5, 0.5] if widget["type"] == "xy" else _sent_by(widget, words)
            if widget.get("preArgs", [1])[0] > 4:
                continue  # there are four pads
            client.send(address, *widget.get("preArgs", ()), *values)
            client.send("/ldm/sync", 1)
            while (reply := client.receive(60)) is not None and reply.address != "/ldm/synced":
                refused = reply.address == "/ldm/error" and reply.arguments[0] == "bad_request"
                assert not refused, (address, reply)
            assert reply is not None, address


def _sent_by(widget: dict[str, Any], words: dict[str, Any]) -> list[Argument]:
    if widget["type"] == "fader":
        return [float(widget["range"]["min"])]
    return [widget["on"] if widget["type"] == "button" else words[widget["address"]]]
