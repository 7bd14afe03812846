import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from hutch.fakebroker import Broker, ManualClock

from .peers import PATIENCE, TCP, Peer


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def broker() -> Iterator[Broker]:
    """A broker on the machine's clock."""
    with Broker() as made:
        yield made


@pytest.fixture
def manual(clock: ManualClock) -> Iterator[Broker]:
    """A broker on the manual ``clock``."""
    with Broker(clock=clock) as made:
        yield made


Connect = Callable[..., Peer]


@pytest.fixture
def pipe() -> Iterator[Connect]:
    """Opens in-process connections, and ends them behind the test."""
    with ExitStack() as stack:
        yield lambda broker, **options: stack.enter_context(Peer.opened(broker.transport(), **options))


@pytest.fixture
def tcp() -> Iterator[Connect]:
    """Opens TCP connections, and ends them behind the test."""
    with ExitStack() as stack:

        def connect(broker: Broker, **options: int) -> Peer:
            transport = TCP(broker.url)
            stack.callback(transport.close)
            return Peer.opened(transport, **options)  # type: ignore[arg-type]

        yield connect


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """What a test started has ended with it."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE)
        assert not thread.is_alive(), f"{thread} is left over"
