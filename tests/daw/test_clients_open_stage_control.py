"""The control surface's layout as a file: Open Stage Control itself is not run in these tests."""

from __future__ import annotations

import json
import runpy
from typing import Any

import pytest
from running_programs import CLIENTS

from osc_bridge.addresses import TABLE

FOLDER = CLIENTS / "open-stage-control"
LAYOUT = json.loads((FOLDER / "audioldm.json").read_text())
CONTROLS = [widget for widget in LAYOUT["content"]["widgets"] if "address" in widget]


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
    """What a control sends at its extremes; Open Stage Control's numbers are floats."""
    if widget["type"] == "fader":
        return [float(widget["range"]["min"]), float(widget["range"]["max"])]
    if widget["type"] == "button":
        return [float(widget["on"])]
    return list(widget.get("values", ()))


@pytest.mark.parametrize("widget", CONTROLS, ids=lambda widget: widget["address"])
def test_what_a_control_sends_is_accepted(widget: dict[str, Any]) -> None:
    for value in _sent(widget):
        TABLE.command(widget["address"]).from_osc([value])


def test_controls_do_not_overlap() -> None:
    places = [(widget["left"], widget["top"]) for widget in LAYOUT["content"]["widgets"]]
    assert len(set(places)) == len(places)
