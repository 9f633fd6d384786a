"""Talks to the DAW: OSC, the sound card, MIDI and clocks."""
