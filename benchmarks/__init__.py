"""Runnable comparisons against peers; never imported by the product."""
