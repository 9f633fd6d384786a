"""Pads: takes rendered ahead that play from memory on the beat."""
