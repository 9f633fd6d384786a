"""Write ``audioldm.json``, a session for Open Stage Control: ``python make_layout.py``.

Every control comes from the bridge's address table: a fader for a range, a text field for words,
a switch for yes and no, a list for a choice, a button for every kind of job. A second tab has the
stage.
"""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

from osc_bridge.messages.addresses import TABLE
from server.requests.fields import Field

COLUMNS, WIDTH, HEIGHT, LABEL, GAP = 4, 300, 50, 24, 10
SHOWN = ("/ldm/job/progress", "/ldm/take", "/ldm/job/fail", "/ldm/error")
WIDEST_RANGE = 1000.0
"""A fader over more than this is no use; a text field takes the number."""


def _control(address: str, field: Field) -> dict[str, Any]:
    """The widget that suits a field."""
    if field.choices:
        return {"type": "dropdown", "values": list(field.choices)}
    if field.type == "T":
        return {"type": "button", "mode": "toggle", "on": 1, "off": 0, "typeTags": "i"}
    if field.low is None or field.high is None or field.high - field.low > WIDEST_RANGE:
        return {"type": "input", "typeTags": "s" if field.type in ("s", "j") else field.type}
    fader: dict[str, Any] = {"type": "fader", "horizontal": True, "typeTags": field.type}
    fader["range"] = {"min": field.low, "max": field.high}
    if field.type == "i":
        fader["steps"] = int(field.high - field.low + 1)
        fader["decimals"] = 0
    if isinstance(field.default, int | float):
        fader["default"] = field.default
    return fader


def _placed(widget: dict[str, Any], number: int, top: int) -> list[dict[str, Any]]:
    """The widget and its label on a grid that begins at ``top``."""
    left = GAP + number % COLUMNS * (WIDTH + GAP)
    at = top + number // COLUMNS * (LABEL + HEIGHT + GAP)
    name = widget["address"].removeprefix("/ldm/")
    label = {
        "type": "text",
        "id": f"{name} label",
        "value": name.removeprefix("set/"),
        "top": at,
        "left": left,
        "width": WIDTH,
        "height": LABEL,
    }
    place = {"id": name, "top": at + LABEL, "left": left, "width": WIDTH, "height": HEIGHT}
    return [label, {**place, **widget}]


def layout() -> dict[str, Any]:
    """The session."""
    controls: list[dict[str, Any]] = []
    for command in TABLE.commands:
        if command.address.startswith("/ldm/press/"):
            controls.append({"type": "button", "mode": "tap", "on": 1, "typeTags": "i"})
        elif command.address.startswith("/ldm/set/"):
            controls.append(_control(command.address, command.arguments()[0]))
        else:
            continue
        controls[-1]["address"] = command.address
    controls += [{"type": "text", "address": address, "value": ""} for address in SHOWN]
    widgets = [w for number, c in enumerate(controls) for w in _placed(c, number, GAP)]
    stage = runpy.run_path(str(Path(__file__).with_name("stage_tab.py")))["stage_widgets"]
    tabs = [
        {"type": "tab", "id": name, "label": name, "widgets": content, "tabs": []}
        for name, content in (("sounds", widgets), ("stage", stage(_control)))
    ]
    root = {"type": "root", "id": "root", "widgets": [], "tabs": tabs}
    return {"createdWith": "Open Stage Control", "type": "session", "content": root}


if __name__ == "__main__":
    text = json.dumps(layout(), indent=1) + "\n"
    Path(__file__).with_name("audioldm.json").write_text(text)
