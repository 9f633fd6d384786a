"""Engines on other machines: over HTTP, and on a Ray cluster."""
