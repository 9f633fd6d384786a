"""The HTTP interface and the panel."""
