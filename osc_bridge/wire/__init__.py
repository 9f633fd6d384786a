"""OSC bytes: packets, and their framing on a stream."""
