"""Endurance: kills, random load and damaged input for a long time."""
