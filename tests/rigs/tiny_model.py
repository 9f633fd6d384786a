"""A model folder of a few kilobytes that means something, made with ``onnx.helper``.

The graphs obey the table in :mod:`server.model.manifest`, and their mathematics is real: an
embedding is a spectral profile, the unet is the exact denoiser of sounds spread around the
prompt's profile, the VAE is a cosine transform of log-mel patches, and the vocoder rings one
tone a mel band. "low hum" therefore sounds low, CLAP finds it lower than "high hiss", a take
depends on its seed, and a milliseconds-long render says whether the pipeline is right.
No size equals AudioLDM's, so that code which has numbers built in fails here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from server.model.manifest import (
    COMPONENTS,
    AudioEncoderInfo,
    Defaults,
    Latent,
    Manifest,
    NoiseSchedule,
    Prediction,
    Tokenizer,
    describe_file,
)
from server.model.schedule import alphas_cumprod

__all__ = ["PROFILES", "make_tiny_folder"]

SAMPLE_RATE, HOP, N_FFT, NUM_MELS = 16000, 160, 512, 32
PATCH, CHANNELS, MEL_BINS, MULTIPLE = 4, 4, 8, 8
DIM = NUM_MELS
BASE, GAIN, SPREAD, LATENT_SCALE, SCALE_FACTOR = -7.0, 10.0, 0.3, 8.0, 0.8
Array = npt.NDArray[Any]

_bands = np.arange(NUM_MELS)
PROFILES: dict[str, Array] = {
    "low": _bands < 8,
    "mid": (_bands >= 12) & (_bands < 20),
    "high": _bands >= 24,
    "comb": _bands % 8 < 2,
    "bright": _bands >= 12,
    "dark": _bands < 20,
}
"""Words that mean a spectrum; any other word means something fixed and arbitrary."""


def make_tiny_folder(folder: Path, prediction: Prediction = "flow") -> Path:
    """Write the model folder and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    words = _write_tokenizer(folder)
    graphs = {
        "text_encoder": _text_encoder(words),
        "audio_encoder": _audio_encoder(),
        "vae_encoder": _vae_encoder(),
        "unet": _unet(prediction),
        "vae_decoder": _vae_decoder(),
        "vocoder": _vocoder(),
    }
    for name, model in graphs.items():
        onnx.checker.check_model(model)
        onnx.save(model, folder / f"{name}.onnx")
    names = [*(f"{name}.onnx" for name in COMPONENTS), "tokenizer.json"]
    Manifest(
        name=f"tiny-{prediction}",
        licence="Apache-2.0",
        source="made by the tests",
        sample_rate=SAMPLE_RATE,
        hop_length=HOP,
        num_mels=NUM_MELS,
        embedding_dim=DIM,
        null_embedding="zeros",
        latent=Latent(
            channels=CHANNELS,
            mel_bins=MEL_BINS,
            time_factor=PATCH,
            time_multiple=MULTIPLE,
            scale_factor=SCALE_FACTOR,
        ),
        schedule=NoiseSchedule(prediction=prediction),
        tokenizer=Tokenizer(max_length=64, pad_id=0, pad_multiple=8, vocab_size=len(words)),
        audio_encoder=AudioEncoderInfo(sample_rate=SAMPLE_RATE),
        defaults=Defaults(
            sampler="ddim",
            num_inference_steps=4,
            guidance_scale=1.5,
            audio_length_in_s=1.0,
            max_audio_length_in_s=2.56,
        ),
        files={name: describe_file(folder / name) for name in names},
    ).save(folder)
    return folder


class _Graph:
    """Nodes and constants on their way to a model; each call adds a node and names its output."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def const(self, value: Any, dtype: Any = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def __call__(self, op: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        name = name or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def reshape(self, x: str, *shape: int, name: str = "") -> str:
        return self("Reshape", x, self.const(shape, np.int64), name=name)

    def model(self, inputs: dict[str, list[Any]], outputs: dict[str, list[Any]]) -> Any:
        def info(name: str, shape: list[Any]) -> Any:
            is_id = name in ("input_ids", "attention_mask")
            kind = TensorProto.INT64 if is_id else TensorProto.FLOAT
            return helper.make_tensor_value_info(name, kind, shape)

        graph = helper.make_graph(
            self.nodes,
            "tiny",
            [info(*item) for item in inputs.items()],
            [info(*item) for item in outputs.items()],
            self.constants,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _unit(profile: Array) -> Array:
    centred = profile.astype(np.float64) - profile.mean()
    return centred / np.linalg.norm(centred)


def _words() -> dict[str, Array]:
    rng = np.random.default_rng(5)
    letters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    silent = {"[PAD]": np.zeros(DIM), "[CLS]": np.zeros(DIM)}
    known = {word: 3.0 * _unit(profile) for word, profile in PROFILES.items()}
    pieces = ["[UNK]", *letters, *(f"##{letter}" for letter in letters)]
    return {**silent, **known, **{piece: _unit(rng.random(DIM)) for piece in pieces}}


def _write_tokenizer(folder: Path) -> dict[str, Array]:
    from tokenizers import Tokenizer as Fast
    from tokenizers import models, normalizers, pre_tokenizers, processors

    words = _words()
    ids = {word: index for index, word in enumerate(words)}
    tokenizer = Fast(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A", special_tokens=[("[CLS]", ids["[CLS]"])]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    return words


def _text_encoder(words: dict[str, Array]) -> Any:
    g = _Graph()
    vectors = g("Gather", g.const(np.stack(list(words.values()))), "input_ids")
    mask = g("Cast", "attention_mask", to=TensorProto.FLOAT)
    kept = g("Mul", vectors, g.reshape(mask, 0, 0, 1))
    _normalise(g, g("ReduceSum", kept, g.const([1], np.int64), keepdims=0))
    return g.model(
        {"input_ids": ["B", "N"], "attention_mask": ["B", "N"]}, {"embedding": ["B", DIM]}
    )


def _normalise(g: _Graph, x: str) -> None:
    norm = g("ReduceL2", x, axes=[1], keepdims=1)
    g("Div", x, g("Max", norm, g.const(1e-6)), name="embedding")


def _slaney_edges() -> Array:
    """Corner frequencies of the mel filters in Hz, [NUM_MELS + 2]."""
    step, knee = 200 / 3, 1000.0
    log_step = np.log(6.4) / 27
    top = knee / step + np.log(SAMPLE_RATE / 2 / knee) / log_step
    mels = np.linspace(0, top, NUM_MELS + 2)
    high = knee * np.exp(log_step * (mels - knee / step))
    return np.asarray(np.where(mels < knee / step, mels * step, high))


def _filters() -> Array:
    """Triangular filters of equal area, [N_FFT / 2 + 1, NUM_MELS]."""
    edges = _slaney_edges()
    hz = np.arange(N_FFT // 2 + 1)[:, None] * SAMPLE_RATE / N_FFT
    up = (hz - edges[:-2]) / (edges[1:-1] - edges[:-2])
    down = (edges[2:] - hz) / (edges[2:] - edges[1:-1])
    return np.clip(np.minimum(up, down), 0, None) * 2 / (edges[2:] - edges[:-2])


def _log_mel(g: _Graph) -> str:
    """The input ``waveform`` [B, S] as log-mel [B, S / HOP, NUM_MELS]."""
    margin = (N_FFT - HOP) // 2
    x = g.reshape("waveform", 0, 1, -1)
    x = g("Pad", x, g.const([0, 0, margin, 0, 0, margin], np.int64), mode="reflect")
    n = g.const(np.arange(N_FFT).reshape(1, 1, -1))
    k = g.const(np.arange(N_FFT // 2 + 1).reshape(-1, 1, 1) * 2 * np.pi / N_FFT)
    window = g.const(np.hanning(N_FFT + 1)[:-1].reshape(1, 1, -1))
    power = []
    for wave in ("Cos", "Sin"):
        basis = g("Mul", g(wave, g("Mul", k, n)), window)
        part = g("Conv", x, basis, strides=[HOP])
        power.append(g("Mul", part, part))
    magnitude = g("Sqrt", g("Add", g("Add", *power), g.const(1e-12)))
    mel = g("MatMul", g("Transpose", magnitude, perm=[0, 2, 1]), g.const(_filters()))
    return g("Log", g("Max", mel, g.const(1e-5)))


def _audio_encoder() -> Any:
    g = _Graph()
    profile = g("ReduceMean", _log_mel(g), axes=[1], keepdims=0)
    _normalise(g, g("Sub", profile, g("ReduceMean", profile, axes=[1], keepdims=1)))
    return g.model({"waveform": ["B", "S"]}, {"embedding": ["B", DIM]})


def _patch_basis() -> Array:
    """The lowest CHANNELS patterns of a PATCH x PATCH cosine transform, [PATCH**2, CHANNELS]."""
    n = np.arange(PATCH)
    rows = np.cos(np.pi * (n[:, None] + 0.5) * n / PATCH)
    rows = rows / np.linalg.norm(rows, axis=0)
    order = [(0, 0), (0, 1), (1, 0), (1, 1)]
    return np.stack([np.outer(rows[:, t], rows[:, f]).ravel() for t, f in order], axis=1)


def _vae_encoder() -> Any:
    g = _Graph()
    x = g("Sub", _log_mel(g), g.const(BASE))
    x = g.reshape(x, 0, -1, PATCH, MEL_BINS, PATCH)
    x = g.reshape(g("Transpose", x, perm=[0, 1, 3, 2, 4]), 0, 0, 0, PATCH * PATCH)
    x = g("MatMul", x, g.const(_patch_basis() / LATENT_SCALE))
    mean = g("Transpose", x, perm=[0, 3, 1, 2], name="mean")
    g("Sub", g("Mul", mean, g.const(0.0)), g.const(10.0), name="logvar")
    shape = ["B", CHANNELS, "T", MEL_BINS]
    return g.model({"waveform": ["B", "S"]}, {"mean": shape, "logvar": shape})


def _vae_decoder() -> Any:
    g = _Graph()
    x = g("Transpose", "latent", perm=[0, 2, 3, 1])
    x = g("MatMul", x, g.const(_patch_basis().T * LATENT_SCALE))
    x = g("Transpose", g.reshape(x, 0, 0, 0, PATCH, PATCH), perm=[0, 1, 3, 2, 4])
    g("Add", g.reshape(x, 0, -1, NUM_MELS), g.const(BASE), name="log_mel")
    return g.model({"latent": ["B", CHANNELS, "T", MEL_BINS]}, {"log_mel": ["B", "M", NUM_MELS]})


def _unet(prediction: Prediction) -> Any:
    """The best guess of sounds spread by SPREAD around the prompt's profile, smooth in time."""
    g = _Graph()
    alpha, sigma = _levels(g, prediction)
    mean = g.reshape(g("MatMul", "embedding", g.const(_profile_to_latent())), 0, CHANNELS, 1, -1)
    gathered = g.reshape("sample", 0, CHANNELS, -1, MULTIPLE, MEL_BINS)
    x = g.reshape(gathered, 0, CHANNELS, -1, MEL_BINS)
    above = g("Sub", x, g("Mul", alpha, mean))
    weights = np.array([0.1, 0.2, 0.4, 0.2, 0.1]).reshape(1, 1, 5, 1)
    smooth = g(
        "Conv",
        above,
        g.const(np.repeat(weights, CHANNELS, axis=0)),
        group=CHANNELS,
        pads=[2, 0, 2, 0],
    )
    variance = g("Mul", g("Mul", alpha, alpha), g.const(SPREAD**2))
    total = g("Add", variance, g("Mul", sigma, sigma))
    trust = g("Div", g("Mul", alpha, g.const(SPREAD**2)), total)
    clean = g("Add", mean, g("Mul", trust, smooth))
    _as_prediction(g, prediction, alpha, sigma, clean)
    latent = ["B", CHANNELS, "T", MEL_BINS]
    return g.model(
        {"sample": latent, "timestep": ["B"], "embedding": ["B", DIM]}, {"prediction": latent}
    )


def _levels(g: _Graph, prediction: Prediction) -> tuple[str, str]:
    """alpha and sigma [B, 1, 1, 1] of the input ``timestep``."""
    if prediction == "flow":
        sigma = g("Div", "timestep", g.const(1000.0))
        alpha = g("Sub", g.const(1.0), sigma)
    else:
        kept = alphas_cumprod(NoiseSchedule())
        index = g("Cast", "timestep", to=TensorProto.INT64)
        alpha = g("Gather", g.const(np.sqrt(kept)), index)
        sigma = g("Gather", g.const(np.sqrt(1 - kept)), index)
    return g.reshape(alpha, -1, 1, 1, 1), g.reshape(sigma, -1, 1, 1, 1)


def _as_prediction(g: _Graph, prediction: Prediction, alpha: str, sigma: str, clean: str) -> None:
    if prediction == "v_prediction":
        g("Div", g("Sub", g("Mul", alpha, "sample"), clean), sigma, name="prediction")
        return
    scale = alpha if prediction == "epsilon" else g.const(1.0)
    g("Div", g("Sub", "sample", g("Mul", scale, clean)), sigma, name="prediction")


def _profile_to_latent() -> Array:
    """From an embedding to the latent of a steady sound with that profile, [DIM, CHANNELS * F]."""
    patches = np.repeat(np.eye(DIM).reshape(DIM, MEL_BINS, 1, PATCH), PATCH, axis=2)
    latent = patches.reshape(DIM, MEL_BINS, -1) @ _patch_basis()
    scale = GAIN * SCALE_FACTOR / LATENT_SCALE
    return np.asarray(latent.transpose(0, 2, 1).reshape(DIM, -1) * scale)


def _vocoder() -> Any:
    """One tone a band under overlapping Hann windows; like HiFi-GAN 32 samples too many."""
    g = _Graph()
    centres = _slaney_edges()[1:-1]
    tones = np.maximum(np.round(centres * HOP / SAMPLE_RATE), 1) * SAMPLE_RATE / HOP
    n = np.arange(2 * HOP)
    waves = np.sin(2 * np.pi * tones[:, None] * n / SAMPLE_RATE)
    spectrum = np.abs(np.fft.rfft(_steady(tones), axis=1))
    heard = np.einsum("kf,fk->k", spectrum, _filters())
    kernel = waves * np.hanning(2 * HOP + 1)[:-1] / heard[:, None]
    loudness = g("Exp", g("Clip", "log_mel", g.const(-12.0), g.const(4.0)))
    x = g("Transpose", loudness, perm=[0, 2, 1])
    margin = (HOP - 32) // 2
    x = g("ConvTranspose", x, g.const(kernel[:, None]), strides=[HOP], pads=[margin, margin])
    g.reshape(g("Tanh", x), 0, -1, name="waveform")
    return g.model({"log_mel": ["B", "M", NUM_MELS]}, {"waveform": ["B", "N"]})


def _steady(tones: Array) -> Array:
    n = np.arange(N_FFT)
    return np.asarray(np.sin(2 * np.pi * tones[:, None] * n / SAMPLE_RATE) * np.hanning(N_FFT))
