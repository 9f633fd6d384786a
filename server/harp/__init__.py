"""HARP: the jobs as cards inside a DAW that HARP serves."""
