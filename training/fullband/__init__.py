"""Stage ``fullband``: the upper band of a take."""
