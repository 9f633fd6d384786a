"""Write ``audioldm.maxpat``, a patch for Max and Max for Live: ``python make_patch.py``.

A ``.maxpat`` is JSON: boxes with numbers of inlets and outlets, and lines between them. Max
itself has not opened this patch; the tests compare the file with what this program writes, and
check its connections.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

PORT, REPLY_PORT = 9536, 9548
PRINTED = ("/ldm/job/progress", "/ldm/job/done", "/ldm/job/fail", "/ldm/error")


class Patch:
    """Boxes and lines of a patcher."""

    def __init__(self) -> None:
        self.boxes: list[dict[str, Any]] = []
        self.lines: list[dict[str, Any]] = []

    def _box(self, x: int, y: int, width: int, inlets: int, outlets: int, **more: Any) -> str:
        name = f"obj-{len(self.boxes) + 1}"
        box = {"id": name, "numinlets": inlets, "numoutlets": outlets, **more}
        box["outlettype"] = [""] * outlets
        box["patching_rect"] = [float(x), float(y), float(width), 22.0]
        self.boxes.append({"box": box})
        return name

    def obj(self, text: str, x: int, y: int, inlets: int = 1, outlets: int = 1) -> str:
        """An object box."""
        width = 20 + 7 * len(text)
        return self._box(x, y, width, inlets, outlets, maxclass="newobj", text=text)

    def message(self, text: str, x: int, y: int) -> str:
        """A message box."""
        return self._box(x, y, 20 + 7 * len(text), 2, 1, maxclass="message", text=text)

    def comment(self, text: str, x: int, y: int) -> None:
        """A comment."""
        self._box(x, y, 20 + 6 * len(text), 1, 0, maxclass="comment", text=text)

    def widget(
        self, kind: str, x: int, y: int, width: int, ports: tuple[int, int], **attributes: Any
    ) -> str:
        """A box of a class of its own, such as a text field."""
        return self._box(x, y, width, *ports, maxclass=kind, **attributes)

    def connect(self, *path: str | tuple[str, int]) -> None:
        """Lines along ``path``; a tuple names an outlet, or an inlet where the line ends."""
        for source, target in itertools.pairwise(path):
            begin = source if isinstance(source, tuple) else (source, 0)
            end = target if isinstance(target, tuple) else (target, 0)
            line = {"source": list(begin), "destination": list(end)}
            self.lines.append({"patchline": line})

    def render(self) -> str:
        """The file's text."""
        patcher = {
            "fileversion": 1,
            "appversion": {"major": 8, "minor": 5, "revision": 0, "architecture": "x64"},
            "classnamespace": "box",
            "rect": [80.0, 80.0, 940.0, 640.0],
            "boxes": self.boxes,
            "lines": self.lines,
        }
        return json.dumps({"patcher": patcher}, indent=1) + "\n"


def audioldm() -> Patch:
    """Prompt in, takes in buffers, a part of a take made anew."""
    p = Patch()
    p.comment("AudioLDM: start audioldm-daw, write a prompt, press return", 20, 10)
    send = p.obj(f"udpsend 127.0.0.1 {PORT}", 20, 330, 1, 0)
    _new_sound(p, send)
    _inpaint(p, send)
    _answers(p)
    return p


def _request_id(p: Patch, trigger: tuple[str, int], x: int, y: int) -> str:
    """A symbol that no request had before: the server keeps what belongs to an id.

    Milliseconds since Max was started and a random number.
    """
    both = p.obj("t b b", x, y, 1, 2)
    number, clock = p.obj("random 1000000", x, y + 30, 2, 1), p.obj("cpuclock", x + 120, y + 30)
    made = p.obj("sprintf symout max-%ld-%.0f", x, y + 60, 2, 1)
    p.connect(trigger, both)
    p.connect((both, 1), clock, (made, 1))
    p.connect((both, 0), number, made)
    return made


def _prompt(p: Patch, x: int, y: int) -> str:
    """A text field that sends its words as one symbol when return is pressed."""
    field = p.widget("textedit", x, y, 300, (1, 4), keymode=1, outputmode=1)
    route, symbol = p.obj("route text", x, y + 30, 1, 2), p.obj("tosymbol", x, y + 60)
    p.connect(field, route, symbol)
    return symbol


def _numbered(p: Patch, symbol: str, x: int, y: int) -> str:
    """A list of a new request id and the prompt."""
    split, joined = p.obj("t b s", x, y, 1, 2), p.obj("pack s s", x, y + 120, 2, 1)
    p.connect(symbol, split)
    p.connect((split, 1), (joined, 1))
    p.connect(_request_id(p, (split, 0), x, y + 30), joined)
    return joined


def _new_sound(p: Patch, send: str) -> None:
    text = f"/ldm/text $1 $2 num_waveforms_per_prompt 4 reply_port {REPLY_PORT}"
    p.connect(_numbered(p, _prompt(p, 20, 35), 20, 125), p.message(text, 20, 275), send)


def _inpaint(p: Patch, send: str) -> None:
    p.comment("a part of the last take made anew: from, to (seconds), prompt", 480, 10)
    start, end = (p.widget("flonum", x, 35, 60, (1, 2)) for x in (480, 560))
    regions = p.obj("sprintf symout %f:%f", 640, 35, 2, 1)
    again = p.obj("t b f", 560, 60, 1, 2)
    p.connect(start, regions)
    p.connect(end, again)
    p.connect((again, 1), (regions, 1))
    p.connect((again, 0), start)
    whole = p.obj("join 3 @triggers 0", 480, 335, 3, 1)
    p.connect(_numbered(p, _prompt(p, 480, 95), 480, 185), whole)
    p.connect(p.obj("r audioldm-last", 640, 305, 0, 1), (whole, 1))
    p.connect(regions, (whole, 2))
    text = f"/ldm/inpaint $1 $2 clip $3 regions $4 reply_port {REPLY_PORT}"
    p.connect(whole, p.message(text, 480, 365), send)


def _answers(p: Patch) -> None:
    p.comment("answers: four takes become four buffers; the number plays one", 20, 370)
    route = p.obj(f"route /ldm/take {' '.join(PRINTED)}", 20, 420, 1, 1 + len(PRINTED) + 1)
    p.connect(p.obj(f"udpreceive {REPLY_PORT}", 20, 395), route)
    for number, address in enumerate(PRINTED):
        name = address.replace("/", "-")
        p.connect((route, number + 1), p.obj(f"print {name[1:]}", 160 + 170 * number, 450, 1, 0))
    # request id, job id, index, path, ...; the path comes out first and waits for its buffer.
    take = p.obj("unpack s s 0 s", 20, 450, 1, 4)
    last, path = p.obj("s audioldm-last", 220, 480, 1, 0), p.obj("zl reg", 140, 510, 2, 2)
    p.connect(route, take)
    p.connect((take, 3), last)
    p.connect((take, 3), (path, 1))
    which, replace = p.obj("t b i", 20, 480, 1, 2), p.obj("prepend replace", 140, 540)
    gate = p.obj("gate 4", 20, 570, 2, 4)
    p.connect((take, 2), which)
    p.connect((which, 1), p.obj("% 4", 80, 510, 2, 1), p.obj("+ 1", 80, 540, 2, 1), gate)
    p.connect((which, 0), path, replace, (gate, 1))
    for number in range(4):
        buffer = p.obj(f"buffer~ audioldm-{number + 1}", 20 + 150 * number, 600, 1, 2)
        p.connect((gate, number), buffer)
    _player(p)


def _player(p: Patch) -> None:
    number = p.widget("number", 660, 480, 50, (1, 2))
    which = p.message("set audioldm-$1, start", 660, 510)
    play, out = p.obj("play~ audioldm-1", 660, 540, 1, 2), p.obj("ezdac~", 660, 580, 2, 0)
    p.connect(number, which, play)
    p.connect(play, out)
    p.connect(play, (out, 1))


if __name__ == "__main__":
    Path(__file__).with_name("audioldm.maxpat").write_text(audioldm().render())
