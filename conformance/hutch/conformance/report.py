"""Results as JUnit XML and as a Markdown table."""

import re
from collections import Counter
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from hutch.conformance.runner import Outcome, Result

_MARKS = {Outcome.PASSED: "yes", Outcome.FAILED: "**no**", Outcome.NOT_APPLICABLE: "-"}
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def summary(results: Sequence[Result]) -> str:
    """The counts, in words."""
    counts = [(outcome, sum(result.outcome is outcome for result in results)) for outcome in Outcome]
    return ", ".join(f"{count} {outcome}" for outcome, count in counts if count) or "no cases"


def reasons(results: Sequence[Result]) -> list[str]:
    """Why cases did not apply: a line for each reason with the number of cases, most first."""
    skipped = Counter(result.message for result in results if result.outcome is Outcome.NOT_APPLICABLE)
    return [f"{count} not applicable: {reason}" for reason, count in skipped.most_common()]


def junit(results: Sequence[Result]) -> str:
    """A JUnit XML document: one test suite for each target, one test case for each case."""
    root = ET.Element("testsuites")
    for target, of_target in _by_target(results).items():
        suite = ET.SubElement(
            root,
            "testsuite",
            name=target,
            tests=str(len(of_target)),
            failures=str(sum(result.outcome is Outcome.FAILED for result in of_target)),
            errors="0",
            skipped=str(sum(result.outcome is Outcome.NOT_APPLICABLE for result in of_target)),
            time=f"{sum(result.seconds for result in of_target):.3f}",
        )
        for result in of_target:
            case = result.case
            entry = ET.SubElement(
                suite, "testcase", classname=f"conformance.{case.topic}", name=case.id, time=f"{result.seconds:.3f}"
            )
            message = _NOT_XML.sub(lambda found: f"\\x{ord(found.group()):02x}", result.message)
            if result.outcome is Outcome.FAILED:
                ET.SubElement(entry, "failure", message=message).text = case.summary
            elif result.outcome is Outcome.NOT_APPLICABLE:
                ET.SubElement(entry, "skipped", message=message)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def markdown(results: Sequence[Result]) -> str:
    """A table with a row for each case and a column for each target, the failures told below it."""
    columns = _by_target(results)
    outcomes = {(result.case.name, result.target): result for result in results}
    cases = {result.case.name: result.case for result in results}
    lines = ["# Conformance", ""]
    lines += [f"- {target}: {summary(of_target)}" for target, of_target in columns.items()]
    lines += ["", f"| Case | Behaviour | {' | '.join(map(_cell, columns))} |", f"|---|---|{'---|' * len(columns)}"]
    for name, case in cases.items():
        marks = [_MARKS[outcomes[name, target].outcome] if (name, target) in outcomes else "" for target in columns]
        ids = ", ".join(case.behaviours)
        lines.append(f"| {ids} `{name}` | {_cell(case.summary)} | {' | '.join(marks)} |")
    failed = [result for result in results if result.outcome is Outcome.FAILED]
    if failed:
        lines += ["", "## Failed", ""]
        lines += [f"- {result.case.id} on {result.target}: {_cell(result.message)}" for result in failed]
    return "\n".join(lines) + "\n"


def _by_target(results: Sequence[Result]) -> dict[str, list[Result]]:
    columns: dict[str, list[Result]] = {}
    for result in results:
        columns.setdefault(result.target, []).append(result)
    return columns


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
