"""The settings of a test's broker: ini file, ``fakebroker_config``, command line and markers."""

from collections.abc import Collection, Mapping
from typing import Any, Final, NoReturn

import pytest

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
    unknown = [name for name in more if name not in SETTINGS]
    if unknown:
        names = ", ".join(map(repr, unknown))
        refuse(f"argument {names} is unknown; choose from {', '.join(map(repr, SETTINGS))}", source)
    for name in NAMED:
        if name in more:
            _check(name, more[name], source)
    settings.update(more)


def _check(name: str, value: object, source: str) -> None:
    from hutch.fakebroker import PROFILES, Clock  # noqa: PLC0415  (only where a test asks for a broker)
    from hutch.pytest_plugin.clocks import CLOCKS  # noqa: PLC0415
    from hutch.pytest_plugin.leftovers import REACTIONS  # noqa: PLC0415

    if isinstance(value, Clock):
        return
    known: Mapping[str, Collection[str]] = {"profile": PROFILES, "clock": CLOCKS, "leftovers": REACTIONS}
    if value not in known[name]:
        hint = "" if isinstance(value, str) else " (in quotes)"
        refuse(f"{name} {value!r} is unknown; choose from {', '.join(map(repr, known[name]))}{hint}", source)


def refuse(reason: str, source: str) -> NoReturn:
    """Fail the test with a line that says which setting is wrong."""
    pytest.fail(f"{source}: {reason}", pytrace=False)
