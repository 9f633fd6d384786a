"""Clients of the OSC port: in Python, and as the command ``audioldm-osc``."""
