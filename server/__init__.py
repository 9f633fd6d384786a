"""The engine: requests in, waveforms out. numpy and ONNX Runtime, no torch."""

__version__ = "0.1.0"
