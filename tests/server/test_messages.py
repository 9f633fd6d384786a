"""Messages between processes: whole or not at all."""

from __future__ import annotations

import io
import os
import socket
from pathlib import Path

import msgspec
import pytest

from server.audio.fence.child import Child, ChildLost
from server.audio.fence.wire import Ask, hand_over, receive_ask
from server.messages import LENGTH_BYTES, decoder, encode, framed, read_framed


class Note(msgspec.Struct):
    path: Path


def test_a_path_comes_back_as_a_path() -> None:
    note = Note(Path("sounds/rain.wav"))
    data = read_framed(io.BytesIO(framed(encode(note))))
    assert data is not None
    assert decoder(Note).decode(data) == note


def test_a_value_that_is_no_path_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        decoder(Note).decode(encode({"path": 5}))


@pytest.mark.parametrize("size", [0, 1, LENGTH_BYTES, LENGTH_BYTES + 2])
def test_a_message_that_was_cut_off_is_none(size: int) -> None:
    assert read_framed(io.BytesIO(framed(b"whole")[:size])) is None


@pytest.mark.skipif(os.name == "nt", reason="Windows hands no descriptor over")
@pytest.mark.parametrize("size", [1, LENGTH_BYTES, LENGTH_BYTES + 2])
def test_a_question_that_was_cut_off_is_none(size: int) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(framed(encode(Ask(what="facts", path="x")))[:size])
        ours.close()
        assert receive_ask(theirs) is None


@pytest.mark.skipif(os.name == "nt", reason="Windows hands no descriptor over")
def test_a_file_comes_with_its_question(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    ask = Ask(what="facts", path="x")
    with ours, theirs, (tmp_path / "x").open("w+") as file:
        hand_over(ours, ask, file.fileno())
        received = receive_ask(theirs)
    assert received is not None
    assert received[0] == ask
    assert received[1] is not None
    assert os.fstat(received[1]).st_ino == (tmp_path / "x").stat().st_ino
    os.close(received[1])


def test_an_answer_that_is_too_long_ends_the_conversation() -> None:
    child = Child("server.messages")
    child.connection.close()
    child.connection, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(framed(bytes(100)))
        with pytest.raises(ChildLost):
            child.read_framed(99, patience_s=10.0)
    child.close()
