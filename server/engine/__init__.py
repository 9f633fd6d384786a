"""Placement: which worker gets a job, and which models are loaded."""
