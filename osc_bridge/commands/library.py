"""``audioldm-daw library``: folders of sounds, and the search in them.

A running companion is asked over HTTP. Where none runs, the same routes are called in this process.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from osc_bridge.commands.companion import answer_of, companion, is_there
from server.config import Config
from server.config_flags import add_flags
from server.requests.fields import fields_of

if TYPE_CHECKING:
    import httpx

__all__ = ["add_library_command", "library"]

_SETTINGS: Final = ("model", "http_port", "state_folder")
_LOOK_S: Final = 0.5
_FOLDERS: Final = "/v1/library/folders"


def add_library_command(parser: argparse.ArgumentParser) -> None:
    """The flags of ``audioldm-daw library``."""
    from server.sample_library.query import SampleSearch

    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, summary in (
        ("add", "index a folder of sounds, and keep it indexed while the companion runs"),
        ("remove", "forget a folder; its files stay"),
        ("pause", "stop to index a folder"),
        ("resume", "go on with it"),
        ("problems", "list files that could not be read"),
    ):
        action = actions.add_parser(name, help=summary, description=summary)
        action.add_argument("folder", metavar="FOLDER")
    actions.add_parser("state", help="list the folders and how far they are indexed")
    find = actions.add_parser("find", help="find sounds by words, by a sound and by measures")
    find.add_argument("query", nargs="?", default="", help="'rain', or 'rain:1 + hiss:-0.5'")
    for field in fields_of(SampleSearch):
        if field.name != "query":
            flag = f"--{field.name.replace('_', '-')}"
            find.add_argument(flag, dest=field.name, help=field.description or None)
    for action in actions.choices.values():
        action.add_argument("--json", action="store_true", help="as JSON")
        add_flags(action, _SETTINGS)


def library(options: argparse.Namespace, config: Config) -> int:
    """Run one action and print its answer.

    Raises:
        AudioLDMError: it was refused.
    """
    import asyncio

    return asyncio.run(_run(options, config))


async def _run(options: argparse.Namespace, config: Config) -> int:
    async with _connected(config) as (http, own):
        result = await _ask(http, options)
        if own and options.action in ("add", "resume"):
            result = await _indexed(http)
        if options.json:
            print(json.dumps(result, indent=2, ensure_ascii=False))
        else:
            show: Callable[[Any], None] = _PRINT.get(options.action, _print_state)
            show(result)
    return 0


async def _ask(http: httpx.AsyncClient, options: argparse.Namespace) -> Any:
    """Send the action and return the answer."""
    from server.sample_library.query import SampleSearch

    if options.action == "find":
        names = (field.name for field in fields_of(SampleSearch))
        values = {name: getattr(options, name) for name in names}
        if values["like"]:
            values["like"] = str(Path(values["like"]).expanduser().resolve())
        given = {name: value for name, value in values.items() if value not in (None, "")}
        return answer_of(await http.get("/v1/library", params=given))
    if options.action == "state":
        return answer_of(await http.get("/v1/library/state"))
    path = {"path": str(Path(options.folder).expanduser().resolve())}
    match options.action:
        case "add":
            return answer_of(await http.post(_FOLDERS, json=path))
        case "remove":
            return answer_of(await http.delete(_FOLDERS, params=path))
        case "problems":
            return answer_of(await http.get("/v1/library/problems", params=path))
    pause = {**path, "paused": options.action == "pause"}
    return answer_of(await http.patch(_FOLDERS, json=pause))


@asynccontextmanager
async def _connected(config: Config) -> AsyncIterator[tuple[httpx.AsyncClient, bool]]:
    """A client of the companion that runs, or of a library in this process (True)."""
    async with companion(config) as http:
        if await is_there(http):
            yield http, False
            return
    async with _own(config) as http:
        yield http, True


@asynccontextmanager
async def _own(config: Config) -> AsyncIterator[httpx.AsyncClient]:
    import httpx

    from server.http.app import alone
    from server.http.routes.library import LibraryRoutes
    from server.launch import make_library

    library = make_library(config)
    try:
        await library.start()
        transport = httpx.ASGITransport(alone(LibraryRoutes(library).operations))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            yield http
    finally:
        await library.close()


async def _indexed(http: httpx.AsyncClient) -> Any:
    """Show the progress until nothing is left to be indexed, and return the state.

    Ctrl-C loses nothing.
    """
    import asyncio

    while True:
        state = answer_of(await http.get("/v1/library/state"))
        busy = any(folder["state"] in ("waiting", "indexing") for folder in state["folders"])
        left_s = state["left_s"]
        left = "" if left_s is None else f", about {left_s:.0f} s left"
        if sys.stderr.isatty():
            line = f"{state['sounds']} sounds, {state['waiting']} to go{left}"
            print(f"\r\033[K{line}", end="" if busy else "\n", file=sys.stderr, flush=True)
        if not busy:
            return state
        await asyncio.sleep(_LOOK_S)


def _print_found(sounds: list[Mapping[str, Any]]) -> None:
    for sound in sounds:
        facts = [f"{sound['seconds']:.2f} s", sound["character"], sound["note"]]
        facts.append("" if sound["bpm"] is None else f"{sound['bpm']:g} BPM")
        score = "" if sound["similarity"] is None else f"{sound['similarity']:.3f}  "
        print(f"{score}{sound['path']}  {'  '.join(fact for fact in facts if fact)}")
    if not sounds:
        print("nothing found", file=sys.stderr)


def _print_problems(problems: list[Mapping[str, str]]) -> None:
    for problem in problems:
        print(f"{problem['path']}: {problem['reason']}")


def _print_state(state: Mapping[str, Any]) -> None:
    for folder in state.get("folders", [state]):
        print(
            f"{folder['path']}  {folder['state']}, {folder['sounds']} sounds, "
            f"{folder['problems']} files could not be read"
        )


def _print_removed(removed: Mapping[str, int]) -> None:
    print(f"{removed['sounds']} sounds forgotten; the files stay")


_PRINT: Final[dict[str, Callable[[Any], None]]] = {
    "find": _print_found,
    "problems": _print_problems,
    "remove": _print_removed,
}
