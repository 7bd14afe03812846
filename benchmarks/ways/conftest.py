"""Times each test, its fixtures included, and prints the best and the median for each function, in microseconds."""

import json
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Generator

import pytest

TIMES: defaultdict[str, list[float]] = defaultdict(list)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    metafunc.fixturenames.append("number")
    metafunc.parametrize("number", range(int(os.environ["TESTS"])))


def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    # In turn, so that a busy machine is so to all.
    items.sort(key=lambda item: int(str(item.callspec.params["number"])))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Function) -> Generator[None, object, object]:
    start = time.perf_counter()
    result = yield
    TIMES[item.originalname].append((time.perf_counter() - start) * 1e6)
    return result


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    # The first test of a kind brings what is imported and started once.
    figures = {name: (min(times[1:]), statistics.median(times[1:])) for name, times in TIMES.items()}
    terminalreporter.write_line(f"times: {json.dumps(figures)}")
