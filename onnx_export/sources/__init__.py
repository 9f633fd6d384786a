"""Sources of networks: published checkpoints, diffusers folders, random weights."""
