"""Messages made from the request classes: submissions, presses and settings."""
