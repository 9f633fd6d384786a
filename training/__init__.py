"""The training recipe of the paper, and its evaluation; makes the built-in model."""
