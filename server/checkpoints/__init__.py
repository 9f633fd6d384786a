"""Checkpoints without torch: their tensors where they lie, and graphs that point to them."""
