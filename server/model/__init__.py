"""A model folder: its manifest, its graphs, and what each graph computes."""
