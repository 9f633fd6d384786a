"""The contract of a model folder: its graphs and their meaning.

A model folder is a directory with six ONNX graphs (seven with ``listener``), ``tokenizer.json``
and ``manifest.json``. The manifest holds what the engine cannot read from the graphs:

=============  ================================================  ==========================
graph          inputs                                            outputs
=============  ================================================  ==========================
text_encoder   input_ids, attention_mask  int64 [B, N]           embedding [B, D], unit norm
audio_encoder  waveform [B, S] at ``audio_encoder.sample_rate``  embedding [B, D], unit norm
vae_encoder    waveform [B, S] at ``sample_rate``                mean, logvar [B, C, T, F]
unet           sample [B, C, T, F], timestep [B],                prediction [B, C, T, F]
               embedding [B, D], or [B, D + 3] with ``notation``
vae_decoder    latent [B, C, T, F]                               log_mel [B, M, num_mels]
vocoder        log_mel [B, M, num_mels]                          waveform [B, >= M * hop]
               with ``vocoder_cells`` K, each of them optional:  phases, amplitude [B, M, K]
               phase [B, K], start int64 [1], drift [B, K]
listener       log_mel [B, M, num_mels]                          embedding [B, D], unit norm
=============  ================================================  ==========================

All tensors are float32 at the boundary whatever the precision inside. ``T``
(latent frames) must be a multiple of ``latent.time_multiple`` for the unet;
``M = T * latent.time_factor`` and ``S = M * hop_length``.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from server.errors import ModelError
from server.json_errors import NOT_JSON, without_bom
from server.model.checksums import sha256_of_model_file

__all__ = [
    "COMPONENTS",
    "FORMAT",
    "GROUNDING_FILE",
    "LISTENER",
    "AudioEncoderInfo",
    "Defaults",
    "Latent",
    "Manifest",
    "NoiseSchedule",
    "StoredFile",
    "Tokenizer",
    "describe_file",
]

FORMAT: Final = 1
COMPONENTS: Final = (
    "text_encoder",
    "audio_encoder",
    "vae_encoder",
    "unet",
    "vae_decoder",
    "vocoder",
)
LISTENER: Final = "listener"
GROUNDING_FILE: Final = "grounding.npz"
"""Latents of known sounds, for grounded takes (:mod:`server.model.grounding`)."""
MANIFEST_FILE: Final = "manifest.json"

Count = Annotated[int, Meta(ge=1)]
Prediction = Literal["epsilon", "v_prediction", "flow"]


class NoiseSchedule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How noise is mixed in, and what the unet predicts.

    ``epsilon`` and ``v_prediction`` use the variance-preserving "scaled linear" betas of
    latent diffusion, ``linspace(sqrt(beta_start), sqrt(beta_end), num_train_timesteps)**2``.
    ``flow`` is the rectified flow ``x_t = (1 - t) x_0 + t noise`` with t in [0, 1]; the unet
    sees ``t * num_train_timesteps`` and predicts ``noise - x_0``. Its steps are even in u, where
    ``t = shift u / (1 + (shift - 1) u)`` (arXiv:2403.03206): above 1 more of them are noisy ones.
    """

    prediction: Prediction = "epsilon"
    num_train_timesteps: Count = 1000
    beta_start: float = 0.0015
    beta_end: float = 0.0195
    shift: Annotated[float, Meta(gt=0)] = 1.0


class Latent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Layout of the latent ``[B, channels, time, mel_bins]``."""

    channels: Count = 8
    mel_bins: Count = 16
    time_factor: Count = 4
    """Mel frames per latent frame."""
    time_multiple: Count = 8
    """The unet takes only multiples of this many latent frames."""
    scale_factor: float = 1.0
    """Latent seen by the unet = scale_factor * VAE mean."""


class Tokenizer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The ``tokenizer.json`` in the folder."""

    max_length: Count = 77
    pad_id: int = 1
    pad_multiple: int = 16
    """Token counts are rounded up to this, so that few shapes are compiled."""
    vocab_size: int = 0


class AudioEncoderInfo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Input of the CLAP audio tower."""

    sample_rate: Count = 16000
    num_samples: int | None = None
    """Exact length of the input; None where any length will do. Shorter clips are repeated."""


class Defaults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings used where a request leaves them out."""

    sampler: str = "dpmpp_2m"
    num_inference_steps: int = 20
    guidance_scale: float = 2.5
    guidance_end: float = 1.0
    """Share of the steps after which there is no guidance."""
    audio_length_in_s: float = 5.12
    num_candidates: int = 1
    """Candidates rendered for a text request without a seed; the best one becomes the take."""
    max_audio_length_in_s: float = 10.24
    """One window; longer requests are rendered window by window."""


class StoredFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Size and checksum of one file of the folder."""

    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model folder, described. Read it with :meth:`load`, write it with :meth:`save`."""

    name: str
    licence: str
    source: str
    """Origin of the weights, in words."""
    sample_rate: Count = 16000
    hop_length: Count = 160
    num_mels: Count = 64
    embedding_dim: Count = 512
    notation: bool = False
    """The unet takes note, tempo and beats behind the embedding (see requests.notation)."""
    listener: bool = False
    """There is a graph ``listener`` that ranks candidates (:mod:`server.model.listener`)."""
    vocoder_cells: int = 0
    """Above 0, the vocoder takes and returns phases of so many cells (see the table)."""
    null_embedding: Literal["empty_prompt", "zeros"] = "empty_prompt"
    """Unconditional embedding of guidance where there is no negative prompt."""
    latent: Latent = Latent()
    schedule: NoiseSchedule = NoiseSchedule()
    tokenizer: Tokenizer = Tokenizer()
    audio_encoder: AudioEncoderInfo = AudioEncoderInfo()
    defaults: Defaults = Defaults()
    precision: str = "fp32"
    flavour: Literal["any", "cpu", "cuda"] = "any"
    """Which execution provider the graphs were made for."""
    opset: int = 17
    architecture: dict[str, Any] = {}
    """Sizes of the networks, for people and for retraining."""
    attribution: tuple[str, ...] = ()
    format: int = FORMAT
    weights_bytes: dict[str, Annotated[int, Meta(ge=0)]] = {}
    """Bytes of each graph's weights that are in files of the checkpoint."""
    files: dict[str, StoredFile] = {}

    @property
    def components(self) -> tuple[str, ...]:
        """The graphs, by name."""
        return (*COMPONENTS, LISTENER) if self.listener else COMPONENTS

    def graph_bytes(self, name: str) -> int:
        """Size of a graph with its weights, wherever they are."""
        files = (f"{name}.onnx", f"{name}.onnx.data")
        own = sum(self.files[file].bytes for file in files if file in self.files)
        return own + self.weights_bytes.get(name, 0)

    @property
    def has_grounding(self) -> bool:
        """True where takes can start from a known sound."""
        return GROUNDING_FILE in self.files

    @property
    def samples_per_latent_frame(self) -> int:
        """Audio samples that one latent frame stands for."""
        return self.hop_length * self.latent.time_factor

    @property
    def seconds_per_latent_frame(self) -> float:
        """Duration of one latent frame."""
        return self.samples_per_latent_frame / self.sample_rate

    def latent_frames(self, seconds: float) -> int:
        """Latent frames that cover ``seconds``, rounded up to what the unet takes."""
        frames = math.ceil(seconds * self.sample_rate / self.samples_per_latent_frame - 1e-9)
        multiple = self.latent.time_multiple
        return max(1, math.ceil(frames / multiple)) * multiple

    @property
    def digest(self) -> str:
        """SHA-256 over the checksums of all files: the identity of the model."""
        lines = "\n".join(f"{name} {entry.sha256}" for name, entry in sorted(self.files.items()))
        return hashlib.sha256(lines.encode()).hexdigest()

    @property
    def audio_tower(self) -> str:
        """SHA-256 of the CLAP audio tower: embeddings of different towers are not comparable."""
        return self.files["audio_encoder.onnx"].sha256

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Read and check ``folder/manifest.json``.

        Raises:
            ModelError: no manifest, an unknown format, a field of the wrong kind, a file missing.
        """
        path = folder / MANIFEST_FILE
        try:
            manifest = msgspec.json.decode(without_bom(path.read_bytes()), type=cls)
        except FileNotFoundError as error:
            raise ModelError(
                f"{folder} is no model folder: it has no {MANIFEST_FILE}. See: audioldm-daw model "
                "list. Make one with: audioldm-daw model add NAME, or audioldm-export CHECKPOINT"
            ) from error
        except (OSError, *NOT_JSON) as error:
            raise ModelError(f"{path} cannot be read: {error}") from error
        if manifest.format != FORMAT:
            raise ModelError(
                f"{path} has format {manifest.format}; this version reads format {FORMAT}"
            )
        manifest._check_files(folder)
        return manifest

    def save(self, folder: Path) -> None:
        """Write ``folder/manifest.json``."""
        (folder / MANIFEST_FILE).write_bytes(
            msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"
        )

    def verify(self, folder: Path) -> None:
        """Compare every file with its checksum.

        Raises:
            ModelError: a file differs from what the manifest says.
        """
        for name, entry in self.files.items():
            path = folder / name
            try:
                sha256 = sha256_of_model_file(path)
            except OSError as error:
                raise ModelError(f"{path} cannot be read: {error.strerror}") from error
            if sha256 != entry.sha256:
                raise ModelError(
                    f"{path} is damaged: its SHA-256 is {sha256[:12]}..., the manifest says "
                    f"{entry.sha256[:12]}...; copy or export the model again"
                )

    def _check_files(self, folder: Path) -> None:
        for name in (*(f"{component}.onnx" for component in self.components), "tokenizer.json"):
            if name not in self.files:
                raise ModelError(f"{folder / MANIFEST_FILE} does not list {name}")
        for name, entry in self.files.items():
            path = folder / name
            if Path(name).name != name:
                raise ModelError(
                    f"{folder / MANIFEST_FILE} lists {name!r}, which is not a plain file name"
                )
            try:
                size = path.stat().st_size
            except OSError as error:
                raise ModelError(f"{path}: {error.strerror}; export the model again") from error
            if size != entry.bytes:
                raise ModelError(
                    f"{path} has {size} bytes instead of {entry.bytes}: truncated or changed"
                )


def describe_file(path: Path) -> StoredFile:
    """Size and sha256 of ``path``."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return StoredFile(bytes=path.stat().st_size, sha256=digest)
