"""OSC bytes: packets and how they are framed on a stream."""
