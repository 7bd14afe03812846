"""What holds for all tests: the project's own, the examples', the pages', and the conformance suite."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, settings
from tests.targets import TARGETS

pytest_plugins = ["tests.pages.collecting"]

_COMMON = settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fast", _COMMON, derandomize=True, max_examples=25)
settings.register_profile("gate", _COMMON, derandomize=True, max_examples=200)
settings.register_profile("nightly", _COMMON, max_examples=1000, print_blob=True)
settings.load_profile("fast")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that choose brokers."""
    group = parser.getgroup("brokers")
    group.addoption(
        "--target",
        action="append",
        metavar="NAME",
        help="broker to run the tests of client, kombu, Celery and the conformance suite on, for example tcp-4.3 or "
        "live-4.3; for the conformance suite also an amqp:// or amqps:// URL; may be repeated",
    )
    group.addoption("--matrix", action="store_true", help="run those tests on every broker, live ones included")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse an unknown broker before anything runs."""
    for name in config.getoption("target") or ():
        if name not in TARGETS and "://" not in name:
            raise pytest.UsageError(f"--target {name} is unknown; choose from {', '.join(TARGETS)}, or give a URL")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Why tests were skipped, a line for each reason; pytest's own list has a line for each test."""
    skipped = terminalreporter.stats.get("skipped", [])
    for reason, count in Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped).most_common():
        terminalreporter.write_line(f"SKIPPED [{count}] {reason}")
