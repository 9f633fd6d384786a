"""The sound card: samples in shared memory, voices, and the process that plays them."""
