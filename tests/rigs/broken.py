"""Calls that break, and a wait for what comes after them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


class Broken(Exception):
    """What nobody expects."""


def failing(times: int, works: Callable) -> Callable:
    """``works``, but the first calls raise."""
    left = [times]

    def call(*arguments: object, **named: object) -> object:
        if left[0]:
            left[0] -= 1
            raise Broken("broken by the test")
        return works(*arguments, **named)

    return call
