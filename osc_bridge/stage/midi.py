"""MIDI input: notes hit pads, notes and controllers send OSC messages, clocks lead.

Needs mido and python-rtmidi.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, get_args

from osc_bridge.choices import MidiApi
from osc_bridge.stage.liveset import MidiBinding
from osc_bridge.wire.codec import Argument
from server.errors import DeviceError

__all__ = ["MidiIn", "MidiRouter", "list_midi_inputs"]

log = logging.getLogger("audioldm.stage.midi")

VIRTUAL: Final = "audioldm"
"""Name of the virtual port that other programs connect to (not on Windows)."""
_CLOCK: Final = ("clock", "start", "continue", "stop", "songpos")


def list_midi_inputs(api: MidiApi = "") -> tuple[str, ...]:
    """List the MIDI inputs that can be opened.

    Args:
        api: of rtmidi; empty for all that work here.

    Raises:
        DeviceError: MIDI is not available.
    """
    return tuple(dict.fromkeys(name for names in _inputs(api).values() for name in names))


class MidiIn:
    """An open MIDI input. Opening one can take long; in an event loop use :meth:`open`.

    Args:
        receive: called in a thread of rtmidi with a mido message and its arrival in monotonic ns.
        port: name or part of it; empty for a virtual port that others connect to.
        api: of rtmidi; empty for the first that works, or that has the port.

    Raises:
        DeviceError: MIDI is not available, or there is no such port.
    """

    def __init__(
        self, receive: Callable[[Any, int], None], port: str = "", api: MidiApi = ""
    ) -> None:
        def arrived(message: Any) -> None:
            receive(message, time.monotonic_ns())

        name, api = self._find(port, api) if port else (VIRTUAL, next(iter(_inputs(api))))
        try:
            options: dict[str, Any] = {"client_name": VIRTUAL} if not port else {}
            self._port = _backend(api).open_input(
                name, virtual=not port, callback=arrived, **options
            )
        except Exception as error:
            raise DeviceError(f"MIDI port {name!r} cannot be opened: {error}") from error
        self.name = str(self._port.name)

    @classmethod
    async def open(
        cls, receive: Callable[[Any, int], None], port: str = "", api: MidiApi = ""
    ) -> MidiIn:
        """Open a port in a thread; ``receive`` is called on this event loop."""
        loop = asyncio.get_running_loop()

        def arrived(message: Any, time_ns: int) -> None:
            loop.call_soon_threadsafe(receive, message, time_ns)

        return await asyncio.to_thread(cls, arrived, port, api)

    def close(self) -> None:
        """Close the port."""
        self._port.close()

    @staticmethod
    def _find(port: str, api: MidiApi) -> tuple[str, MidiApi]:
        apis: dict[str, MidiApi] = {}
        for each, found in _inputs(api).items():
            for name in found:
                apis.setdefault(name, each)
        fitting = [n for n in apis if n == port] or [n for n in apis if port.lower() in n.lower()]
        if len(fitting) != 1:
            raise DeviceError(
                f"{len(fitting) or 'no'} MIDI inputs for {port!r}; there are: "
                f"{', '.join(apis) or 'none'}"
            )
        return fitting[0], apis[fitting[0]]


class MidiRouter:
    """Routes MIDI messages to pads, OSC addresses and the clock.

    Args:
        hit: called with the number of a pad, the velocity (0 to 1) and the arrival in monotonic ns.
        send: called with an OSC address and its arguments.
        clock: called with real-time messages: kind, arrival in monotonic ns, song position.
    """

    def __init__(
        self,
        hit: Callable[[int, float, int], None],
        send: Callable[[str, list[Argument]], None],
        clock: Callable[[str, int, int], None],
    ) -> None:
        self._hit = hit
        self.send = send
        self._clock = clock
        self.pads: dict[int, int] = {}
        """Note to pad number."""
        self.bindings: tuple[MidiBinding, ...] = ()

    def map(self, pads: dict[int, int], bindings: Iterable[MidiBinding]) -> None:
        """Replace the bindings of notes and controllers."""
        self.pads, self.bindings = pads, tuple(bindings)

    def bind(self, binding: MidiBinding) -> None:
        """Add a binding; it replaces those of the same note or controller."""
        key = (binding.note, binding.control, binding.channel)
        others = (b for b in self.bindings if (b.note, b.control, b.channel) != key)
        self.bindings = (*others, binding)

    def receive(self, message: Any, time_ns: int) -> None:
        """Route a mido message."""
        if message.type in _CLOCK:
            self._clock(message.type, time_ns, getattr(message, "pos", 0))
        elif message.type == "note_on" and message.velocity:
            if message.note in self.pads:
                self._hit(self.pads[message.note], message.velocity / 127, time_ns)
            self._send_bound("note", message.note, message.velocity, message.channel)
        elif message.type == "control_change":
            self._send_bound("control", message.control, message.value, message.channel)

    def _send_bound(self, kind: str, number: int, value: int, channel: int) -> None:
        for binding in self.bindings:
            if getattr(binding, kind) != number or binding.channel not in (None, channel + 1):
                continue
            scaled = binding.low + (binding.high - binding.low) * value / 127
            known: dict[Argument, Argument] = {"$value": scaled, "$note": number}
            self.send(binding.address, [known.get(a, a) for a in binding.arguments])


def _inputs(api: MidiApi) -> dict[MidiApi, list[str]]:
    """The names of the inputs of each API that works, or of ``api`` alone.

    Raises:
        DeviceError: none works; the message says why, for each.
    """
    found: dict[MidiApi, list[str]] = {}
    failures: list[str] = []
    for each in (api,) if api else _apis():
        try:
            found[each] = list(_backend(each).get_input_names())
        except DeviceError:
            raise
        except Exception as error:
            failures.append(f"{each or 'the default API'}: {error}")
    if not found:
        raise DeviceError(f"MIDI: {'; '.join(failures)}")
    return found


def _apis() -> tuple[MidiApi, ...]:
    """The APIs that rtmidi was built with, the default of the system first."""
    try:
        import rtmidi
    except ImportError:
        return ("",)  # which says what to install
    built = rtmidi.get_compiled_api()
    names: tuple[MidiApi, ...] = tuple(api for api in get_args(MidiApi) if api)
    known = {getattr(rtmidi, f"API_{name}", None): name for name in names}
    return tuple(known[number] for number in built if number in known) or ("",)


def _backend(api: MidiApi) -> Any:
    try:
        import mido
        import rtmidi  # noqa: F401
    except ImportError as error:
        raise DeviceError("MIDI needs two packages: pip install mido python-rtmidi") from error
    return mido.Backend(f"mido.backends.rtmidi/{api}" if api else "mido.backends.rtmidi")
