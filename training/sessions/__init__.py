"""Training on a machine that is lent for some minutes: what travels there, and what comes back."""
