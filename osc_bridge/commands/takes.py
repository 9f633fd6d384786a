"""``audioldm-daw takes``: find takes of the program that runs, name them, make them favourites."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any, Final

from osc_bridge.commands.companion import answer_of, companion, is_there
from server.config import Config
from server.config_flags import add_flags
from server.errors import EngineUnavailable, InvalidRequest

__all__ = ["add_takes_command", "takes"]

_SETTINGS: Final = ("http_port",)


def add_takes_command(parser: argparse.ArgumentParser) -> None:
    """The flags of ``audioldm-daw takes``."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    find = actions.add_parser("find", help="find takes by words, folder and favourites")
    find.add_argument("query", nargs="?", default="", help="words of the prompt or of its own name")
    find.add_argument("--like", default="", help="what they sound like, in words")
    find.add_argument("--folder", default="", help="a folder of takes, with those in it")
    find.add_argument("--tag", default="", help="a tag")
    find.add_argument("--favourites", action="store_true", help="only those")
    find.add_argument("--limit", type=int, default=50, help="at most so many")
    actions.add_parser("folders", help="list the folders of takes")
    mark = actions.add_parser("mark", help="name a take, file it, make it a favourite")
    mark.add_argument("take", metavar="JOB/NUMBER", help="as `takes find` shows it")
    mark.add_argument("--name", help="a name of your own; '' for none")
    mark.add_argument("--folder", help="a folder of takes, such as drums/kicks; '' for none")
    favourite = mark.add_mutually_exclusive_group()
    favourite.add_argument("--favourite", action="store_true", default=None, dest="kept")
    favourite.add_argument("--no-favourite", action="store_false", default=None, dest="kept")
    for action in actions.choices.values():
        action.add_argument("--json", action="store_true", help="as JSON")
        add_flags(action, _SETTINGS)


def takes(options: argparse.Namespace, config: Config) -> int:
    """Run one action and print its answer.

    Raises:
        AudioLDMError: it was refused, or no program runs.
    """
    import asyncio

    result = asyncio.run(_ask(options, config))
    if options.json:
        print(json.dumps(result, indent=2, ensure_ascii=False))
        return 0
    if options.action == "folders":
        for folder in result:
            print(f"{folder['folder']}  {folder['takes']} takes")
    else:
        for take in result if isinstance(result, list) else [result]:
            _print(take)
    if result == []:
        print("nothing found", file=sys.stderr)
    return 0


async def _ask(options: argparse.Namespace, config: Config) -> Any:
    async with companion(config) as http:
        if not await is_there(http):
            raise EngineUnavailable(
                f"no program answers on port {config.http_port}: start `audioldm-daw`, "
                "or name its port with --http-port"
            )
        if options.action == "folders":
            return answer_of(await http.get("/v1/takes/folders"))
        if options.action == "mark":
            marks = {name: getattr(options, name) for name in ("name", "folder", "kept")}
            changed = {name: value for name, value in marks.items() if value is not None}
            return answer_of(await http.patch(f"/v1/takes/{_take(options.take)}", json=changed))
        names = ("query", "like", "folder", "tag", "limit")
        wanted = {name: value for name in names if (value := getattr(options, name))}
        kept = {"kept": "true"} if options.favourites else {}
        return answer_of(await http.get("/v1/takes", params={**wanted, **kept}))


def _take(text: str) -> str:
    job, _, number = text.partition("/")
    if not job.isalnum() or not number.isdecimal():
        raise InvalidRequest(f"take {text!r}: name it as JOB/NUMBER, such as 1f09c2d3aa/1")
    return f"{job}/{number}"


def _print(stored: Mapping[str, Any]) -> None:
    take = stored["take"]
    facts = ["*" if stored["kept"] else "", stored["folder"], stored["name"] or stored["prompt"]]
    shown = "  ".join(fact for fact in facts if fact)
    print(f"{stored['job_id']}/{take['number']}  {take['seconds']:.2f} s  {shown}  {take['path']}")
