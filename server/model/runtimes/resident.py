"""Runs of a graph with buffers on the device, and CUDA graphs of the shapes that come again.

A run on a GPU starts hundreds of kernels, one after the other. A CUDA graph starts them all at
once, but needs the same buffers at each run. So each set of input shapes has buffers of its own.
A set of shapes is recorded at its second run, because one that comes once gains nothing.

Only latents, embeddings and noise levels are copied at each run: 130 kB for a take of 10 s. So the
arithmetic of the samplers stays on the host.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from server.model.runtimes.provider_options import CUDA_GRAPH, PROVIDERS, Provider

__all__ = ["Place", "ResidentSession", "opened"]

log = logging.getLogger("audioldm.models")

_MOST_SHAPES: Final = 16
"""Sets of shapes with buffers; the one unused for longest gives way."""
_MOST_RECORDED: Final = 32
"""CUDA graphs of a session, which ONNX Runtime never forgets."""
_GRAPH_ID: Final = "gpu_graph_id"
_UNRECORDED: Final = "-1"

Inputs = Mapping[str, npt.NDArray[Any]]
Shapes = tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True)
class Place:
    """Where buffers lie."""

    device: str = "cpu"
    card: int = 0

    def filled(self, values: npt.NDArray[Any]) -> Any:
        """A buffer with ``values``."""
        import onnxruntime

        return onnxruntime.OrtValue.ortvalue_from_numpy(values, self.device, self.card)

    def empty(self, like: npt.NDArray[Any]) -> Any:
        """A buffer of the shape and the type of ``like``."""
        import onnxruntime

        return onnxruntime.OrtValue.ortvalue_from_shape_and_type(
            list(like.shape), like.dtype.type, self.device, self.card
        )


@dataclass
class _Buffers:
    """The buffers of one set of shapes, bound to the session."""

    binding: Any
    inputs: dict[str, Any]
    outputs: list[Any] = field(default_factory=list)
    graph_id: str = _UNRECORDED


class ResidentSession:
    """An ONNX Runtime session whose inputs and outputs have buffers at ``place``.

    Args:
        session: of ONNX Runtime.
        place: where its first provider computes.
        records: whether the session was made for CUDA graphs.
    """

    def __init__(self, session: Any, place: Place, *, records: bool = False) -> None:
        self._session = session
        self._place = place
        self._records = records
        self._num_recorded = 0
        self._known: OrderedDict[Shapes, _Buffers] = OrderedDict()
        self._lock = threading.Lock()

    def get_providers(self) -> list[str]:
        """The providers in use."""
        return list(self._session.get_providers())

    def run(self, _: None, inputs: Inputs) -> list[npt.NDArray[Any]]:
        """All outputs for ``inputs``; the arrays are the caller's."""
        inputs = {name: np.ascontiguousarray(values) for name, values in inputs.items()}
        shapes = tuple((name, values.shape) for name, values in inputs.items())
        with self._lock:
            if shapes not in self._known:
                return self._first_run(shapes, inputs)
            self._known.move_to_end(shapes)
            return self._run_again(self._known[shapes], inputs)

    def _first_run(self, shapes: Shapes, inputs: Inputs) -> list[npt.NDArray[Any]]:
        """Run with new buffers; what comes out says how large those of the outputs are."""
        buffers = _Buffers(
            self._session.io_binding(),
            {name: self._place.filled(values) for name, values in inputs.items()},
        )
        for name, value in buffers.inputs.items():
            buffers.binding.bind_ortvalue_input(name, value)
        for output in self._session.get_outputs():
            buffers.binding.bind_output(output.name, self._place.device, self._place.card)
        self._run_bound(buffers)
        results = [np.array(value.numpy()) for value in buffers.binding.get_outputs()]
        self._bind_outputs(buffers, results)
        self._known[shapes] = buffers
        if len(self._known) > _MOST_SHAPES:
            self._known.popitem(last=False)
        return results

    def _run_again(self, buffers: _Buffers, inputs: Inputs) -> list[npt.NDArray[Any]]:
        for name, values in inputs.items():
            buffers.inputs[name].update_inplace(values)
        if self._records and buffers.graph_id == _UNRECORDED:
            self._record(buffers)
        else:
            self._run_bound(buffers)
        return [np.array(value.numpy()) for value in buffers.outputs]

    def _record(self, buffers: _Buffers) -> None:
        """Run and record; a session that cannot runs without from then on."""
        self._num_recorded += 1
        self._records = self._num_recorded < _MOST_RECORDED
        buffers.graph_id = str(self._num_recorded)
        try:
            self._run_bound(buffers)
        except Exception as error:
            log.warning("no CUDA graphs: %s", error)
            self._records = False
            buffers.graph_id = _UNRECORDED
            self._run_bound(buffers)

    def _run_bound(self, buffers: _Buffers) -> None:
        import onnxruntime

        options = onnxruntime.RunOptions()
        options.add_run_config_entry(_GRAPH_ID, buffers.graph_id)
        self._session.run_with_iobinding(buffers.binding, options)

    def _bind_outputs(self, buffers: _Buffers, results: list[npt.NDArray[Any]]) -> None:
        buffers.binding.clear_binding_outputs()
        buffers.outputs = [self._place.empty(result) for result in results]
        for output, value in zip(self._session.get_outputs(), buffers.outputs, strict=True):
            buffers.binding.bind_ortvalue_output(output.name, value)


def opened(make: Callable[..., Any], providers: Sequence[Provider]) -> Any:
    """The session that ``make`` makes; on CUDA with buffers there, and with CUDA graphs if it can.

    Args:
        make: takes ``providers``.
        providers: in order of preference.
    """
    first = providers[0]
    name, options = (first, dict[str, str]()) if isinstance(first, str) else first
    if name != PROVIDERS["cuda"]:
        return make(providers=list(providers))
    place = Place("cuda", int(options.get("device_id", 0)))
    try:
        session = make(providers=[(name, {**options, **CUDA_GRAPH}), *providers[1:]])
    except Exception as error:
        # ONNX Runtime refuses where a part of the graph is left to the CPU.
        log.info("no CUDA graphs: %s", error)
        return _resident(make(providers=list(providers)), place)
    return _resident(session, place, records=True)


def _resident(session: Any, place: Place, *, records: bool = False) -> Any:
    """``session`` with buffers, unless CUDA did not come up."""
    if PROVIDERS[place.device] not in session.get_providers():
        return session
    return ResidentSession(session, place, records=records)
