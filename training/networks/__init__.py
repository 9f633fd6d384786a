"""The networks that the stages train, and networks used only in training."""
