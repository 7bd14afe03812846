"""What pytest loads. Client and broker are imported when a test asks for them, for most runs of pytest do not."""

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from hutch.client import Channel, Connection
    from hutch.pytest_plugin.fakebroker import FakeBroker

FIXTURE: Final = "fakebroker"
SHARED: Final = frozenset({"fakebroker_module", "fakebroker_session"})
INTERCEPT: Final = "fakebroker_intercept"
_HELP: Final = {
    "profile": ("VERSION", "RabbitMQ version that the fixture fakebroker is, unless the test's marker says so"),
    "clock": ("NAME", "clock of the fixture fakebroker: manual, frozen, auto, ticking or system"),
    "leftovers": ("REACTION", "what the fixture fakebroker does about what a test leaves behind: ignore, warn or fail"),
}
_DEFAULTS: Final = {"profile": "4.3", "clock": "manual", "leftovers": "ignore"}
#: The brokers of a test, and whether it has failed.
_BROKERS: Final = pytest.StashKey["list[tuple[str, FakeBroker]]"]()
_FAILED: Final = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, and their like in the ini file."""
    group = parser.getgroup("hutch", "hutch, a RabbitMQ test double")
    for name, (metavar, text) in _HELP.items():
        told = f"{text} (default: {_DEFAULTS[name]})"
        group.addoption(f"--fakebroker-{name}", metavar=metavar, help=told)
        parser.addini(f"fakebroker_{name}", told)


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    config.addinivalue_line(
        "markers",
        "fakebroker(profile='4.3', clock='manual', users=None, vhosts=('/',), seed=0, history_events=100000, "
        "history_bytes=67108864, permit_deprecated_features=None, plugins=(), consumer_timeout=1800000, "
        "single_confirms=False, definitions=None, leftovers='ignore'): the broker that the fixture fakebroker gives: "
        "the RabbitMQ version it is; 'manual' for a clock that the test advances, or 'frozen', 'auto', 'ticking', "
        "'system'; passwords by user name; virtual hosts; random seed for generated names; how many events, and bytes "
        "of bodies, its history keeps, or None for all; deprecated features, permitted or denied, by name; names of "
        "plugins to enable; ms that a delivery may wait for its acknowledgement, or None; whether each publish is "
        "confirmed by itself; RabbitMQ's definitions, or the path of a file of them; what to do about what the test "
        "leaves behind: 'ignore', 'warn' or 'fail'",
    )
    config.addinivalue_line(
        "markers",
        "fakebroker_intercept(*hosts, refuse_others=False): connections of this process to these hosts, for example "
        "'rabbitmq.internal:5672' or '*.internal:*', reach the broker of the fixture fakebroker; refuse_others refuses "
        "connections to the AMQP ports of other hosts",
    )


def pytest_itemcollected(item: pytest.Item) -> None:
    """Have a test whose connections are intercepted use the broker before all else."""
    names: list[str] | None = getattr(item, "fixturenames", None)
    if names is None:
        return
    if item.get_closest_marker(INTERCEPT) is not None and names[:1] != [FIXTURE]:
        names.insert(0, FIXTURE)
    if not SHARED.isdisjoint(names) and FIXTURE not in names and "fakebroker_factory" not in names:
        names.insert(0, "_fakebroker_marker_is_heard")


@pytest.fixture
def _fakebroker_marker_is_heard(request: pytest.FixtureRequest) -> None:
    """Refuse a marker that no broker of the test goes by."""
    from hutch.pytest_plugin.settings import MARKER, refuse  # noqa: PLC0415

    for node, _ in request.node.iter_markers_with_node(MARKER):
        if not isinstance(node, pytest.Module) or "fakebroker_module" not in request.fixturenames:
            name = "fakebroker_session" if "fakebroker_session" in request.fixturenames else "fakebroker_module"
            where = "fakebroker_config" if name == "fakebroker_session" else "fakebroker_config, or the module's marker"
            refuse(f"{name} is made once for several tests, so the settings stand in {where}", f"@pytest.mark.{MARKER}")


@pytest.fixture(scope="session")
def fakebroker_config() -> Mapping[str, Any]:
    """Settings for all brokers: a mapping of what ``@pytest.mark.fakebroker`` takes. Override it in a conftest.py."""
    return {}


@pytest.fixture
def fakebroker_factory(
    request: pytest.FixtureRequest, fakebroker_config: Mapping[str, Any]
) -> "Iterator[Callable[..., FakeBroker]]":
    """Makes brokers for this test: ``fakebroker_factory(profile="3.10")``. What is not said is as for ``fakebroker``.

    Each has a clock of its own. ``clock=other.clock`` has two brokers on one clock.
    """
    from hutch.pytest_plugin.fakebroker import FakeBroker  # noqa: PLC0415
    from hutch.pytest_plugin.settings import settings_of  # noqa: PLC0415

    made = request.node.stash.setdefault(_BROKERS, [])
    settings = settings_of(request, fakebroker_config)
    with ExitStack() as brokers:

        def make(**changes: Any) -> FakeBroker:
            broker = FakeBroker(**{**settings, **changes})
            made.append((f"broker {len(made) + 1} of fakebroker_factory", broker))
            brokers.callback(_end, broker, request)
            return broker

        yield make


@pytest.fixture
def fakebroker(request: pytest.FixtureRequest, fakebroker_config: Mapping[str, Any]) -> "Iterator[FakeBroker]":
    """A new RabbitMQ double for this test: ``.url`` for any client, ``.connect()`` for one in this process.

    Its clock stands still until it is moved: ``fakebroker.clock.advance(minutes=5)``. ``@pytest.mark.fakebroker(...)``
    sets it up differently. See :class:`hutch.pytest_plugin.FakeBroker`.
    """
    from hutch.pytest_plugin.settings import broker_of, refuse, settings_of  # noqa: PLC0415

    broker = broker_of(settings_of(request, fakebroker_config))
    request.node.stash.setdefault(_BROKERS, []).append((FIXTURE, broker))
    with ExitStack() as stack:
        stack.callback(_end, broker, request)
        for marker in reversed(list(request.node.iter_markers(INTERCEPT))):
            try:
                stack.enter_context(broker.intercept(*marker.args, **marker.kwargs))
            except (TypeError, ValueError) as error:
                refuse(str(error), f"@pytest.mark.{INTERCEPT}")
        yield broker


def _end(broker: "FakeBroker", request: pytest.FixtureRequest) -> None:
    """Close a broker, and look for leftovers first if all went well."""
    try:
        if not request.node.stash.get(_FAILED, False):
            broker.check_leftovers()
    finally:
        broker.close()


@pytest.fixture(scope="module")
def fakebroker_module(request: pytest.FixtureRequest, fakebroker_config: Mapping[str, Any]) -> "Iterator[FakeBroker]":
    """One broker for the tests of a module, restored before each of them. Connections that a test left are closed."""
    yield from _shared("fakebroker_module", request, fakebroker_config)


@pytest.fixture(scope="session")
def fakebroker_session(request: pytest.FixtureRequest, fakebroker_config: Mapping[str, Any]) -> "Iterator[FakeBroker]":
    """One broker for all tests, restored before each of them. Connections that a test left are closed."""
    yield from _shared("fakebroker_session", request, fakebroker_config)


def _shared(name: str, request: pytest.FixtureRequest, config: Mapping[str, Any]) -> "Iterator[FakeBroker]":
    from hutch.pytest_plugin.settings import settings_of  # noqa: PLC0415
    from hutch.pytest_plugin.shared import shared  # noqa: PLC0415

    with shared(request.config, name, settings_of(request, config)) as broker:
        yield broker


@pytest.fixture
def fakebroker_url(fakebroker: "FakeBroker") -> str:
    """The ``amqp://`` URL of the fixture ``fakebroker``, which listens on a free port of 127.0.0.1."""
    return fakebroker.url


@pytest.fixture
def fakebroker_connection(fakebroker: "FakeBroker") -> "Connection":
    """A client of the fixture ``fakebroker`` in this process, connected: a :class:`hutch.client.Connection`."""
    return fakebroker.connect()


@pytest.fixture
def fakebroker_channel(fakebroker_connection: "Connection") -> "Channel":
    """An open channel of ``fakebroker_connection``."""
    return fakebroker_connection.channel()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to the report of a failed test what happened in its brokers."""
    report = yield
    brokers = item.stash.get(_BROKERS, [])
    if report.failed and brokers:
        item.stash[_FAILED] = True
        if call.when == "call":
            from hutch.pytest_plugin.timeline import report_section  # noqa: PLC0415

            report.sections.extend(report_section(name, broker.broker) for name, broker in brokers)
    if call.when == "teardown" and brokers:
        del item.stash[_BROKERS]  # pytest keeps each item until its end
    return report
