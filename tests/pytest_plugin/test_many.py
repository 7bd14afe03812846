"""A thousand tests leave nothing behind in their processes."""

import json

import pytest

from .runs import OTHERS, without

pytest_plugins = ["pytester"]

CONFTEST = """
import gc, json, os, socket, threading
from pathlib import Path

import pytest

COUNTS = []


def look():
    gc.collect()
    kept = gc.get_objects()
    hutch = sum(1 for each in kept if type(each).__module__.startswith("hutch."))
    return {
        "threads": threading.active_count(),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "sockets": sum(1 for each in kept if isinstance(each, socket.socket)),
        "objects of hutch": hutch,
    }


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    result = yield
    COUNTS.append(look() if len(COUNTS) % 50 == 49 else None)
    return result


def pytest_sessionfinish(session):
    if COUNTS:
        worker = os.environ["PYTEST_XDIST_WORKER"]
        Path(f"counts-{worker}.json").write_text(json.dumps([each for each in COUNTS if each]))
"""

TESTS = """
import pytest
from hutch.client import Message, connect


@pytest.fixture(scope="session", autouse=True)
def session_listens(fakebroker_session):
    connect(fakebroker_session.url).close()


def use(connection):
    channel = connection.channel()
    channel.queue_declare("orders", auto_delete=False, arguments={"x-message-ttl": 60_000})
    channel.basic_publish(Message(b"order 17"), routing_key="orders")
    channel.basic_publish(Message(b"order 18"), routing_key="orders")
    channel.basic_get("orders")
    channel.basic_consume("orders")


@pytest.mark.parametrize("number", range(250))
class TestEach:
    def test_in_process(self, fakebroker, number):
        use(fakebroker.connect())
        fakebroker.clock.advance(minutes=1)

    def test_over_tcp(self, fakebroker, number):
        with connect(fakebroker.url) as connection:
            use(connection)

    def test_of_the_session(self, fakebroker_session, number):
        use(fakebroker_session.connect())
        fakebroker_session.restart()

    def test_of_the_session_over_tcp(self, fakebroker_session, number):
        left = connect(fakebroker_session.url)
        use(left)
        left.collect()
"""


@pytest.mark.slow
def test_a_thousand_tests_leave_nothing_behind(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(TESTS)
    plugins = without(*(name for name in OTHERS if "xdist" not in name))
    result = pytester.runpytest_subprocess("-n", "2", *plugins, timeout=55)
    result.assert_outcomes(passed=1000)
    made_by_pytester = "runpytest-", "stdout", "stderr", "__pycache__"
    files = {path.name for path in pytester.path.iterdir() if not path.name.startswith(made_by_pytester)}
    tests = "test_a_thousand_tests_leave_nothing_behind.py"
    assert files == {"conftest.py", tests, "counts-gw0.json", "counts-gw1.json"}
    for worker in ("gw0", "gw1"):
        first, *_, last = json.loads((pytester.path / f"counts-{worker}.json").read_text())
        assert last["threads"] == first["threads"]
        assert last["descriptors"] == first["descriptors"]
        assert last["sockets"] == first["sockets"]
        grown = last["objects of hutch"] - first["objects of hutch"]
        assert abs(grown) < 60, f"{first} became {last}"
