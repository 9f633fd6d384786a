"""Checkpoints to model folders: the only room, with training, that imports torch."""
