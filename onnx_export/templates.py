"""Makes the archive of templates that :mod:`server.checkpoints.templates` reads."""

from __future__ import annotations

import io
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import msgspec
import onnx
import torch
from onnx import TensorProto
from tqdm import tqdm

from onnx_export.export import half_precision
from onnx_export.graphs.files import buffer_names
from onnx_export.graphs.precision import is_large_float, output_axes
from onnx_export.graphs.signatures import Signature, signatures
from onnx_export.graphs.tracing import export_graph
from onnx_export.sources.architecture import build_network
from onnx_export.sources.audioldm import NETWORK_OF, as_component
from onnx_export.sources.random_source import RandomSource
from server.checkpoints.architecture import VARIANTS
from server.checkpoints.golden import drawn_weights
from server.checkpoints.original_names import is_constant
from server.checkpoints.templates import Template, TemplateInfo, template_name
from server.model.examples import Outputs, picked

__all__ = ["PUBLISHED", "Wanted", "make_template", "write_templates"]

FLOATS: Final = (TensorProto.FLOAT, TensorProto.FLOAT16)


@dataclass(frozen=True)
class Wanted:
    """One template to be made."""

    component: str
    source: RandomSource
    half: bool = False

    @property
    def name(self) -> str:
        """Its name in the archive."""
        source = self.source
        return template_name(self.component, source.sizes, source.manifest_heads, half=self.half)


def published() -> Iterator[Wanted]:
    """All graphs of the published variants: both numbers of heads, both precisions."""
    bert = replace(VARIANTS["s"], text_epsilon=1e-12)
    yield Wanted("text_encoder", RandomSource(bert, "bert"))
    for heads in ("original", "diffusers"):
        for name, sizes in VARIANTS.items():
            source = RandomSource(sizes, name, heads=heads)
            yield from wanted_for(source)


def wanted_for(source: RandomSource) -> Iterator[Wanted]:
    """All templates of one model."""
    for name in NETWORK_OF:
        yield Wanted(name, source)
    yield Wanted("unet", source, half=True)


PUBLISHED: Final = tuple({wanted.name: wanted for wanted in published()}.values())


def write_templates(path: Path, wanted: Iterable[Wanted] = PUBLISHED) -> None:
    """Trace the graphs that are ``wanted``, and pack them without their weights."""
    with tarfile.open(path, "w:xz", preset=9) as archive:
        bar = tqdm(tuple(wanted), desc="templates", unit="graph", file=sys.stderr, disable=None)
        for entry in bar:
            template = make_template(entry)
            _add(archive, f"{entry.name}.onnx", template.graph)
            _add(archive, f"{entry.name}.json", msgspec.json.encode(template.info))


def make_template(wanted: Wanted) -> Template:
    """Trace one graph, drop the weights that checkpoints hold, and add golden outputs."""
    source, name = wanted.source, wanted.component
    network = _network(source, NETWORK_OF[name])
    module = as_component(name, network, source.manifest)
    signature = signatures(source.manifest)[name]
    template = _traced(wanted, network, module, signature)
    golden = _golden(template, network, module, signature)
    info = msgspec.structs.replace(template.info, golden=golden)
    return msgspec.structs.replace(template, info=info)


def _traced(
    wanted: Wanted, network: torch.nn.Module, module: torch.nn.Module, signature: Signature
) -> Template:
    if wanted.half:
        module = half_precision(module)
    name = wanted.component
    with tempfile.TemporaryDirectory() as scratch:
        # All of the unet's weights are a checkpoint's; writing those of L takes minutes.
        graph = export_graph(module, signature, Path(scratch), weights=name != "unet")
    return _without_weights(name, graph, network.state_dict())


def _golden(
    template: Template, network: torch.nn.Module, module: torch.nn.Module, signature: Signature
) -> Outputs:
    """What torch computes in float32 with drawn weights."""
    state = network.state_dict()
    for name, tensor in drawn_weights(template).items():
        state[name].copy_(torch.from_numpy(tensor.read()).view_as(state[name]))
    with torch.no_grad():
        found = module(*signature.inputs.values())
    found = found if isinstance(found, tuple) else (found,)
    named = zip(signature.outputs, found, strict=True)
    return {name: picked(output.numpy()) for name, output in named}


def _network(source: RandomSource, name: str) -> torch.nn.Module:
    """The network; the unet's weights are not even drawn, because nobody reads them."""
    if name != "unet":
        return source.network(name)
    with torch.device("meta"):
        network = build_network(name, source.sizes, source.manifest_heads)
    return network.to_empty(device="cpu")


def _without_weights(name: str, graph: onnx.ModelProto, state: dict[str, torch.Tensor]) -> Template:
    weights, storable = {}, []
    axes, buffers = output_axes(graph.graph), buffer_names(graph)
    for tensor in graph.graph.initializer:
        key = _state_name(name, tensor.name)
        if key not in state or is_constant(key) or tensor.data_type not in FLOATS:
            continue
        weights[tensor.name] = key
        if is_large_float(tensor) and tensor.name not in buffers:
            storable.append(tensor.name)
        tensor.ClearField("raw_data")
    info = TemplateInfo(
        weights=weights,
        storable=tuple(storable),
        axes={weight: axes[weight] for weight in storable if weight in axes},
    )
    return Template(component=name, graph=graph.SerializeToString(), info=info)


def _state_name(name: str, initializer: str) -> str:
    """What the network calls a weight; ours wrap it, and the vocoder's ends are sequences."""
    key = initializer.partition(".")[2]
    if name == "vocoder":
        key = key.replace("conv_pre.1.", "conv_pre.").replace("conv_post.0.", "conv_post.")
    return key


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))
