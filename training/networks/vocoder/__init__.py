"""The vocoder: sinusoids whose phases continue, and short-time spectra for noise and hits."""
