"""``pytest conformance``: the suite, one test for each case on each target.

Without options the targets are the emulator in-process, as both profiles. ``--target`` takes the names in
:data:`EMULATORS`, ``live-3.10`` and ``live-4.3`` for the live brokers that the environment names, or a URL.
"""

import os
from collections.abc import Callable, Iterator
from typing import Final

import pytest
from tests.live import LiveBroker
from tests.watched import Watched

from hutch.conformance.case import PROFILES, all_cases
from hutch.conformance.live import Live
from hutch.conformance.targets import Target, TargetError, TargetUnreachable, Tcp

EMULATORS: Final[dict[str, Callable[[], Target]]] = {
    "memory-3.10": lambda: Watched("3.10"),
    "memory-4.3": lambda: Watched("4.3"),
    "tcp-4.3": lambda: Tcp("4.3"),
}
_DEFAULT: Final = ("memory-3.10", "memory-4.3")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that tell more of a broker that ``--target`` names by its URL."""
    group = parser.getgroup("brokers")
    group.addoption("--profile", choices=PROFILES, help="profile to expect at that URL; default: the live broker's")
    group.addoption("--management", metavar="URL", help="its management API, http://host:port")
    group.addoption("--rabbitmqctl", metavar="COMMAND", help="its rabbitmqctl, a command line")


def _names(config: pytest.Config) -> list[str]:
    live = [f"live-{profile}" for profile in PROFILES]
    if config.getoption("matrix"):
        return [*EMULATORS, *live]
    return [
        name for name in config.getoption("target") or _DEFAULT if name in EMULATORS or name in live or "://" in name
    ]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each target and case, in the suite's order; on the emulator without cases of other profiles."""
    if "case" not in metafunc.fixturenames:
        return
    parameters = [
        pytest.param(name, case, id=f"{name}-{case.id}", marks=[] if name in _DEFAULT else pytest.mark.matrix)
        for name in _names(metafunc.config)
        for case in all_cases()
        if name not in EMULATORS or not case.inapplicable(name.partition("-")[2])
    ]
    metafunc.parametrize(("target", "case"), parameters, indirect=["target"])


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    """The broker under test. Nothing may be left on it in the end.

    Where a live one cannot be reached the tests are skipped, or failed if the environment has ``CI`` as ``true``.
    """
    target = _target(request.param, request.config)
    yield target
    if left := target.left_behind():
        pytest.fail(f"left behind on {target.name}: {', '.join(left)}", pytrace=False)


def _target(name: str, config: pytest.Config) -> Target:
    if name in EMULATORS:
        return EMULATORS[name]()
    try:
        if name.startswith("live-"):
            # Without rabbitmqctl: other tests may use that broker at the same time.
            live = LiveBroker.named(name.removeprefix("live-"))
            return Live(live.url, live.management)
        options = (config.getoption(option) for option in ("--management", "--profile", "--rabbitmqctl"))
        return Live(name, *options)
    except TargetError as error:
        unreachable = isinstance(error, TargetUnreachable)
        reason = str(error)
    if unreachable and os.environ.get("CI") != "true":
        pytest.skip(reason)
    pytest.fail(reason, pytrace=False)
