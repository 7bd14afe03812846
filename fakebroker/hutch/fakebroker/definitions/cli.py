"""``hutch definitions``: definitions of brokers by their management API, and in files."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from hutch.fakebroker.definitions.comparing import differences
from hutch.fakebroker.definitions.importing import read_definitions
from hutch.fakebroker.definitions.management_api import ManagementAPI, ManagementError
from hutch.fakebroker.definitions.refusals import InvalidDefinitions

_URL: Final = "management API of a broker: http://user:password@host:15672"
_TROUBLE: Final = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Export, import and compare definitions, of a RabbitMQ or of hutch serve."""
    options = _parser().parse_args(argv)
    try:
        return int(options.run(options))
    except (ManagementError, InvalidDefinitions) as error:
        reason = str(error)
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}"
    print(f"hutch definitions: {reason}", file=sys.stderr)
    return _TROUBLE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hutch definitions",
        description="Move and compare definitions: users, virtual hosts, permissions, policies, exchanges, queues and "
        "bindings. RabbitMQ and hutch serve answer alike.",
        epilog="Exit status: 0; 1 if diff finds differences; 2 if a broker or a file cannot be used.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add = commands.add_parser
    one = add("export", help="write the definitions of a broker", description="Write the definitions of a broker.")
    one.add_argument("url", metavar="URL", help=_URL)
    one.add_argument("--output", metavar="FILE", type=Path, help="file to write; by default standard output")
    one.set_defaults(run=_export)
    one = add("import", help="import a file into a broker", description="Import definitions into a broker.")
    one.add_argument("url", metavar="URL", help=_URL)
    one.add_argument("file", metavar="FILE", help="definitions in JSON; - for standard input")
    one.set_defaults(run=_import)
    one = add(
        "diff",
        help="compare two brokers, or files",
        description="Compare the definitions of two brokers, or files. A line begins with - for what the first has "
        "alone, with + for what the second has alone, and with ~ for what differs.",
    )
    for name in ("one", "other"):
        one.add_argument(name, metavar=name.upper(), help=f"a file, or the {_URL}")
    one.set_defaults(run=_diff)
    for command in commands.choices.values():
        command.add_argument("--vhost", metavar="NAME", help="only this virtual host, without users and permissions")
    return parser


def _export(options: argparse.Namespace) -> int:
    text = json.dumps(ManagementAPI(options.url).export_definitions(options.vhost), indent=2, ensure_ascii=False)
    if options.output is None:
        print(text)
    else:
        options.output.write_text(f"{text}\n", encoding="utf-8")
    return 0


def _import(options: argparse.Namespace) -> int:
    ManagementAPI(options.url).import_definitions(_read(options.file), options.vhost)
    return 0


def _diff(options: argparse.Namespace) -> int:
    one, other = (
        ManagementAPI(source).export_definitions(options.vhost) if "://" in source else _read(source)
        for source in (options.one, options.other)
    )
    found = differences(one, other, options.vhost)
    for line in found:
        print(line)
    return 1 if found else 0


def _read(file: str) -> Any:
    content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    try:
        return read_definitions(content)
    except InvalidDefinitions:
        raise InvalidDefinitions(f"{file} holds no JSON object") from None
