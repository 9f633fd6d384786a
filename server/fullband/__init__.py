"""The band that a model does not make: what lies above it, and the width of the take."""
