"""The command ``hutch``: finds its subcommands among the entry points of the group ``hutch.commands``.

An entry point names a function that takes the arguments behind the subcommand and returns the exit status; its
docstring's first line is what the help says of it.
"""

import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, entry_points, version
from typing import cast

from hutch.fakebroker.engine.unknown_names import missing

Command = Callable[[Sequence[str]], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the subcommand that the arguments name; the exit status: 2 for wrong use, else the subcommand's."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    commands = {entry_point.name: entry_point for entry_point in entry_points(group="hutch.commands")}
    if not arguments or arguments[0] in {"-h", "--help"}:
        print(_help(commands))
        return 0 if arguments else 2
    if arguments[0] == "--version":
        print(f"hutch {version('hutch')}")
        return 0
    name, *rest = arguments
    if name not in commands:
        print(f"hutch: {missing(f'command {name!r}', name, sorted(commands))}", file=sys.stderr)
        return 2
    try:
        status = _load(commands[name])(rest)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of the output has closed it. Python must not write again when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


def _load(entry_point: EntryPoint) -> Command:
    return cast("Command", entry_point.load())


def _help(commands: dict[str, EntryPoint]) -> str:
    lines = ["usage: hutch COMMAND [OPTIONS]", ""]
    for name in sorted(commands):
        summary = (_load(commands[name]).__doc__ or "").strip().splitlines()
        lines.append(f"  {name:<12} {summary[0] if summary else ''}")
    return "\n".join([*lines, "", "hutch COMMAND --help tells more of one; hutch --version tells the version."])
