"""Rough handling for a long time: killed, flooded and fed with damage."""
