"""What of the built-in model fits into half precision, in which a GPU is quicker.

Graphs never get more than a window, however long the take, so that 12 s stand for every length.
The unet and the vocoder do not fit: the unet comes too near to the largest number, and the vocoder
computes with numbers of 10^9.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from server.render.pipeline import Pipeline
from server.requests.request import TextToAudio

BUILT_IN = Path(__file__).parents[2] / "models" / "tiny"
LARGEST = float(np.finfo(np.float16).max)


class Watched:
    """A graph's session that also sees every value between its operators."""

    def __init__(self, path: Path) -> None:
        model = onnx.load(path)
        self._given = [output.name for output in model.graph.output]
        named = {name for node in model.graph.node for name in node.output if name}
        inner = [onnx.ValueInfoProto(name=name) for name in sorted(named - {*self._given})]
        model.graph.output.extend(inner)
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self.largest: dict[str, float] = {}

    def run(self, _: None, inputs: Any) -> list[Any]:
        """The graph's own outputs."""
        names = [output.name for output in self._session.get_outputs()]
        results = dict(zip(names, self._session.run(names, inputs), strict=True))
        for name, values in results.items():
            if values.dtype == np.float32 and values.size:
                most = float(np.abs(values).max())
                self.largest[name] = max(most, self.largest.get(name, 0.0))
        return [results[name] for name in self._given]


@pytest.mark.slow  # every value of every operator comes out of the graph
@pytest.mark.parametrize("prompt", ["a kick drum", "silence"])
def test_the_decoder_stays_within_half_precision(prompt: str) -> None:
    pipeline = Pipeline(BUILT_IN, "cpu")
    decoder = Watched(BUILT_IN / "vae_decoder.onnx")
    pipeline.graphs["vae_decoder"]._session = decoder
    pipeline.render(
        TextToAudio(
            prompt=prompt, seed=1, audio_length_in_s=12.0, num_inference_steps=2, bandwidth="model"
        )
    )
    assert max(decoder.largest.values()) < LARGEST / 100
