"""The OSC messages: one class for each address."""
