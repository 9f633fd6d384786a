"""``model verify``: what each graph of a model computes on this machine.

Two checks for each graph, both on inputs that are the same everywhere:

- The graph's template with drawn weights, against torch (:mod:`server.checkpoints.golden`).
- The graph itself, against its own outputs when it was first verified, in ``golden.json``.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import msgspec

from server.checkpoints.golden import find_template, template_snr_db
from server.checkpoints.templates import Templates
from server.config import Config
from server.errors import ModelError
from server.model.examples import Outputs, example_inputs, golden_outputs, snr_db
from server.model.manifest import Manifest
from server.model.session import Graph, Provider, default_threads, providers_for
from server.store.adding import disk_trouble
from server.store.installed import Installed
from server.store.plan import DOWNLOADS

__all__ = ["GOLDEN_FILE", "LEAST_DB", "Checked", "Verification"]

GOLDEN_FILE: Final = "golden.json"
LEAST_DB: Final = {"fp32": 50.0, "fp16": 40.0, "fp16-weights": 40.0, "int8-weights": 20.0}
"""By the precision of the folder. On a CPU, float32 is above 100; on a GPU, it may be TF32."""


class Kept(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one graph gave when it was first verified."""

    files: str
    """Digest of the graph's files: other weights are verified anew."""
    by: str
    """Which ONNX Runtime, and where."""
    outputs: Outputs


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """One graph: how near its outputs are to those that they should be, in dB."""

    name: str
    drawn_db: float | None
    """None where there is no template."""
    own_db: float | None
    """None at the first time."""
    by: str
    """Where the outputs that it is compared with were made."""


@dataclass(frozen=True)
class Verification:
    """The check of one model.

    Args:
        model: what is checked.
        config: its device, and the folder with room for weights.
        templates: graphs of its sizes.
    """

    model: Installed
    config: Config
    templates: Templates

    def graphs(self) -> Iterator[Checked]:
        """Check every graph; the outputs of a first time are kept at the end.

        Raises:
            ModelError, RenderError: a graph cannot be loaded or run.
            StorageFull: there is no room for drawn weights or for the outputs.
        """
        kept = self._read()
        for name in self._manifest.components:
            drawn, own = self._drawn_db(name), self._run(name)
            own_db = self._own_db(name, own, kept)
            by = kept.get(name, own).by
            yield Checked(name=name, drawn_db=drawn, own_db=own_db, by=by)
        self._write(kept)

    def is_wrong(self, snr: float | None) -> bool:
        """Whether that is less than rounding explains."""
        return snr is not None and snr < LEAST_DB[self._manifest.precision]

    @property
    def path(self) -> Path:
        """The file with the outputs of the first time."""
        return self.model.folder / GOLDEN_FILE

    @property
    def _manifest(self) -> Manifest:
        return self.model.manifest

    @cached_property
    def _providers(self) -> list[Provider]:
        return providers_for(self.config.devices[0])

    @property
    def _threads(self) -> int:
        return self.config.threads or default_threads()

    def _drawn_db(self, name: str) -> float | None:
        template = find_template(self._manifest, self.templates, name)
        if template is None or not template.info.golden:
            return None
        scratch = self.config.models / DOWNLOADS
        with disk_trouble("verify the model again"):
            scratch.mkdir(parents=True, exist_ok=True)
            return template_snr_db(
                template, self._manifest, scratch, self._providers, self._threads
            )

    def _run(self, name: str) -> Kept:
        graph = Graph(self.model.folder / f"{name}.onnx", self._providers, self._threads)
        outputs = golden_outputs(graph, example_inputs(self._manifest)[name])
        return Kept(files=self._digest(name), by=graph.runtime, outputs=outputs)

    def _own_db(self, name: str, own: Kept, kept: dict[str, Kept]) -> float | None:
        before = kept.get(name)
        if before is not None and before.files == own.files:
            return snr_db(own.outputs, before.outputs)
        if snr_db(own.outputs, own.outputs) < 0:
            return -math.inf  # no numbers
        kept[name] = own
        return None

    def _digest(self, name: str) -> str:
        files = self._manifest.files
        own = (
            files[file].sha256 for file in (f"{name}.onnx", f"{name}.onnx.data") if file in files
        )
        return hashlib.sha256("\n".join(own).encode()).hexdigest()

    def _read(self) -> dict[str, Kept]:
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=dict[str, Kept])
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.DecodeError) as error:
            raise ModelError(f"{self.path} cannot be read ({error}); delete it") from error

    def _write(self, kept: dict[str, Kept]) -> None:
        if kept == self._read():
            return
        with disk_trouble("verify the model again"):
            new = self.path.with_suffix(".new")
            new.write_bytes(msgspec.json.format(msgspec.json.encode(kept), indent=0))
            new.replace(self.path)
