"""A broker that several tests share: each test finds it in the same state."""

from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import pytest

from hutch.pytest_plugin.fakebroker import FakeBroker
from hutch.pytest_plugin.leftovers import react_to
from hutch.pytest_plugin.settings import broker_of
from hutch.pytest_plugin.timeline import report_section


@contextmanager
def shared(config: pytest.Config, name: str, settings: Mapping[str, Any]) -> Iterator[FakeBroker]:
    """A broker that is restored before each test, and closed at the end."""
    broker = broker_of(settings)
    hooks = _Shared(name, broker, settings.get("leftovers", "ignore"))
    config.pluginmanager.register(hooks)
    try:
        yield broker
    finally:
        hooks.end_test()
        hooks.is_over = True
        config.pluginmanager.unregister(hooks)
        broker.close()


class _Shared:
    """pytest's hooks for one broker.

    The snapshot is taken when the broker is made, and behind each fixture of a wider scope than a test that begins or
    ends. So what these fixtures do is there for each test, their connections too.
    """

    def __init__(self, name: str, broker: FakeBroker, reaction: str) -> None:
        self._name: Final = name
        self._broker: Final = broker
        self._reaction: Final = reaction
        #: Whether the broker's own fixture has ended.
        self.is_over = False
        self._is_in_test = True
        self._failed = False
        #: What the test has left behind.
        self._left: list[str] = []
        self._keep()

    def _keep(self) -> None:
        """Have the state that the broker has now at the beginning of each test."""
        self._snapshot = self._broker.snapshot()
        self._kept = Counter(self._broker.leftovers())
        self._broker.history.clear()
        self._changes = self._broker.broker.hub.changes

    def _restore(self) -> None:
        broker = self._broker
        if broker.broker.hub.changes != self._changes:
            if broker.broker.hub.faults is not None:
                broker.faults.clear()
            broker.start()
            broker.broker.hub.listeners.start_nodes()
            broker.restore(self._snapshot)
            broker.history.clear()
            self._changes = broker.broker.hub.changes

    def end_test(self) -> None:
        """The test that ran has ended: see what it left behind."""
        if self._is_in_test:
            self._is_in_test = False
            if not self._failed:
                self._left = list((Counter(self._broker.leftovers()) - self._kept).elements())

    @property
    def _is_gone(self) -> bool:
        return self.is_over or self._broker.broker.hub.closed

    def _is_used_by(self, item: pytest.Item) -> bool:
        return self._name in getattr(item, "fixturenames", ())

    # pytest's hooks

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Have the test find the state of the snapshot."""
        self._is_in_test, self._failed, self._left = True, False, []
        if not self._is_gone or self._is_used_by(item):
            self._restore()

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, Any, Any]:
        """Have what a wider fixture does stay, at its beginning and at its end."""
        if fixturedef.scope == "function":
            return (yield)
        begun = False

        def keep() -> None:
            if begun and not self._is_gone:
                self._keep()

        def end() -> None:
            if not self._is_gone:
                self.end_test()
                self._restore()

        fixturedef.addfinalizer(keep)  # the last one, for they run in reverse
        result = yield
        begun = True
        self._keep()
        fixturedef.addfinalizer(end)
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Add to the report of a failed test what happened in the broker."""
        report = yield
        if report.failed:
            self._failed = True
            if call.when == "call" and self._is_used_by(item):
                report.sections.append(report_section(self._name, self._broker.broker))
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self) -> Generator[None, None, None]:
        """Do about what the test left behind what the broker's settings say."""
        yield
        self.end_test()
        react_to(self._left, self._reaction)
