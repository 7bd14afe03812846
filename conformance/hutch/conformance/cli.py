"""``hutch conformance``: does that broker do what the emulator does?"""

import argparse
import secrets
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hutch.conformance.case import PROFILES, Case, all_cases, select
from hutch.conformance.compatibility import page, shown
from hutch.conformance.differential.command import play
from hutch.conformance.live import Live
from hutch.conformance.management import ManagementError
from hutch.conformance.report import junit, markdown, reasons, summary
from hutch.conformance.runner import Outcome, Result, run
from hutch.conformance.targets import InProcess, Target, TargetError, Tcp

_DESCRIPTION = """Run the conformance suite: on the emulator, in-process and over TCP, or on the live broker at URL."""


class _ReportError(Exception):
    """A report cannot be written; one line that says why."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the conformance suite on the emulator or on a live broker.

    ``argv`` comes without the program's name; default: the process's. Returns 0 when no case failed. Returns 1 when a
    case failed, something was left on the broker, or the target cannot be used. Raises :class:`SystemExit` with 2 for
    options that cannot be read.
    """
    options = _parser().parse_args(argv)
    with _interrupted_by_sigterm():
        return _carry_out(options)


def _carry_out(options: argparse.Namespace) -> int:
    try:
        if options.compatibility or options.differential:
            return _write_page(*options.compatibility) if options.compatibility else _play(options)
        cases = select(all_cases(), options.keyword)
        if options.list:
            _list(cases)
            return 0
        if not cases:
            return _refuse(f"no case matches -k {options.keyword!r}")
        reports = [(path, write) for path, write in ((options.junit, junit), (options.report, markdown)) if path]
        for path, _ in reports:
            _try_writing(path)
        targets = _targets(options.url, options.management, options.profile, options.rabbitmqctl)
        results = [result for target in targets for result in _run(cases, target)]
        for path, write in reports:
            _write(path, write(results))
        left = [line for target in targets for line in target.left_behind()]
        for line in left:
            print(f"LEFT BEHIND: {line}")
    except (TargetError, ManagementError, _ReportError, ValueError, OSError) as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        print()
        return _refuse("interrupted")
    return int(bool(left) or any(result.outcome is Outcome.FAILED for result in results))


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """A context in which SIGTERM does what Ctrl-C does: a case that is ended removes what it has made."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hutch conformance", description=_DESCRIPTION)
    parser.add_argument(
        "url", nargs="?", metavar="URL", help="a live broker, amqp://user:password@host:port/vhost, or amqps://"
    )
    parser.add_argument(
        "--management",
        metavar="URL",
        help="its management API, http://host:port: every case then gets a virtual host of its own",
    )
    parser.add_argument(
        "--rabbitmqctl",
        metavar="COMMAND",
        help="its rabbitmqctl, as a shell would call it. Cases that restart the broker or raise its alarms need it, "
        "and random operations restart the broker then. This disturbs every client of that broker. Use a private one",
    )
    parser.add_argument(
        "--profile",
        metavar="P",
        help=f"whose behaviour to expect, {' or '.join(PROFILES)}; by default 4.3, of a live broker its own",
    )
    parser.add_argument("--junit", metavar="FILE", type=Path, help="write JUnit XML")
    parser.add_argument("--report", metavar="FILE.md", type=Path, help="write a Markdown table")
    parser.add_argument("-k", dest="keyword", metavar="EXPR", default="", help="only cases like 'queue and not excl'")
    parser.add_argument("--list", action="store_true", help="list the cases and do not run them")
    parser.add_argument(
        "--compatibility",
        metavar=("FILE.md", "REPORT.xml"),
        nargs="+",
        type=Path,
        help="run nothing; write a page with all behaviours and, from JUnit reports, where they were shown",
    )
    parser.add_argument(
        "--differential",
        action="store_true",
        help="in place of the cases: play random operations on the emulator and on the live broker, and compare",
    )
    parser.add_argument("--operations", metavar="N", type=int, default=2000, help="how many at least; default: 2000")
    parser.add_argument(
        "--seed",
        metavar="S",
        type=int,
        default=None,
        help="random seed; the same seed replays the same operations (default: random)",
    )
    return parser


def _write_page(target: Path, *reports: Path) -> int:
    """Write the page of behaviours."""
    _write(target, page(all_cases(), shown(reports)))
    return 0


def _play(options: argparse.Namespace) -> int:
    """Play random operations on the emulator and on a live broker."""
    if options.url is None:
        raise TargetError("--differential compares the emulator with a live broker, and no URL is given")
    target = Live(options.url, options.management, options.profile, options.rabbitmqctl)
    return play(target, options.operations, secrets.randbelow(10**6) if options.seed is None else options.seed)


def _targets(url: str | None, management: str | None, profile: str | None, rabbitmqctl: str | None) -> list[Target]:
    if url is not None:
        return [Live(url, management, profile, rabbitmqctl)]
    for option, value in (("--management", management), ("--rabbitmqctl", rabbitmqctl)):
        if value is not None:
            raise TargetError(f"{option} belongs to a live broker, and no URL is given")
    return [InProcess(profile or "4.3"), Tcp(profile or "4.3")]


def _list(cases: Sequence[Case]) -> None:
    for case in cases:
        limited = "" if case.profiles == PROFILES else f" [{', '.join(case.profiles)}]"
        print(f"{case.id}{limited}\n    {case.summary}")
    print(_counted(len(cases)))


def _counted(cases: int) -> str:
    return f"{cases} case{'' if cases == 1 else 's'}"


def _run(cases: Sequence[Case], target: Target) -> list[Result]:
    """Run all cases on one target; a line for each that fails, or does at first, dots for the rest, the counts at the
    end.
    """
    print(f"{target.name}: {_counted(len(cases))}")
    results = []
    column = 0
    for result in run(cases, target):
        results.append(result)
        if result.message and result.outcome is not Outcome.NOT_APPLICABLE:
            mark = "FAILED" if result.outcome is Outcome.FAILED else "UNSTEADY"
            print(
                f"{chr(10) if column else ''}{mark} {result.case.id}\n    {result.case.summary}\n    {result.message}"
            )
            column = 0
            continue
        column = column % 80 + 1
        print("." if result.outcome is Outcome.PASSED else "-", end="\n" if column == 80 else "", flush=True)
        column %= 80
    print(f"{chr(10) if column else ''}{summary(results)} in {sum(result.seconds for result in results):.1f} s")
    for line in reasons(results):
        print(f"  {line}")
    return results


def _try_writing(path: Path) -> None:
    """Tell before the cases run, not after, that a report cannot be written."""
    is_new = not path.exists()
    _write(path, "", "a")
    if is_new:
        path.unlink()


def _write(path: Path, text: str, mode: str = "w") -> None:
    try:
        with path.open(mode, encoding="utf-8") as report:
            report.write(text)
    except OSError as error:
        raise _ReportError(f"cannot write the report: {error}") from None


def _refuse(reason: str) -> int:
    print(f"hutch conformance: {reason}", file=sys.stderr)
    return 1
