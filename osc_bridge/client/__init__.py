"""The other end: a client of the OSC port, in Python and as a command."""
