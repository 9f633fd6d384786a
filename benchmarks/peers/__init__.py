"""Comparisons with peers: diffusers, other runtimes, and the least time that arithmetic needs."""
