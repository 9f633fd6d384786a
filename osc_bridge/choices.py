"""The words that may be said where there is a choice, for the address table and the live sets."""

from __future__ import annotations

from typing import Literal

__all__ = ["Bus", "ClockName", "MidiApi", "Quantise"]

Bus = Literal["played", "recorded"]
"""What went to the outputs, or what came from the inputs."""
ClockName = Literal["internal", "link", "midi", "osc"]
"""Who leads the transport."""
MidiApi = Literal["", "LINUX_ALSA", "UNIX_JACK", "MACOSX_CORE", "WINDOWS_MM"]
"""rtmidi's names; empty: the system's usual one."""
Quantise = Literal["none", "sixteenth", "eighth", "beat", "bar", "2 bars", "4 bars", "8 bars"]
"""The grid on which something begins."""
