"""ONNX graphs: traced from torch modules, stored in a precision, read back as weights."""
