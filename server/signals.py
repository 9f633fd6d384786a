"""The signals that ask a program to stop: SIGINT (Ctrl-C) and SIGTERM."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

__all__ = ["on_stop_signal"]


def on_stop_signal(stop: Callable[[], object]) -> None:
    """Call ``stop`` on the running loop at every SIGINT and SIGTERM."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))
