"""How good a model sounds, by measures it was not trained on."""
