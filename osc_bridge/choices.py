"""Arguments with a fixed set of values, in messages and live sets."""

from __future__ import annotations

from typing import Literal

__all__ = ["Bus", "ClockName", "MidiApi", "Quantise"]

Bus = Literal["played", "recorded"]
"""The outputs or the inputs."""
ClockName = Literal["internal", "link", "midi", "osc"]
"""The clock that leads the transport."""
MidiApi = Literal["", "LINUX_ALSA", "UNIX_JACK", "MACOSX_CORE", "WINDOWS_MM"]
"""APIs of rtmidi; empty for the default of the system."""
Quantise = Literal["none", "sixteenth", "eighth", "beat", "bar", "2 bars", "4 bars", "8 bars"]
"""The grid on which something starts."""
