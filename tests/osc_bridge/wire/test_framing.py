"""Packets on a stream, however it is cut up."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pythonosc import slip

from osc_bridge.wire.framing import MAX_FRAME, Framing, LengthFraming, SlipFraming, framing_for
from server.errors import InvalidRequest, TooLarge

PACKETS = st.lists(st.binary(min_size=1, max_size=50), max_size=8)


@given(PACKETS, st.integers(1, 30), st.sampled_from([LengthFraming, SlipFraming]))
def test_packets_survive_any_cutting(
    packets: list[bytes], size: int, framing: type[LengthFraming | SlipFraming]
) -> None:
    stream = b"".join(framing.frame(packet) for packet in packets)
    receiver: Framing = framing()
    got: list[bytes] = []
    for at in range(0, len(stream), size):
        got += receiver.feed(stream[at : at + size])
    assert got == packets


@given(st.binary(min_size=1, max_size=100))
def test_slip_is_python_oscs(packet: bytes) -> None:
    assert slip.decode(SlipFraming.frame(packet)) == packet
    assert SlipFraming().feed(slip.encode(packet)) == [packet]


@pytest.mark.parametrize("size", [-1, 0, MAX_FRAME + 1, 2**31 - 1])
def test_absurd_lengths_are_refused(size: int) -> None:
    with pytest.raises(TooLarge, match=f"{size} bytes"):
        LengthFraming().feed(struct.pack(">i", size))


def test_an_endless_slip_packet_is_refused_before_it_fills_the_memory() -> None:
    framing = SlipFraming()
    framing.feed(b"x" * MAX_FRAME)
    with pytest.raises(TooLarge):
        framing.feed(b"x" * (MAX_FRAME + 1))


def test_a_broken_escape_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="escape"):
        SlipFraming().feed(b"\xc0/a\xdbx\xc0")


def test_the_first_byte_tells_the_framing() -> None:
    assert isinstance(framing_for(b"\0\0\0\x08/a"), LengthFraming)
    assert isinstance(framing_for(b"\xc0/a"), SlipFraming)
    assert isinstance(framing_for(b"/a\0\0"), SlipFraming)
    with pytest.raises(InvalidRequest, match="OSC port"):
        framing_for(b"POST / HTTP/1.1\r\n")
