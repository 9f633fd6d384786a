"""Checkpoints to model folders. Only this package and ``training`` import torch."""
