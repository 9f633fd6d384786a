"""Training on another machine in a given number of minutes: what travels there and back."""
