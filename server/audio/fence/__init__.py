"""Sound files that clients name, opened once and decoded in processes with limits."""
