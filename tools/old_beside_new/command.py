"""The command line of ``tools/beside``."""

import argparse
import secrets
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from old_beside_new.adapters import AdapterError, Side
from old_beside_new.loading import NEW, OLD, LoadingError, extract, importable, new_is
from old_beside_new.running import Outcome, run

_PROFILES: Final = ("3.10", "4.3")


def main(argv: Sequence[str] | None = None) -> int:
    """Play the old emulator beside the new one. Returns 0 without a difference, 1 with one, 2 if one cannot be played.

    ``argv`` comes without the program's name and is by default the process's.
    """
    options = _parser().parse_args(argv)
    seed = secrets.randbelow(10**6) if options.seed is None else options.seed
    profiles = _PROFILES if options.profile == "both" else (options.profile,)
    try:
        with tempfile.TemporaryDirectory(prefix="beside-") as folder:
            print(f"old: {extract(options.old, Path(folder))}")
            with importable(Path(folder)):
                old, new = Side(OLD), Side(NEW)
                print(f"new: {new_is()}")
                outcomes = [_play(old, new, profile, options.operations, seed) for profile in profiles]
    except (LoadingError, AdapterError) as error:
        print(f"beside: {error}", file=sys.stderr)
        return 2
    return int(any(outcome.difference for outcome in outcomes))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tools/beside",
        description="Play the same random operations on an old emulator and on the one that is installed, and compare.",
    )
    parser.add_argument("old", metavar="OLD", help="a git revision; or a path to a checkout, an sdist or a wheel")
    parser.add_argument(
        "--operations", metavar="N", type=int, default=20000, help="how many at least for a profile; default: 20000"
    )
    parser.add_argument(
        "--seed", metavar="S", type=int, help="random seed; the same seed replays the same operations (default: random)"
    )
    parser.add_argument("--profile", choices=(*_PROFILES, "both"), default="both", help="default: both")
    return parser


def _play(old: Side, new: Side, profile: str, operations: int, seed: int) -> Outcome:
    print(f"profile {profile}: {operations} operations, --seed {seed}", flush=True)
    outcome = run(old, new, profile, operations, seed)
    for line in told(outcome):
        print(line)
    return outcome


def told(outcome: Outcome) -> list[str]:
    """The result of a run, in lines."""
    lines = [] if outcome.difference is None else [str(outcome.difference)]
    lines += [f"both emulators break, which is no difference: {each}" for each in sorted(outcome.broken)]
    lines += [f"{count:8} {kind}" for kind, count in sorted(outcome.played.items())]
    played, seconds = outcome.played.total(), outcome.seconds
    lines.append(
        f"{played} operations in {outcome.scripts} scripts in {seconds:.1f} s, {played / seconds:.0f} a second"
    )
    lines.append("no difference" if outcome.difference is None else "they differ")
    return lines
