"""The settings of a test's broker: ini file, ``fakebroker_config``, command line and markers."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NoReturn

import pytest

if TYPE_CHECKING:
    from hutch.pytest_plugin.fakebroker import FakeBroker

#: What the marker takes: the parameters of FakeBroker.
SETTINGS: Final = (
    *("profile", "clock", "users", "vhosts", "seed", "history_events", "history_bytes"),
    *("permit_deprecated_features", "plugins", "consumer_timeout", "single_confirms", "definitions", "leftovers"),
)
#: What ini file and command line set too, as ``fakebroker_NAME`` and ``--fakebroker-NAME``.
NAMED: Final = ("profile", "clock", "leftovers")
MARKER: Final = "fakebroker"


def settings_of(request: pytest.FixtureRequest, config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a test. Each of these counts before those in front of it: the ini file, ``config`` of the fixture
    ``fakebroker_config``, the command line, the markers of module, class and test.
    """
    settings: dict[str, Any] = {}
    _add(
        settings, {name: value for name in NAMED if (value := request.config.getini(f"fakebroker_{name}"))}, "ini file"
    )
    _add(settings, config, "fakebroker_config")
    for name in NAMED:
        option = f"--fakebroker-{name}"
        if (value := request.config.getoption(option)) is not None:
            _add(settings, {name: value}, option)
    for marker in reversed(list(request.node.iter_markers(MARKER))):
        source = f"@pytest.mark.{MARKER}"
        if marker.args:
            given = ", ".join(map(repr, marker.args))
            refuse(f"takes keyword arguments only ({', '.join(SETTINGS)}), not {given}", source)
        _add(settings, marker.kwargs, source)
    return settings


def _add(settings: dict[str, Any], more: Mapping[str, Any], source: str) -> None:
    for name, value in more.items():
        if name not in SETTINGS:
            from hutch.fakebroker.engine.unknown_names import unknown  # noqa: PLC0415

            refuse(unknown("argument", name, SETTINGS), source)
        _check(name, value, source)
    settings.update(more)


def _check(name: str, value: Any, source: str) -> None:
    from hutch.fakebroker.configuration import CHECKS  # noqa: PLC0415  (only where a test asks for a broker)
    from hutch.pytest_plugin.clocks import clock_of  # noqa: PLC0415
    from hutch.pytest_plugin.leftovers import reaction_of  # noqa: PLC0415

    check = {**CHECKS, "clock": clock_of, "leftovers": reaction_of}.get(name)
    if check is not None:
        try:
            check(value)
        except (TypeError, ValueError) as error:
            refuse(str(error), source)


def broker_of(settings: Mapping[str, Any]) -> "FakeBroker":
    """The broker with these settings. What is wrong only with one another, or in definitions, fails the test here."""
    from hutch.fakebroker import InvalidDefinitions  # noqa: PLC0415
    from hutch.pytest_plugin.fakebroker import FakeBroker  # noqa: PLC0415

    try:
        return FakeBroker(**settings)
    except InvalidDefinitions as error:
        given = settings["definitions"]
        place = "the definitions" if isinstance(given, Mapping) else f"the definitions in {str(given)!r}"
        notes = "".join(f"\n{note}" for note in getattr(error, "__notes__", ()))
        refuse(f"RabbitMQ refuses {place}: {error}{notes}", MARKER)
    except (OSError, ValueError) as error:
        refuse(str(error), MARKER)


def refuse(reason: str, source: str) -> NoReturn:
    """Fail the test with a line that says which setting is wrong."""
    pytest.fail(f"{source}: {reason}", pytrace=False)
