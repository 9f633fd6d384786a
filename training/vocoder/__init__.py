"""The stages that train the vocoder: ``vocoder`` (spectra) and ``partials``."""
