"""The decoder: equal to python-osc on what is well formed, linear and strict on what is not."""

from __future__ import annotations

import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pythonosc.osc_bundle_builder import OscBundleBuilder
from pythonosc.osc_message import OscMessage as PythonOscMessage
from pythonosc.osc_message_builder import OscMessageBuilder
from pythonosc.osc_packet import OscPacket

from osc_bridge.wire.codec import (
    MAX_ARGUMENTS,
    MAX_DEPTH,
    MAX_MESSAGES,
    OscMessage,
    Packet,
    decode,
    encode,
    encode_bundle,
)
from server.errors import AudioLDMError, InvalidRequest, TooLarge

ADDRESS = st.text("abcdefghijklmnopqrstuvwxyz0123456789/_.-", max_size=30).map(lambda t: f"/{t}")
TEXT = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=40)
ARGUMENT = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(width=32, allow_nan=False),
    TEXT,
    st.binary(min_size=1, max_size=40),  # python-osc builds no empty blobs
    st.booleans(),
    st.none(),
)


def padded(text: bytes) -> bytes:
    return text + b"\0" * (4 - len(text) % 4)


def bundle(*elements: bytes, timetag: int = 1) -> bytes:
    sized = b"".join(struct.pack(">i", len(element)) + element for element in elements)
    return b"#bundle\0" + struct.pack(">Q", timetag) + sized


def decoded_or_refused(data: bytes) -> list[Packet]:
    """Anything but an error of ours is a failure of the test."""
    try:
        return decode(data)
    except AudioLDMError:
        return []


@given(ADDRESS, st.lists(ARGUMENT, max_size=20))
def test_what_is_encoded_is_decoded(address: str, arguments: list[object]) -> None:
    (packet,) = decode(encode(OscMessage(address, arguments)))
    assert packet.message.address == address
    assert packet.when_s is None
    for sent, got in zip(arguments, packet.message.arguments, strict=True):
        if isinstance(sent, float):
            assert struct.pack(">f", got) == struct.pack(">f", sent)
        else:
            assert got == sent
            assert type(got) is type(sent)


@given(ADDRESS, st.lists(ARGUMENT, max_size=20))
def test_python_osc_reads_the_same(address: str, arguments: list[object]) -> None:
    data = encode(OscMessage(address, arguments))
    theirs = PythonOscMessage(data)
    (ours,) = decode(data)
    assert theirs.address == ours.message.address
    assert [struct.pack(">f", a) if isinstance(a, float) else a for a in theirs.params] == [
        struct.pack(">f", a) if isinstance(a, float) else a for a in ours.message.arguments
    ]


@given(st.binary(max_size=400))
def test_any_bytes_are_decoded_or_refused(data: bytes) -> None:
    for prefix in (b"", b"/a\0\0", b"/a\0\0,", b"#bundle\0\0\0\0\0\0\0\0\x01"):
        packets = decoded_or_refused(prefix + data)
        assert all(packet.message.address.startswith("/") for packet in packets)


@given(st.binary(min_size=1, max_size=60), st.integers(0, 200))
def test_a_damaged_message_is_decoded_or_refused(damage: bytes, at: int) -> None:
    whole = bundle(encode(OscMessage("/ldm/text", ["a", "rain", 1, 2.0, b"blob", [1, ["x"]]])))
    data = whole[:at] + damage + whole[at + len(damage) :]
    assert len(decoded_or_refused(data)) <= MAX_MESSAGES


def test_floats_are_read_as_they_were_written() -> None:
    (packet,) = decode(encode(OscMessage("/a", [0.1, 3.3, 1e-20, 16777216.0])))
    assert packet.message.arguments == (0.1, 3.3, 1e-20, 16777216.0)


def test_bundles_keep_order_and_times() -> None:
    builder = OscBundleBuilder(timestamp=time.time() + 100)
    inner = OscBundleBuilder(timestamp=time.time() + 200)
    for name, target in (("/a", builder), ("/b", inner)):
        target.add_content(OscMessageBuilder(name).build())
    builder.add_content(inner.build())
    builder.add_content(OscMessageBuilder("/c").build())
    data = builder.build().dgram
    packets = decode(data)
    assert [packet.message.address for packet in packets] == ["/a", "/b", "/c"]
    theirs = {timed.message.address: timed.time for timed in OscPacket(data).messages}
    for packet in packets:
        assert packet.when_s == pytest.approx(theirs[packet.message.address], abs=1e-3)


def test_a_bundle_for_now_has_no_time() -> None:
    (packet,) = decode(encode_bundle([OscMessage("/a")]))
    assert packet.when_s is None
    (later,) = decode(encode_bundle([OscMessage("/a")], when_s=2_000_000_000.5))
    assert later.when_s == pytest.approx(2_000_000_000.5, abs=1e-6)


@pytest.mark.parametrize(
    ("data", "error", "sentence"),
    [
        (b"", InvalidRequest, "has no end"),
        (b"ping\0\0\0\0", InvalidRequest, "starts with an address"),
        (padded(b"/a*"), InvalidRequest, "patterns"),
        (padded(b"/{a,b}"), InvalidRequest, "patterns"),
        (padded(b"/a b"), InvalidRequest, "no space"),
        (padded(b"/" + b"a" * 300), TooLarge, "300|301"),
        (padded(b"/a") + padded(b",s") + b"\xff\xfe\0\0", InvalidRequest, "UTF-8"),
        (padded(b"/a") + padded(b",z"), InvalidRequest, "'z'"),
        (padded(b"/a") + padded(b"ii"), InvalidRequest, "comma"),
        (padded(b"/a") + padded(b",i"), InvalidRequest, "ends within"),
        (padded(b"/a") + padded(b",["), InvalidRequest, "never closed"),
        (padded(b"/a") + padded(b",]"), InvalidRequest, "never opened"),
        (padded(b"/a") + padded(b"," + b"[" * 20), TooLarge, "nested"),
        (padded(b"/a") + padded(b"," + b"N" * (MAX_ARGUMENTS + 1)), TooLarge, "arguments"),
        (padded(b"/a") + padded(b",b") + struct.pack(">i", -1), InvalidRequest, "claims -1"),
        (padded(b"/a") + padded(b",b") + struct.pack(">i", 2**31 - 1), InvalidRequest, "claims"),
        (b"#bundle\0" + b"\0" * 4, InvalidRequest, "time tag"),
        (bundle() + struct.pack(">i", -4), InvalidRequest, "claims -4"),
        (bundle() + struct.pack(">i", 0), InvalidRequest, "claims 0"),
        (bundle(*[padded(b"/a")] * (MAX_MESSAGES + 1)), TooLarge, "more than"),
    ],
)
def test_hostile_packets_are_refused(
    data: bytes, error: type[AudioLDMError], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        decode(data)


def test_deep_nesting_is_refused_without_recursion() -> None:
    data = padded(b"/a")
    for _ in range(3000):
        data = bundle(data)
    with pytest.raises(TooLarge, match="nested"):
        decode(data, max_bytes=len(data))
    shallow = padded(b"/a")
    for _ in range(MAX_DEPTH):
        shallow = bundle(shallow)
    assert len(decode(shallow)) == 1


def test_sizes_are_capped() -> None:
    with pytest.raises(TooLarge, match="at most 10"):
        decode(b"/a\0\0" * 4, max_bytes=10)


def test_a_bang_and_a_message_without_type_tags_are_understood() -> None:
    assert decode(padded(b"/a") + padded(b",I"))[0].message == OscMessage("/a", [True])
    assert decode(padded(b"/a"))[0].message == OscMessage("/a")
