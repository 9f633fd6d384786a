"""``audioldm-osc``: send one OSC message and wait until it is handled.

For hosts that can run a program but do not speak OSC. Arguments that look like numbers are sent as
numbers. The arguments of each answer are printed on a line, separated by tabs; those about a job
have their address in front.

    audioldm-osc /ldm/ping 7
    audioldm-osc /ldm/text my-id "rain on a tin roof" seed 3 audio_length_in_s 2

After a message that starts a job, it waits for the last answer. Exit codes: 0 done, 1 refused or
failed (the reason is on stderr), 2 wrong usage, 3 no answer in time.
"""

from __future__ import annotations

import argparse
import secrets
import sys
from collections.abc import Sequence
from typing import Final, Literal

from osc_bridge.client.client import DEFAULT_PORT, Client
from osc_bridge.messages.addresses import TABLE
from osc_bridge.messages.jobs import JobFail, TakeReply
from osc_bridge.messages.requests.submissions import Press, Submission
from osc_bridge.wire.codec import Argument, OscMessage
from server.errors import AudioLDMError, EngineUnavailable

__all__ = ["main"]

REFUSED: Final = 1
NO_ANSWER: Final = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; see the module's docstring for the exit codes."""
    parser = argparse.ArgumentParser(
        prog="audioldm-osc", description="Send one OSC message to audioldm-daw and wait."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT)
    parser.add_argument("--tcp", action="store_true", help="over TCP instead of UDP")
    parser.add_argument(
        "--timeout", type=float, default=600.0, metavar="S", help="longest silence while waiting"
    )
    parser.add_argument("--quiet", action="store_true", help="print only takes")
    parser.add_argument("address", help="such as /ldm/text")
    parser.add_argument("argument", nargs="*")
    options = parser.parse_args(arguments)
    try:
        return _send_and_print(options)
    except EngineUnavailable as error:
        return _fail(str(error), NO_ANSWER)
    except AudioLDMError as error:
        return _fail(str(error), REFUSED)
    except KeyboardInterrupt:
        return 130


def _send_and_print(options: argparse.Namespace) -> int:
    command = TABLE.command(options.address)
    words = [_typed(word) for word in options.argument]
    if issubclass(command, Submission):
        if not words or words[0] == "":
            words[:1] = [secrets.token_hex(8)]
        words[0] = str(words[0])
    transport: Literal["udp", "tcp"] = "tcp" if options.tcp else "udp"
    with Client(options.host, options.port, transport=transport) as client:
        if issubclass(command, Submission):
            message = OscMessage(options.address, words)
            return _follow(client, message, options)
        # A button starts a job, whose end is waited for.
        longest_s = options.timeout if issubclass(command, Press) else min(options.timeout, 5.0)
        for answer in client.answers(options.address, *words, timeout_s=longest_s):
            print("\t".join(map(str, answer)))
        return 0


def _follow(client: Client, message: OscMessage, options: argparse.Namespace) -> int:
    """Print what happens to a job; returns when it has ended."""
    for answer in client.follow(message, timeout_s=options.timeout):
        if answer.address == JobFail.address:
            return _fail(f"{answer.arguments[2]}: {answer.arguments[3]}", REFUSED)
        is_take = answer.address == TakeReply.address
        if not options.quiet or is_take:
            print("\t".join(map(str, (answer.address, *answer.arguments))), flush=True)
        if options.quiet and is_take and (said := TakeReply.from_osc(answer.arguments).warnings):
            print(f"audioldm-osc: {said}", file=sys.stderr)
    return 0


def _typed(word: str) -> Argument:
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word


def _fail(sentence: str, code: int) -> int:
    print(f"audioldm-osc: {sentence}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
