"""Evaluation of a model by measures that it was not trained on."""
