"""The stage: pads, stream, musical time and MIDI."""
