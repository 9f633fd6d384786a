"""Placement: which renderer gets a job, and which models are loaded."""
