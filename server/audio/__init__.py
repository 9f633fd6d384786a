"""Sound as arrays and files: reading, writing, measuring, joining."""
