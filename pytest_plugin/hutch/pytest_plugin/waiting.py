"""Waiting until something is so, in a thread or in an event loop."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import iscoroutinefunction
from typing import Final, Generic, TypeVar

from hutch.fakebroker import Broker
from hutch.fakebroker.clocks import AutoClock
from hutch.fakebroker.realtime import monotonic
from hutch.pytest_plugin.due import what_is_due
from hutch.pytest_plugin.event_loops import Signal, refuse_to_block, signal

Value = TypeVar("Value")


class _Wait(Generic[Value]):
    """A condition, and what it was at last."""

    def __init__(self, broker: Broker, condition: Callable[[], Value], timeout: float) -> None:
        if not callable(condition):
            raise TypeError(f"a condition is a function without parameters, not {condition!r}")
        if iscoroutinefunction(condition):
            raise TypeError(f"a condition is a plain function, and {condition.__name__} is a coroutine function")
        self._broker: Final = broker
        self._condition: Final = condition
        self._timeout: Final = timeout
        self._deadline: Final = monotonic() + timeout
        self._failure: Exception | None = None
        self.value: Value
        self.left = timeout
        #: The broker's changes before the condition was asked.
        self.seen = 0

    def holds(self) -> bool:
        """Ask the condition.

        Raises:
            AssertionError: it is not so, and time is over.
        """
        __tracebackhide__ = True
        self.seen, self.left = self._broker.hub.changes, self._deadline - monotonic()
        self._failure = None
        try:
            self.value = self._condition()
        except (AssertionError, LookupError) as error:
            self._failure = error
        else:
            if self.value:
                return True
        if self.left <= 0:
            failure = self._failure
            last = f"last value: {self.value!r}" if failure is None else f"last error: {failure}"
            cause = failure if isinstance(failure, KeyError | IndexError) else None  # may be a mistake in it
            text = f"condition still false after {self._timeout:g} s; {last}\n{what_is_due(self._broker)}"
            raise AssertionError(text) from cause
        return False

    @property
    def patience(self) -> float:
        """How many seconds to wait for a change before looking again."""
        clock = self._broker.clock
        return min(self.left, clock.idle) if isinstance(clock, AutoClock) else self.left

    def let_pass(self) -> None:
        """Have time pass after a while in which nothing happened, where the clock is one that does that."""
        clock = self._broker.clock
        if isinstance(clock, AutoClock):
            clock.step(clock.monotonic(), None)


def wait_until(broker: Broker, condition: Callable[[], Value], timeout: float) -> Value:
    """See :meth:`FakeBroker.wait_until <hutch.pytest_plugin.FakeBroker.wait_until>`."""
    __tracebackhide__ = True
    refuse_to_block("wait_until", "wait_until_async")
    wait = _Wait(broker, condition, timeout)
    while not wait.holds():
        if not broker.hub.wait(wait.seen, wait.patience):
            wait.let_pass()
    return wait.value


async def wait_until_async(broker: Broker, condition: Callable[[], Value], timeout: float) -> Value:
    """See :meth:`FakeBroker.wait_until_async <hutch.pytest_plugin.FakeBroker.wait_until_async>`."""
    __tracebackhide__ = True
    hub, changed = broker.hub, signal()
    wait = _Wait(broker, condition, timeout)
    with _following(broker, changed):
        while not wait.holds():
            if hub.changes == wait.seen:
                # A clock that moves by itself may have something to do first.
                due_in = None if hub.manual_clock else hub.look(hub.node.timers.seconds_to_next)
                await changed.wait(wait.patience if due_in is None else min(wait.patience, due_in))
            if hub.node.timers.is_due:
                hub.run_due()
            elif hub.changes == wait.seen:
                wait.let_pass()
    return wait.value


@contextmanager
def _following(broker: Broker, changed: Signal) -> Iterator[None]:
    turn = broker.hub.turn
    with turn:
        turn.followers.append(changed.set)
    try:
        yield
    finally:
        with turn:
            turn.followers.remove(changed.set)
