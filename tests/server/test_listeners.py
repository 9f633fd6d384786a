"""Listeners: one that raises harms nobody and is logged once for each type of exception."""

from __future__ import annotations

import pytest

from server.listeners import Listeners


def test_all_are_called_in_order_until_they_are_removed() -> None:
    calls: list[tuple[str, int]] = []
    listeners = Listeners[int]("numbers")
    remove = listeners.add(lambda n: calls.append(("a", n)))
    listeners.add(lambda n: calls.append(("b", n)))
    listeners.notify(1)
    remove()
    remove()
    listeners.notify(2)
    assert calls == [("a", 1), ("b", 1), ("b", 2)]
    assert len(listeners) == 1


def test_one_that_raises_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []
    listeners = Listeners[int]("numbers")

    def broken(n: int) -> None:
        raise (ValueError if n % 2 else KeyError)(n)

    listeners.add(broken)
    listeners.add(calls.append)
    for n in range(6):
        listeners.notify(n)
    assert calls == list(range(6))
    kinds = [record.exc_info[0] for record in caplog.records if record.exc_info]
    assert kinds == [KeyError, ValueError]


def test_a_listener_may_remove_itself_and_others_while_it_is_called() -> None:
    calls: list[str] = []
    listeners = Listeners[None]("nothing")

    def first(_: None) -> None:
        calls.append("first")
        remove_first()

    remove_first = listeners.add(first)
    listeners.add(lambda _: calls.append("second"))
    listeners.notify(None)
    listeners.notify(None)
    assert calls == ["first", "second", "second"]
