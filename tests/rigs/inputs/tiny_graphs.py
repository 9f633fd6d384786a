"""The graphs of the tiny model: each does in mathematics what its network does in AudioLDM."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto
from onnx_builder import Graph

from server.model.manifest import NoiseSchedule, Prediction
from server.model.schedule import alphas_cumprod

__all__ = ["audio_encoder", "text_encoder", "unet", "vae_decoder", "vae_encoder", "vocoder"]

SAMPLE_RATE, HOP, N_FFT, NUM_MELS = 16000, 160, 512, 32
PATCH, CHANNELS, MEL_BINS, MULTIPLE = 4, 4, 8, 8
DIM = NUM_MELS
BASE, GAIN, SPREAD, LATENT_SCALE, SCALE_FACTOR = -7.0, 10.0, 0.3, 8.0, 0.8


Array = npt.NDArray[Any]


def text_encoder(words: dict[str, Array]) -> Any:
    g = Graph()
    vectors = g("Gather", g.const(np.stack(list(words.values()))), "input_ids")
    mask = g("Cast", "attention_mask", to=TensorProto.FLOAT)
    kept = g("Mul", vectors, g.reshape(mask, 0, 0, 1))
    _normalise(g, g("ReduceSum", kept, g.const([1], np.int64), keepdims=0))
    return g.model(
        {"input_ids": ["B", "N"], "attention_mask": ["B", "N"]}, {"embedding": ["B", DIM]}
    )


def _normalise(g: Graph, x: str) -> None:
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


def _log_mel(g: Graph) -> str:
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


def audio_encoder() -> Any:
    g = Graph()
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


def vae_encoder() -> Any:
    g = Graph()
    x = g("Sub", _log_mel(g), g.const(BASE))
    x = g.reshape(x, 0, -1, PATCH, MEL_BINS, PATCH)
    x = g.reshape(g("Transpose", x, perm=[0, 1, 3, 2, 4]), 0, 0, 0, PATCH * PATCH)
    x = g("MatMul", x, g.const(_patch_basis() / LATENT_SCALE))
    mean = g("Transpose", x, perm=[0, 3, 1, 2], name="mean")
    g("Sub", g("Mul", mean, g.const(0.0)), g.const(10.0), name="logvar")
    shape = ["B", CHANNELS, "T", MEL_BINS]
    return g.model({"waveform": ["B", "S"]}, {"mean": shape, "logvar": shape})


def vae_decoder() -> Any:
    g = Graph()
    x = g("Transpose", "latent", perm=[0, 2, 3, 1])
    x = g("MatMul", x, g.const(_patch_basis().T * LATENT_SCALE))
    x = g("Transpose", g.reshape(x, 0, 0, 0, PATCH, PATCH), perm=[0, 1, 3, 2, 4])
    g("Add", g.reshape(x, 0, -1, NUM_MELS), g.const(BASE), name="log_mel")
    return g.model({"latent": ["B", CHANNELS, "T", MEL_BINS]}, {"log_mel": ["B", "M", NUM_MELS]})


def unet(prediction: Prediction) -> Any:
    """The best guess of sounds spread by SPREAD around the prompt's profile, smooth in time."""
    g = Graph()
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


def _levels(g: Graph, prediction: Prediction) -> tuple[str, str]:
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


def _as_prediction(g: Graph, prediction: Prediction, alpha: str, sigma: str, clean: str) -> None:
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


def vocoder() -> Any:
    """One tone a band under overlapping Hann windows; like HiFi-GAN 32 samples too many."""
    g = Graph()
    centres = _slaney_edges()[1:-1]
    tones = np.maximum(np.round(centres * HOP / SAMPLE_RATE), 1) * SAMPLE_RATE / HOP
    n = np.arange(2 * HOP)
    waves = np.sin(2 * np.pi * tones[:, None] * n / SAMPLE_RATE)
    spectrum = np.abs(np.fft.rfft(_steady(tones), axis=1))
    response = np.einsum("kf,fk->k", spectrum, _filters())
    kernel = waves * np.hanning(2 * HOP + 1)[:-1] / response[:, None]
    loudness = g("Exp", g("Clip", "log_mel", g.const(-12.0), g.const(4.0)))
    x = g("Transpose", loudness, perm=[0, 2, 1])
    margin = (HOP - 32) // 2
    x = g("ConvTranspose", x, g.const(kernel[:, None]), strides=[HOP], pads=[margin, margin])
    g.reshape(g("Tanh", x), 0, -1, name="waveform")
    return g.model({"log_mel": ["B", "M", NUM_MELS]}, {"waveform": ["B", "N"]})


def _steady(tones: Array) -> Array:
    n = np.arange(N_FFT)
    return np.asarray(np.sin(2 * np.pi * tones[:, None] * n / SAMPLE_RATE) * np.hanning(N_FFT))
