"""The page that tells, behaviour by behaviour, what the suite says and where that was shown."""

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from hutch.conformance.case import PROFILES, Case
from hutch.conformance.unshown import UNSHOWN

_HEAD: Final = """# Compatibility

What RabbitMQ does, row by row of the project's catalogue of observed behaviours, and where it was shown to be so. Each
row is one of the {cases} cases of the conformance suite: the same code ran wherever the row says. It is written by

<!-- not run: needs reports of live RabbitMQ; .ci/run runs it -->
```console
$ hutch conformance --compatibility docs/compatibility.md REPORT.xml...
```

from the JUnit reports of runs. "Both" means that the versions do the same, "each" that the case tells how they differ.
What the emulator lacks answers 540 `NOT_IMPLEMENTED`; [What the emulator does not do](limits.md)
lists it.
"""

_ASKS_FOR_PROFILE: Final = re.compile(r"\brabbit\.(by_profile|profile)\b")


def shown(reports: Iterable[Path]) -> dict[str, set[str]]:
    """The targets on which each case passed, by the case's id, as JUnit reports tell.

    Raises:
        ValueError: a file is no such report.
        OSError: it cannot be read.
    """
    passed: dict[str, set[str]] = {}
    for report in reports:
        try:
            root = ET.parse(report).getroot()
        except ET.ParseError as error:
            raise ValueError(f"{report} is no JUnit report: {error}") from None
        for suite in root.iter("testsuite"):
            for case in suite.iter("testcase"):
                if len(case) == 0:
                    passed.setdefault(case.get("name", ""), set()).add(suite.get("name", ""))
    return passed


def page(cases: Sequence[Case], passed: Mapping[str, set[str]]) -> str:
    """The page in Markdown."""
    rows = sorted(((behaviour, case) for case in cases for behaviour in case.behaviours), key=lambda row: _key(row[0]))
    lines = [_HEAD.format(cases=len(cases))]
    for section, members in groupby(rows, key=lambda row: row[0].rpartition("-")[0]):
        lines += [f"## {section}", "", "| Row | Behaviour | Versions | Shown on |", "|---|---|---|---|"]
        for behaviour, case in members:
            where = ", ".join(sorted({_short(target) for target in passed.get(case.id, ())})) or "-"
            lines.append(f"| {behaviour} | {_cell(case.summary)} | {_versions(case)} | {where} |")
        lines.append("")
    lines += ["## Not shown", "", "| Row | Why the suite cannot show it |", "|---|---|"]
    lines += [f"| {row} | {_cell(reason)} |" for row, reason in sorted(UNSHOWN.items(), key=lambda row: _key(row[0]))]
    return "\n".join(lines) + "\n"


def _key(behaviour: str) -> tuple[str, bool, int]:
    section, _, number = behaviour.rpartition("-")
    return section, number.startswith("M"), int(number.removeprefix("M"))


def _versions(case: Case) -> str:
    if case.profiles != PROFILES:
        return ", ".join(case.profiles)
    return "each" if _ASKS_FOR_PROFILE.search(inspect.getsource(case.play)) else "both"


def _short(target: str) -> str:
    """``in-process 4.3`` is the emulator, ``127.0.0.1:5672 (RabbitMQ 4.3.6 as 4.3)`` is RabbitMQ 4.3.6."""
    live = re.search(r"\((RabbitMQ \S+)", target)
    return live[1] if live else "emulator"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
