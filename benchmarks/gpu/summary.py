"""Floors and ratios from the answers of a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

__all__ = ["summary"]

_STEPS: Final = 20
_PARTS: Final = {"unet": 1 / _STEPS, "vae_decoder": 1.0, "vocoder": 1.0}
"""The share of a clip's work in a stage that one call does."""


def summary(report: dict[str, dict[str, Any]]) -> list[str]:
    """Lines for a person: floors, the best variants, and ratios to diffusers."""
    return [*_floors(report), *_best(report), *_ratios(report)]


def _floors(report: dict[str, dict[str, Any]]) -> Iterator[str]:
    tflops = report.get("floors", {}).get("product in float16, TFLOP/s")
    work = report.get("variants_in_float16", {}).get("GFLOP of a clip of 10.24 s, 20 steps")
    if not (isinstance(tflops, int | float) and isinstance(work, dict) and "unet" in work):
        return
    for name, share in _PARTS.items():
        yield f"floor of {name}, one take: {work[name] * share / tflops:.2f} ms"


def _best(report: dict[str, dict[str, Any]]) -> Iterator[str]:
    """The quickest variant of each graph and size, and what the product's takes beside it."""
    for question in ("variants_of_the_built_in", "variants_in_float16"):
        found: dict[str, dict[str, float]] = {}
        for name, answer in report.get(question, {}).items():
            if isinstance(answer, dict) and "median" in answer:
                graph, size, kind = name.removesuffix(", ms").split(", ")
                found.setdefault(f"{graph}, {size}", {})[kind] = answer["median"]
        for name, times in found.items():
            best = min(times, key=times.__getitem__)
            product = times.get("as the product")
            beside = f"; as the product {product / times[best]:.2f} of that" if product else ""
            yield f"{question}, {name}: {best}, {times[best]:.2f} ms{beside}"


def _ratios(report: dict[str, dict[str, Any]]) -> Iterator[str]:
    for takes, answer in report.get("against_diffusers", {}).items():
        if isinstance(answer, dict) and "ratio" in answer:
            yield f"{takes}: {answer['ratio']['total']:.2f} of diffusers' time in float16"
