"""The page's table, and where the outcomes are kept."""

import json
import subprocess
import sys
from pathlib import Path

from tests.faults.drivers import DRIVERS
from tests.faults.scenes import SCENES, WORDS, Outcome

OUTCOMES = Path(__file__).with_name("outcomes.json")
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "faults-clients.md"
_BAR = " | "
_BEGIN, _END = "<!-- made by python -m tests.faults -->", "<!-- end -->"

#: Outcomes by library, way and scene.
Outcomes = dict[str, dict[str, dict[str, Outcome]]]


def run(library: str, way: str, *names: str) -> dict[str, Outcome]:
    """Play a library in a process of its own: all scenes, or those of some names."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.faults", library, way, *names]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)
    if done.returncode or not done.stdout:
        raise RuntimeError(done.stderr)
    return {name: Outcome(*outcome) for name, outcome in json.loads(done.stdout).items()}


def read() -> Outcomes:
    """What was seen when the file was written."""
    kept = json.loads(OUTCOMES.read_text())
    return {
        library: {
            way: {name: Outcome(*outcome.split(_BAR)) for name, outcome in scenes.items()}
            for way, scenes in ways.items()
        }
        for library, ways in kept.items()
    }


def write(outcomes: Outcomes) -> None:
    """Keep outcomes, and write the page's tables anew."""
    kept = {
        library: {way: {name: _BAR.join(outcome) for name, outcome in scenes.items()} for way, scenes in ways.items()}
        for library, ways in outcomes.items()
    }
    OUTCOMES.write_text(json.dumps(kept, indent=1) + "\n")
    PAGE.write_text(filled(PAGE.read_text(), outcomes))


def filled(page: str, outcomes: Outcomes) -> str:
    """The page with the tables of these outcomes."""
    head, _, rest = page.partition(_BEGIN)
    _, _, tail = rest.partition(_END)
    return f"{head}{_BEGIN}\n\n{_tables(outcomes)}\n{_END}{tail}"


def _tables(outcomes: Outcomes) -> str:
    lines: list[str] = []
    for library in DRIVERS:
        lines += [f"## {library}", "", "| step | fault | first | again |", "|---|---|---|---|"]
        lines += [
            f"| {scene.step} | `{scene.call}` | {_cells(outcomes[library], DRIVERS[library].ways, scene.name)} |"
            for scene in SCENES
        ]
        lines.append("")
    return "\n".join(lines)


def _cells(ways: dict[str, dict[str, Outcome]], ways_of: tuple[str, ...], name: str) -> str:
    cells = []
    for place in range(2):
        by_outcome: dict[str, list[str]] = {}
        for way in ways_of:
            by_outcome.setdefault(ways[way][name][place], []).append(way)
        if len(by_outcome) == 1:
            cells.append(_text(next(iter(by_outcome))))
        else:
            cells.append("; ".join(f"{', '.join(where)}: {_text(what)}" for what, where in by_outcome.items()))
    return " | ".join(cells)


def _text(outcome: str) -> str:
    return outcome if outcome in WORDS else f"`{outcome}`"
