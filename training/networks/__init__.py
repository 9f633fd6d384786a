"""The networks that the stages train, and what they are trained with."""
