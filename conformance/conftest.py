"""``pytest conformance --target inprocess|tcp|amqp://...``: the suite, one test for each case."""

import os

import pytest

from hutch.conformance.case import PROFILES, all_cases
from hutch.conformance.targets import InProcess, Live, Target, TargetError, TargetUnreachable, Tcp


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that name the broker."""
    group = parser.getgroup("conformance")
    group.addoption(
        "--target", default="inprocess", help="inprocess, tcp, or the amqp:// or amqps:// URL of a live broker"
    )
    group.addoption(
        "--profile",
        default=None,
        choices=PROFILES,
        help="whose behaviour to expect; default: 4.3, or the live broker's",
    )
    group.addoption("--management", default=None, help="the management API of the live broker, http://host:port")
    group.addoption("--rabbitmqctl", default=None, help="the rabbitmqctl of the live broker, a command line")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each case, in the suite's order."""
    if "case" in metafunc.fixturenames:
        cases = all_cases()
        metafunc.parametrize("case", cases, ids=[case.id for case in cases])


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest) -> Target:
    """The broker under test.

    Where a live one cannot be reached the tests are skipped, or failed if the environment has ``CI`` as ``true``.
    """
    name, profile = request.config.getoption("--target"), request.config.getoption("--profile")
    management, rabbitmqctl = request.config.getoption("--management"), request.config.getoption("--rabbitmqctl")
    try:
        if name == "inprocess":
            return InProcess(profile or "4.3")
        if name == "tcp":
            return Tcp(profile or "4.3")
        return Live(name, management, profile, rabbitmqctl)
    except TargetError as error:
        unreachable = isinstance(error, TargetUnreachable)
        reason = str(error)
    if unreachable and os.environ.get("CI") != "true":
        pytest.skip(reason)
    pytest.fail(reason, pytrace=False)
