"""The report of an evaluation as Markdown: goal, result, and result of real clips."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

__all__ = ["folders_markdown", "model_markdown"]

Row = tuple[str, Any, Any, str]

VARIETY: Final = "variety of eight takes, relative"
RELATIVE_FLUX: Final = "flux, relative"
OVERVIEW: Final = {
    "top-1": ("classes", "top1"),
    "top-3": ("classes", "top3"),
    "FD (lower is better)": ("distributions", "fd"),
    "flux, dB": ("texture", "flux_db"),
    RELATIVE_FLUX: ("texture", "relative"),
    VARIETY: ("variety", ""),
    "note within 50 cents": ("notes", "right"),
    "named tempo": ("loops", "same"),
}
"""Rows of the table of first takes and defaults: the part and the key of each."""


def model_markdown(report: dict[str, Any], before: dict[str, Any] | None = None) -> str:
    """Tables of a model's report; parts that were not run are left out.

    Args:
        report: the report.
        before: the report of an earlier version, which is shown beside it.
    """
    model = report["model"]
    lines = [
        f"# Evaluation of {model['name']}",
        "",
        f"Model `{model['digest'][:12]}`; {model['steps']} steps, {model['sampler']}, guidance "
        f"{model['guidance_scale']}, best of {model['candidates']}, takes of {model['seconds']} s, "
        f"prompts: {model['prompts']}.",
        "",
        *_overview_lines(report, before),
        *_table(("measure", "generated", "real", "wanted"), _headline(report)),
    ]
    if "classes" in report:
        lines += _class_lines(report["classes"])
    if "noises" in report:
        lines += _noise_lines(report["noises"])
    if "variety" in report:
        rows = [
            (name, row["real"], row["seeds"], row["chosen"])
            for name, row in report["variety"]["prompts"].items()
        ]
        header = ("eight takes of", "distance among real", "seeds, relative", "chosen, relative")
        lines += ["", "## Variety", "", *_table(header, rows)]
    return "\n".join(lines) + "\n"


def folders_markdown(report: dict[str, Any]) -> str:
    """Table of a comparison of two folders."""
    rows: list[Row] = []
    for name, title in (("cnn14", "PANNs Cnn14-16k"), ("judge", "the judge")):
        if name in report:
            part = report[name]
            rows.append((title, part["fd"], part["is"], _cell(part["kl_softmax"])))
    header = ("classifier", "FD", "IS", "KL")
    lines = [
        f"# {report['generated']} generated files against {report['references']} references",
        "",
        *_table(header, rows),
    ]
    if "vggish" in report:
        lines += ["", f"FAD (VGGish): {report['vggish']['fad']:.2f}"]
    return "\n".join(lines) + "\n"


def _overview_lines(report: dict[str, Any], before: dict[str, Any] | None) -> list[str]:
    """The main measures of first takes and defaults in one table, beside those of real clips."""
    if "first" not in report:
        return []
    sides = [report] if before is None else [report, before]
    header = ["measure", "real"]
    for name in ("", ", before")[: len(sides)]:
        header += [f"first takes{name}", f"defaults{name}"]
    columns = [_real_column(report)]
    for side in sides:
        variety = side.get("variety", {})
        columns.append(_column(side.get("first", {}), variety.get("seeds")))
        columns.append(_column(side, variety.get("chosen")))
    rows = zip(OVERVIEW, *columns, strict=True)
    return [*_table(header, rows), ""]


def _column(report: dict[str, Any], variety: float | None) -> list[Any]:
    """The measures of :data:`OVERVIEW` for one kind of take; None where one was not measured."""
    cells = {name: report.get(part, {}).get(key) for name, (part, key) in OVERVIEW.items()}
    return list((cells | {VARIETY: variety}).values())


def _real_column(report: dict[str, Any]) -> list[Any]:
    cells = {}
    for name, (part, key) in OVERVIEW.items():
        measured = report.get(part, {})
        cells[name] = measured.get(f"real_{key}", (measured.get("real") or {}).get(key))
    return list((cells | {VARIETY: 1.0, RELATIVE_FLUX: 1.0}).values())


def _headline(report: dict[str, Any]) -> list[Row]:
    rows: list[Row] = []
    if "classes" in report:
        part = report["classes"]
        wanted = ">= 85 % of real"
        rows += [
            ("judged top-1", part["top1"], part["real_top1"], wanted),
            ("judged top-1, relative to real", part["relative_top1"], 1.0, ">= 0.85"),
            ("judged top-3", part["top3"], part["real_top3"], ""),
        ]
    if "noises" in report:
        part = report["noises"]
        rows.append(("six noises distinguished, relative", part["relative"], 1.0, ">= 0.70"))
    if "distributions" in report:
        part = report["distributions"]
        rows += [
            (f"FD (judge, {part['takes']} takes)", part["fd"], part["real_fd"], "near real"),
            ("IS (judge)", part["is"], part["real_is"], "near real"),
            (
                "CLAP score (the model's own)",
                part["own_clap_score"],
                None,
                "no target: not a judge",
            ),
        ]
    if "pairs" in report:
        part = report["pairs"]
        rows.append(("KL (judge, paired by caption)", part["kl"], part["real_kl"], "near real"))
    rows += _tone_rows(report) + _decoder_rows(report) + _tuning_rows(report)
    if "variety" in report:
        part = report["variety"]
        rows += [
            ("variety over 8 seeds, relative", part["seeds"], 1.0, "0.7 to 1.3"),
            ("variety over 8 takes chosen from several", part["chosen"], 1.0, "0.7 to 1.3"),
        ]
    if "copies" in report:
        part = report["copies"]
        rows.append(("distance to nearest training clip", part["median"], part["real_median"], ""))
    for steps, rates in report.get("steps", {}).get("steps", {}).items():
        rows.append((f"judged top-1 at {steps} steps", rates["top1"], None, "8 as good as 20"))
    return rows


def _tone_rows(report: dict[str, Any]) -> list[Row]:
    rows: list[Row] = []
    if "notes" in report:
        part, real = report["notes"], report["notes"]["real"] or {}
        for key, title, wanted in (
            ("right", "note within 50 cents", ">= 0.90"),
            ("in_tune", "note within 10 cents", ">= 0.75"),
            ("octave", "note right but for the octave", "counted apart"),
            ("unpitched", "note without pitch", ""),
            ("steady", "steadiness of pitch", "near real"),
        ):
            rows.append((title, part[key], real.get(key), wanted))
    if "loops" in report:
        part, real = report["loops"], report["loops"]["real"] or {}
        for key, title in (
            ("same", "loop has the named tempo"),
            ("related", "loop has half, double or 2:3 of it"),
            ("grid_alignment", "onsets on the sixteenths"),
            ("grid_alignment_by_chance", "the same by chance"),
        ):
            rows.append((title, part[key], real.get(key), ""))
    return rows


def _decoder_rows(report: dict[str, Any]) -> list[Row]:
    if "decoder" not in report:
        return []
    part = report["decoder"]
    return [
        ("real through VAE and vocoder, top-1", part["top1"], part["real_top1"], "within 0.03"),
        ("real through vocoder only, top-1", part.get("top1_vocoder_only"), part["real_top1"], ""),
        ("mel-L1, VAE and vocoder", part["mel_l1"], None, "<= 0.15"),
        ("mel-L1, VAE only", part.get("mel_l1_vae_only"), None, ""),
        ("mel-L1, vocoder only", part.get("mel_l1_vocoder_only"), None, ""),
        ("modulation spectrum, dB off", part["modulation_difference_db"], None, "near 0"),
        ("block pattern in time, dB", part["block_excess_time_db"], None, "near 0"),
        ("block pattern in frequency, dB", part["block_excess_frequency_db"], None, "near 0"),
        ("ringing at the frame rate, dB", part["ring_db"], None, "near 0"),
    ]


def _tuning_rows(report: dict[str, Any]) -> list[Row]:
    if "tuning" not in report:
        return []
    part = report["tuning"]
    tones, notes = part["tones"], part["notes"]
    return [
        ("steady tones, median cents off", tones["median"], None, "<= 3"),
        ("steady tones, worst", tones["worst"], None, "<= 15"),
        *(
            (f"{timbre}: median, worst", f"{row['median']:.1f}, {row['worst']:.1f}", None, "")
            for timbre, row in part["by_timbre"].items()
        ),
        ("real notes, median cents moved", notes["median"], None, "<= 4"),
        ("real notes, 95 %", notes["p95"], None, "<= 20"),
        ("notes of chords within 10 cents", part["chords"]["within_10_cents"], None, ">= 0.90"),
    ]


def _class_lines(part: dict[str, Any]) -> list[str]:
    rows = [
        (
            name,
            row["top1"],
            row["real_top1"],
            ", ".join(f"{k} {n}" for k, n in row["classified_as"].items()),
        )
        for name, row in sorted(part["classes"].items(), key=_shortfall)
    ]
    header = ("class", "top-1", "real top-1", "classified as")
    return ["", "## Classes, the weakest first", "", *_table(header, rows)]


def _shortfall(item: tuple[str, dict[str, Any]]) -> tuple[float, str]:
    name, row = item
    return row["top1"] - row["real_top1"], name


def _noise_lines(part: dict[str, Any]) -> list[str]:
    rows = [
        (name, *generated, "", *real)
        for name, generated, real in zip(
            part["names"], part["generated"]["confusion"], part["real"]["confusion"], strict=True
        )
    ]
    header = ("asked", *part["names"], "real:", *part["names"])
    return ["", "## Noises", "", *_table(header, rows)]


def _table(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> list[str]:
    names = list(header)
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    return lines + ["| " + " | ".join(map(_cell, row)) + " |" for row in rows]


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
