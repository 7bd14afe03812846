import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

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


@pytest.fixture(scope="session")
def node() -> str:
    """The command that runs Node, which finds amqplib, by ``NODE_PATH`` for example.

    Without it the test is skipped. With ``CI=true`` it fails.
    """
    command = shutil.which("node")
    reason = "there is no node" if command is None else ""
    look = [command or "", "--eval", "require.resolve('amqplib')"]
    folder = Path(__file__).parent
    if command and subprocess.run(look, capture_output=True, timeout=PATIENCE, check=False, cwd=folder).returncode:
        reason = "node does not find amqplib, by NODE_PATH for example"
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    if reason:
        pytest.skip(reason)
    return command or ""
