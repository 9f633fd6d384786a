"""The command ``audioldm-server``. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from server import __version__
from server.config import Config, load_config
from server.config_flags import add_flags
from server.errors import AudioLDMError, StorageDamaged

if TYPE_CHECKING:
    from server.engine.fleet import Fleet
    from server.remote.cluster_engine import ClusterEngine

__all__ = ["main"]

_SETTINGS = (
    "host",
    "http_port",
    "model",
    "models_folder",
    "default_model",
    "memory",
    "device",
    "threads",
    "takes_folder",
    "state_folder",
    "max_queued",
    "max_job_s",
    "max_owner_s",
    "max_live_s",
    "max_upload_mb",
    "max_connections",
    "max_connections_per_address",
    "max_streams",
    "head_s",
    "stall_s",
    "keep_gb",
    "keep_days",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; 0: done, 1: it failed (and said why), 2: wrong usage, 130: interrupted."""
    options = _parser().parse_args(arguments)
    try:
        config = load_config(vars(options))
        if options.command == "token":
            return _token(options, config)
        if options.command == "journal":
            return _back_up(config, Path(options.file))
        if options.command == "model":
            from server.store.command import run_model_command

            return run_model_command(options, config)
        from server.daemon import run
        from server.launch import make_local_engine

        make_engine: Callable[[Config], Fleet | ClusterEngine] = make_local_engine
        if options.cluster:
            from server.remote.cluster import make_cluster_engine

            make_engine = partial(
                make_cluster_engine, address=options.cluster, num_replicas=options.replicas
            )
        return run(
            config,
            drain_s=options.drain_s,
            json_logs=options.json_logs,
            make_engine=make_engine,
        )
    except AudioLDMError as error:
        print(f"audioldm-server: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    from server.store.flags import add_model_command

    parser = argparse.ArgumentParser(
        prog="audioldm-server",
        description="The engine over HTTP, for a machine with a GPU. "
        "Other machines use it with: audioldm-daw --engine URL",
    )
    parser.add_argument("--version", action="version", version=f"audioldm-server {__version__}")
    parser.add_argument(
        "--drain-s",
        type=float,
        default=30.0,
        metavar="X",
        help="seconds that the running job may take to finish at SIGTERM (default: 30)",
    )
    parser.add_argument("--json-logs", action="store_true", help="one JSON object a line")
    parser.add_argument(
        "--cluster",
        nargs="?",
        const="auto",
        metavar="ADDRESS",
        help="render on a Ray cluster: that of this machine, or the one at ADDRESS",
    )
    parser.add_argument(
        "--replicas",
        type=int,
        default=0,
        metavar="N",
        help="replicas in the cluster (default: one a GPU, else one a node)",
    )
    add_flags(parser, _SETTINGS)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    add_model_command(commands)
    token = commands.add_parser("token", help="who may use the server over the network")
    token.add_argument("action", choices=["add", "list", "remove"])
    token.add_argument("name", nargs="?", default="", help="the client's name")
    token.add_argument("--all", action="store_true", help="sees and cancels everybody's jobs")
    token.add_argument("--queue", type=int, default=64, metavar="N", help="unfinished jobs")
    token.add_argument("--rate", type=int, default=1200, metavar="N", help="requests a minute")
    journal = commands.add_parser("journal", help="the journal of jobs and takes")
    journal.add_argument("action", choices=["backup"])
    journal.add_argument("file", help="where the copy goes; the server may be running")
    return parser


def _back_up(config: Config, target: Path) -> int:
    import sqlite3

    from server.jobs.journal_file import back_up

    path = config.journal_file
    try:
        jobs = back_up(path, target)
    except (sqlite3.Error, OSError) as error:
        raise StorageDamaged(f"{path} cannot be copied to {target}: {error}") from error
    print(f"{target}: {jobs} jobs")
    return 0


def _token(options: argparse.Namespace, config: Config) -> int:
    from server.http.access import Caller, TokenFile

    tokens = TokenFile(config.tokens_file)
    if options.action == "list":
        print("\n".join(tokens) or "nobody has a token")
        return 0
    if options.action == "remove":
        removed = tokens.remove(options.name)
        print("removed" if removed else f"{options.name!r} has no token", file=sys.stderr)
        return 0 if removed else 1
    client = Caller(
        name=options.name,
        sees_all=options.all,
        max_queued=options.queue,
        per_minute=options.rate,
    )
    print(tokens.add(client))
    print("Shown once; only its hash is kept. Restart the server.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
