import re
from pathlib import Path

import pytest

from hutch.conformance.case import all_cases
from hutch.conformance.cli import main
from hutch.conformance.compatibility import page, shown
from hutch.conformance.unshown import UNSHOWN
from tests.conformance.conftest import made, passing

PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"


def rows(text: str) -> list[list[str]]:
    """The rows of a page's tables: behaviour, what it says, versions; or behaviour and reason."""
    cells = (re.split(r"(?<!\\) \| ", line.strip("| ")) for line in text.splitlines() if re.match(r"\| [A-Z]", line))
    return [row[:3] for row in cells if row[0] != "Row"]


def test_the_page_says_what_the_cases_say() -> None:
    written, cases = PAGE.read_text(encoding="utf-8"), all_cases()
    if f" {len(cases)} cases " not in written:
        pytest.skip("docs/compatibility.md tells of other cases than there are; CI writes it anew and compares")
    assert rows(written) == rows(page(cases, {})), "the head of docs/compatibility.md says how it is written anew"


def test_a_page_from_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report, written = tmp_path / "report.xml", tmp_path / "page.md"
    assert main(["-k", "GET-01", "--junit", str(report)]) == 0
    assert main(["--compatibility", str(written), str(report)]) == 0
    lines = written.read_text(encoding="utf-8").splitlines()
    assert next(line for line in lines if line.startswith("| GET-01 |")).endswith("| both | emulator |")
    assert f"| POLICY-10 | {UNSHOWN['POLICY-10']} |" in lines


def test_live_brokers_are_told_by_their_version(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(
        """<testsuites><testsuite name="127.0.0.1:5672 (RabbitMQ 4.3.6 as 4.3)">
        <testcase name="QUEUE-DECLARE-01-passing"/>
        <testcase name="QUEUE-DECLARE-02-skipped"><skipped/></testcase></testsuite></testsuites>"""
    )
    passed = shown([report])
    assert set(passed) == {"QUEUE-DECLARE-01-passing"}
    assert "| QUEUE-DECLARE-01 | A queue is declared. | both | RabbitMQ 4.3.6 |" in page([made(passing)], passed)


def test_what_is_no_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "report.xml"
    report.write_text("no XML")
    assert main(["--compatibility", str(tmp_path / "page.md"), str(report)]) == 1
    assert "is no JUnit report" in capsys.readouterr().err
    assert main(["--compatibility", str(tmp_path / "page.md"), str(tmp_path / "missing.xml")]) == 1
