"""``audioldm-daw model`` and ``audioldm-server model``: add, list, remove, verify."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from server.checkpoints.templates import Templates, built_in_templates
from server.config import Config
from server.errors import ModelError
from server.model.memory import machine_memory, shown
from server.store.adding import add_model
from server.store.catalogue import CATALOGUE
from server.store.installed import find_installed, installed, remove_model
from server.store.plan import AddRequest, Plan, make_plan
from server.store.progress import Meter, Progress
from server.store.verify import Checked, Verification

__all__ = ["run_model_command"]


def run_model_command(options: argparse.Namespace, config: Config) -> int:
    """Carry out ``model ACTION``; 0: done, 1: something is wrong (and was said).

    Raises:
        AudioLDMError: it cannot be done, and why.
    """
    actions = {"add": _add, "list": _list, "verify": _verify, "remove": _remove}
    return actions[options.action](options, config)


def _add(options: argparse.Namespace, config: Config) -> int:
    fields = {field: getattr(options, field) for field in AddRequest.__struct_fields__}
    plan = make_plan(AddRequest(**fields), config.models)
    _say(plan, config.models)
    if plan.files and not plan.request.accept_licence and _accepts(plan):
        request = msgspec.structs.replace(plan.request, accept_licence=True)
        plan = msgspec.structs.replace(plan, request=request)
    meter = Meter(plan.name, _show)
    try:
        folder = add_model(plan, config.models, meter, _templates(options))
    finally:
        if sys.stderr.isatty():
            print(file=sys.stderr)
    print(f"{plan.name} is in {folder}; use it with: --model {plan.name}")
    return 0


def _say(plan: Plan, folder: Path) -> None:
    print(f"{plan.name}: {shown(plan.download_bytes)} to download into {folder}")
    print(f"  free on that disk: {shown(plan.free_bytes)}")
    print(f"  licence of the weights: {plan.licence}")


def _accepts(plan: Plan) -> bool:
    if not sys.stdin.isatty():
        return False
    answer = input(f"Do you accept the licence of {plan.name}? [y/N] ")
    return answer.strip().lower() in ("y", "yes")


def _show(progress: Progress) -> None:
    """One line that is written over on a terminal, a line a stage elsewhere."""
    share = progress.done_bytes / progress.total_bytes if progress.total_bytes else 0.0
    line: str = progress.stage
    if progress.total_bytes:
        line += f" {share:4.0%} of {shown(progress.total_bytes)}"
    if progress.bytes_per_s:
        line += f", {shown(round(progress.bytes_per_s))}/s, {progress.left_s:.0f} s left"
    if sys.stderr.isatty():
        print(f"\r{line:<70}", end="", file=sys.stderr, flush=True)
    elif not progress.bytes_per_s:
        print(line, file=sys.stderr)


def _list(_: argparse.Namespace, config: Config) -> int:
    here = set()
    for entry in installed(config.model_folders):
        if isinstance(entry, ModelError):
            print(f"! {entry}")
            continue
        here.add(entry.name)
        mark = "*" if entry.default else " "
        sizes = f"{shown(entry.bytes)}, {shown(entry.memory_bytes)} of memory"
        print(f"{mark} {entry.name}: {sizes}, {entry.manifest.licence}")
    print(f"to be added (this machine has {shown(machine_memory())} of memory):")
    for published in CATALOGUE.values():
        if published.name not in here:
            print(f"  {published.name}: {published.about}")
    return 0


def _verify(options: argparse.Namespace, config: Config) -> int:
    model = find_installed(config.model_folders, options.name)
    model.manifest.verify(model.folder)
    print(f"{model.name}: all {len(model.manifest.files)} files are as they were added")
    checks = Verification(model, config, _templates(options))
    print(f"{'graph':<16}{'drawn weights':>15}{'own weights':>15}")
    wrong: list[str] = []
    for checked in checks.graphs():
        own = "kept" if checked.own_db is None else _decibels(checked.own_db)
        drawn = "no template" if checked.drawn_db is None else _decibels(checked.drawn_db)
        print(f"{checked.name:<16}{drawn:>15}{own:>15}", flush=True)
        wrong += _complaints(checked, checks)
    for line in wrong:
        print(line)
    return int(bool(wrong))


def _complaints(checked: Checked, checks: Verification) -> Iterator[str]:
    if checks.is_wrong(checked.drawn_db):
        yield (
            f"! {checked.name} is computed wrongly here: too far from torch's output with the same "
            "drawn weights; try --device cpu, or another version of onnxruntime"
        )
    if checks.is_wrong(checked.own_db):
        yield (
            f"! {checked.name} gives something else than by {checked.by}; if that one was wrong, "
            f"delete {checks.path}"
        )


def _decibels(snr: float) -> str:
    return "the same" if snr == math.inf else f"{snr:.0f} dB"


def _templates(options: argparse.Namespace) -> Templates:
    return Templates(options.templates) if options.templates else built_in_templates()


def _remove(options: argparse.Namespace, config: Config) -> int:
    model = find_installed(config.model_folders, options.name)
    freed = remove_model(model, config.models)
    print(f"{model.name} is removed; {shown(freed)} are free again")
    return 0
