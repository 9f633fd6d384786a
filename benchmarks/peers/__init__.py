"""Comparisons with peers: diffusers, and the least time that the arithmetic needs."""
