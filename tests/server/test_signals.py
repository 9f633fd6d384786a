"""SIGINT and SIGTERM ask a program to stop."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from server.signals import on_stop_signal


@pytest.mark.skipif(os.name != "posix", reason="signals are sent otherwise on Windows")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_every_signal_calls(number: signal.Signals) -> None:
    async def scenario() -> int:
        calls: asyncio.Queue[int] = asyncio.Queue()
        on_stop_signal(lambda: calls.put_nowait(1))
        for _ in range(2):
            os.kill(os.getpid(), number)
            await asyncio.wait_for(calls.get(), 10)
        return calls.qsize()

    assert asyncio.run(scenario()) == 0
