"""The tab ``stage`` of the session: pads, stream, transport, listening, and a button that stops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from osc_bridge.messages.addresses import TABLE
from osc_bridge.stage.liveset import list_sets
from server.requests.fields import Field

PADS, ACROSS, SIZE, GAP = 16, 4, 150, 10
LEFT = GAP + ACROSS * (SIZE + GAP)
WIDTH, ROW = 300, 60

Widget = dict[str, Any]


def stage_widgets(control: Callable[[str, Field], Widget]) -> list[Widget]:
    """All widgets; ``control`` makes the one that suits an argument of an address."""
    pads = [_pad(number) for number in range(1, PADS + 1)]
    return [*pads, *_column(LEFT, _stream(control)), *_column(LEFT + WIDTH + GAP, _song(control))]


def _pad(number: int) -> Widget:
    place = number - 1
    return {
        **_button("/ldm/pad/hit", f"pad {number}", 1, "if"),
        "preArgs": [number],
        "left": GAP + place % ACROSS * (SIZE + GAP),
        "top": GAP + place // ACROSS * (SIZE + GAP),
        "width": SIZE,
        "height": SIZE,
    }


def _stream(control: Callable[[str, Field], Widget]) -> list[Widget]:
    position = {"rangeX": {"min": 0, "max": 1}, "rangeY": {"min": 0, "max": 1}, "typeTags": "ff"}
    square = {"type": "xy", "id": "stream position", "address": "/ldm/stream/xy", "height": WIDTH}
    return [
        {**_first("/ldm/stream/start", control), "id": "stream prompt", "default": "soft rain"},
        _button("/ldm/stream/start", "stream", "", "s"),
        _button("/ldm/stream/stop", "end of the stream", 2, "f"),
        {**square, **position},
        _first("/ldm/stream/gain", control),
    ]


def _song(control: Callable[[str, Field], Widget]) -> list[Widget]:
    sets = {"type": "dropdown", "id": "live set", "address": "/ldm/live/load"}
    return [
        {**_button("/ldm/stop", "stop all", 0.05, "f"), "colorWidget": "#d0342b"},
        {**sets, "values": list(list_sets()), "typeTags": "s"},
        _first("/ldm/transport/tempo", control),
        _button("/ldm/transport/restart", "bar 1", 1, "i"),
        _first("/ldm/master/gain", control),
        _button("/ldm/listen/start", "listen", "stream", "s"),
        _button("/ldm/listen/stop", "listen no more", 1, "i"),
        _first("/ldm/notify", control),
        *({"type": "text", "id": address, "address": address} for address in _SHOWN),
    ]


_SHOWN = ("/ldm/notify/stream", "/ldm/notify/listen")


def _button(address: str, name: str, value: float | str, type_tags: str) -> Widget:
    pressed = {"type": "button", "mode": "tap", "on": value, "typeTags": type_tags}
    return {**pressed, "id": name, "label": name, "address": address}


def _first(address: str, control: Callable[[str, Field], Widget]) -> Widget:
    """The control of the first argument of an address."""
    widget = control(address, TABLE.command(address).arguments()[0])
    return {**widget, "id": address.removeprefix("/ldm/"), "address": address}


def _column(left: int, widgets: list[Widget]) -> list[Widget]:
    """The widgets below each other."""
    placed, top = [], GAP
    for widget in widgets:
        height = widget.get("height", ROW)
        placed.append({**widget, "left": left, "top": top, "width": WIDTH, "height": height})
        top += height + GAP
    return placed
