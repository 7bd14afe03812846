"""What pytest loads. Client and broker are imported when a test asks for them, for most runs of pytest do not."""

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, Final, NoReturn

import pytest

if TYPE_CHECKING:
    from hutch.fakebroker import ManualClock, SystemClock
    from hutch.pytest_plugin.fakebroker import FakeBroker

FIXTURE: Final = "fakebroker"
#: What the marker takes; the parameters of FakeBroker, with the clock by its name.
SETTINGS: Final = (
    *("profile", "clock", "users", "vhosts", "seed", "history_events", "history_bytes"),
    *("permit_deprecated_features", "plugins", "consumer_timeout", "single_confirms"),
)
_EVENTS_IN_REPORT: Final = 40


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--fakebroker-profile``."""
    parser.getgroup("hutch", "hutch, a RabbitMQ test double").addoption(
        "--fakebroker-profile",
        metavar="VERSION",
        help="RabbitMQ version that the fixture fakebroker is, unless the test's marker says so (default: 4.3)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        "fakebroker(profile='4.3', clock='manual', users=None, vhosts=('/',), seed=0, history_events=100000, "
        "history_bytes=67108864, permit_deprecated_features=None, plugins=(), consumer_timeout=1800000, "
        "single_confirms=False): the broker "
        "that the fixture fakebroker gives: the RabbitMQ version it is; 'manual' for a clock that the test advances, "
        "'system' for the machine's, which freezegun moves; passwords by user name; virtual hosts; seed of the names "
        "it makes up; how many events, and bytes of bodies, its history keeps, or None for all; deprecated features, "
        "permitted or denied, by name; names of plugins to enable; ms that a delivery may wait for its "
        "acknowledgement, or None; whether each publish is confirmed by itself",
    )


@pytest.fixture
def fakebroker(request: pytest.FixtureRequest) -> "Iterator[FakeBroker]":
    """A new RabbitMQ double for this test: ``.url`` for any client, ``.connect()`` for one in this process.

    Its clock stands still until it is moved: ``fakebroker.clock.advance(minutes=5)``. ``@pytest.mark.fakebroker(...)``
    sets it up differently. See :class:`hutch.pytest_plugin.FakeBroker`.
    """
    from hutch.pytest_plugin.fakebroker import FakeBroker  # noqa: PLC0415

    with FakeBroker(**_settings(request)) as broker:
        yield broker


@pytest.fixture
def fakebroker_url(fakebroker: "FakeBroker") -> str:
    """The ``amqp://`` URL of the fixture ``fakebroker``, which listens on a free port of 127.0.0.1."""
    return fakebroker.url


def _settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What option and markers ask for; a test's marker wins over its class's, that over its module's."""
    settings: dict[str, Any] = {}
    profile = request.config.getoption("--fakebroker-profile")
    if profile is not None:
        _check_profile(profile, "--fakebroker-profile")
        settings["profile"] = profile
    for marker in reversed(list(request.node.iter_markers(FIXTURE))):
        if marker.args:
            given = ", ".join(map(repr, marker.args))
            _refuse(f"takes keyword arguments only ({', '.join(SETTINGS)}), not {given}")
        unknown = [name for name in marker.kwargs if name not in SETTINGS]
        if unknown:
            _refuse(f"has no argument {', '.join(unknown)}; it has {', '.join(SETTINGS)}")
        settings.update(marker.kwargs)
    if "profile" in settings:
        _check_profile(settings["profile"], "@pytest.mark.fakebroker")
    settings["clock"] = _clock(settings.get("clock", "manual"))
    return settings


def _check_profile(profile: object, source: str) -> None:
    from hutch.fakebroker import PROFILES  # noqa: PLC0415

    if profile not in PROFILES:
        hint = "" if isinstance(profile, str) else " (a text, in quotes)"
        _refuse(f"profile {profile!r} is none of {', '.join(map(repr, PROFILES))}{hint}", source)


def _clock(name: object) -> "ManualClock | SystemClock":
    from hutch.fakebroker import ManualClock, SystemClock  # noqa: PLC0415

    if name not in {"manual", "system"}:
        _refuse(f"clock {name!r} is none of 'manual', 'system'")
    return ManualClock() if name == "manual" else SystemClock()


def _refuse(reason: str, source: str = "@pytest.mark.fakebroker") -> NoReturn:
    pytest.fail(f"{source}: {reason}", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to the report of a failed test what happened in its broker."""
    report = yield
    broker = getattr(item, "funcargs", {}).get(FIXTURE)
    if report.failed and call.when == "call" and broker is not None:
        from hutch.pytest_plugin.fakebroker import FakeBroker  # noqa: PLC0415
        from hutch.pytest_plugin.timeline import timeline  # noqa: PLC0415

        if isinstance(broker, FakeBroker):  # a project may have a fixture of that name that is something else
            # Without draining clients: the test may have failed because its broker is stuck.
            history = broker.broker.undrained_history
            report.sections.append(("what happened in fakebroker", timeline(history, _EVENTS_IN_REPORT)))
    return report
