"""Answers leave in one packet."""

from __future__ import annotations

import asyncio

from server.http.joined_writes import JoinedWrites


class Packets(asyncio.Transport):
    """Keeps what is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed
        self.sent.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        self.closed = True


def test_writes_of_one_turn_are_one_packet() -> None:
    async def main() -> None:
        packets = Packets()
        joined = JoinedWrites(packets)
        joined.write(b"head ")
        joined.write(b"body")
        joined.write(b"")
        assert joined.get_write_buffer_size() == 9
        await asyncio.sleep(0)
        assert packets.sent == [b"head body"]
        joined.write(b"next")
        joined.close()
        assert packets.sent[1:] == [b"next"]
        assert packets.closed
        await asyncio.sleep(0)

    asyncio.run(main())


def test_much_leaves_at_once() -> None:
    async def main() -> None:
        packets = Packets()
        joined = JoinedWrites(packets)
        for _ in range(5):
            joined.write(bytes(40_000))
        assert list(map(len, packets.sent)) == [80_000, 80_000]
        await asyncio.sleep(0)
        assert sum(map(len, packets.sent)) == 200_000

    asyncio.run(main())
