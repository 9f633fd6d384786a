"""The process that renders, and both ends of the pipe to it."""
