from xml.etree import ElementTree as ET

import pytest

from hutch.conformance.report import junit, markdown, summary
from hutch.conformance.runner import Outcome, Result
from tests.conformance.conftest import failing, made, passing


@pytest.fixture
def results() -> list[Result]:
    good, bad, other = made(passing, "PUB-01"), made(failing, "PUB-02"), made(passing, profiles=("3.10",))
    return [
        Result(good, "one 4.3", Outcome.PASSED, seconds=0.25),
        Result(bad, "one 4.3", Outcome.FAILED, "expected <a|b> & 'c', got \x00", seconds=0.5),
        Result(good, "two 4.3", Outcome.PASSED),
        Result(other, "two 4.3", Outcome.NOT_APPLICABLE, "a behaviour of 3.10"),
    ]


def test_summary(results: list[Result]) -> None:
    assert summary(results) == "2 passed, 1 failed, 1 not applicable"
    assert summary([]) == "no cases"


def test_junit(results: list[Result]) -> None:
    root = ET.fromstring(junit(results))
    suites = root.findall("testsuite")
    counted = [{name: suite.attrib[name] for name in ("name", "tests", "failures", "skipped")} for suite in suites]
    assert counted == [
        {"name": "one 4.3", "tests": "2", "failures": "1", "skipped": "0"},
        {"name": "two 4.3", "tests": "2", "failures": "0", "skipped": "1"},
    ]
    assert suites[0].attrib["time"] == "0.750"
    case = suites[0].findall("testcase")[1]
    assert (case.attrib["classname"], case.attrib["name"]) == ("conformance.conftest", "PUB-02-failing")
    failure = case.find("failure")
    assert failure is not None
    assert failure.attrib["message"] == "expected <a|b> & 'c', got \\x00"
    assert failure.text == "A passive declare is expected to fail in another way than it does."
    skipped = suites[1].find("testcase/skipped")
    assert skipped is not None
    assert skipped.attrib["message"] == "a behaviour of 3.10"


def test_markdown(results: list[Result]) -> None:
    lines = markdown(results).splitlines()
    assert "- one 4.3: 1 passed, 1 failed" in lines
    assert "| Case | Behaviour | one 4.3 | two 4.3 |" in lines
    assert (
        "| PUB-02 `failing` | A passive declare is expected to fail in another way than it does. | **no** |  |" in lines
    )
    assert r"- PUB-02-failing on one 4.3: expected <a\|b> & 'c', got " + "\x00" in lines
