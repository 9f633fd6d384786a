"""From one request to its takes."""
