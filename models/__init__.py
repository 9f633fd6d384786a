"""Ships the built-in model folder. Data only."""
