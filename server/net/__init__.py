"""Connections: how many there may be, and how long each may take."""
