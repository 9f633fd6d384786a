"""The ring: nothing lost, nothing twice, nothing out of order, also between two processes."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osc_bridge.audio.arena import Arena, ArenaShape
from osc_bridge.audio.ring import Ring

RECORD = np.dtype([("sequence", np.int64), ("value", np.int64)])


def make_ring(capacity: int) -> Ring:
    return Ring(np.zeros(capacity, RECORD), np.zeros(2, np.int64))


@given(st.lists(st.one_of(st.integers(-(2**63), 2**63 - 1), st.none()), max_size=200))
def test_behaves_like_a_bounded_queue(actions: list[int | None]) -> None:
    """An integer is pushed, None pops; a plain list is the model."""
    ring, model = make_ring(8), []
    for action in actions:
        if action is None:
            assert ring.pop() == ((model.pop(0),) if model else None)
        else:
            assert ring.push(action) == (len(model) < 8)
            model = [*model, action][:8]
        assert len(ring) == len(model)


def test_capacity_must_be_a_power_of_two() -> None:
    with pytest.raises(ValueError, match="capacity 12"):
        make_ring(12)


def test_a_record_not_yet_written_is_not_read() -> None:
    """The head may be seen before the record; the reader then waits for its next visit."""
    records, index = np.zeros(4, RECORD), np.zeros(2, np.int64)
    ring = Ring(records, index)
    index[0] = 2
    records[0] = (0, 7)
    records[1] = (-3, 8)
    assert ring.pop() == (7,)
    assert ring.pop() is None
    records[1] = (1, 8)
    assert ring.pop() == (8,)


@pytest.mark.integration
def test_two_threads() -> None:
    ring, count = make_ring(64), 20_000

    def produce() -> None:
        sent = 0
        while sent < count:
            sent += ring.push(sent)

    producer = threading.Thread(target=produce)
    producer.start()
    got: list[int] = []
    while len(got) < count:
        record = ring.pop()
        if record is not None:
            got.append(record[0])
    producer.join()
    assert got == list(range(count))


def test_two_processes_share_an_arena() -> None:
    shape = ArenaShape(store_frames=1024, capture_frames=4096)
    arena = Arena.create(shape)
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from osc_bridge.audio.arena import Arena, ArenaShape\n"
        "a = Arena.attach(Path(sys.argv[1]), ArenaShape(store_frames=1024, capture_frames=4096))\n"
        "for n in range(500): a.events.push(1, n, int(a.store[n, 0]))\n"
    )
    arena.store[:, 0] = np.arange(1024)
    subprocess.run([sys.executable, "-c", program, str(arena.path)], check=True)
    got = [arena.events.pop() for _ in range(501)]
    assert got == [(1, n, n) for n in range(500)] + [None]
    arena.close()
