"""Names of the devices that models run on, as settings have them."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["DEVICES", "is_device"]

DEVICES: Final = (
    "auto, cpu, cuda, tensorrt, coreml, directml, openvino, openvino:gpu or openvino:npu"
)
_DEVICE: Final = re.compile(
    r"auto|cpu|coreml|directml|(cuda|tensorrt)(:\d{1,2})?|openvino(:(cpu|gpu|npu))?"
)


def is_device(name: str) -> bool:
    """Whether ``name`` is that of a device; ``cuda:1`` is the second card."""
    return _DEVICE.fullmatch(name) is not None
