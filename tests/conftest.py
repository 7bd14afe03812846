"""What tests of more than one part use."""

from collections import Counter
from collections.abc import Iterator

import pytest

from tests import targets


def pytest_sessionfinish() -> None:
    targets.end_session()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Why tests were skipped, a line for each reason; pytest's own list has a line for each test."""
    skipped = terminalreporter.stats.get("skipped", [])
    for reason, count in Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped).most_common():
        terminalreporter.write_line(f"SKIPPED [{count}] {reason}")


@pytest.fixture(params=targets.TARGETS)
def target(request: pytest.FixtureRequest) -> Iterator[targets.Target]:
    """Each broker that the client's tests run on."""
    opening = targets.TARGETS[request.param]()
    with opening as target, target.cleanup:
        yield target
