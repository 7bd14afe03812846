from collections.abc import Callable

import pytest

from hutch.conformance.case import Case, Play, Registry
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.runner import Result, run_case
from hutch.conformance.targets import InProcess, Target, Tcp

Run = Callable[[Play], Result]


def made(play: Play, behaviour: str = "QUEUE-DECLARE-01", **kwargs: tuple[str, ...]) -> Case:
    """A case of ``play``, on no list but its own."""
    registry = Registry()
    play.__doc__ = play.__doc__ or "What it does."
    registry.case(behaviour, **kwargs)(play)
    return registry.cases[0]


@pytest.fixture(params=[InProcess, Tcp])
def emulator(request: pytest.FixtureRequest) -> Target:
    """Each kind of emulator target."""
    kind: Callable[[], Target] = request.param
    return kind()


@pytest.fixture
def run(emulator: Target) -> Run:
    """Play a function as a case on ``emulator``."""

    def run_play(play: Play) -> Result:
        return run_case(made(play), emulator)

    return run_play


def passing(rabbit: Rabbit) -> None:
    """A queue is declared."""
    rabbit.queue(rabbit.channel())


def failing(rabbit: Rabbit) -> None:
    """A passive declare is expected to fail in another way than it does."""
    channel = rabbit.channel()
    with rabbit.expect_channel_error(channel, 403, "some other text", (50, 10)):
        channel.queue_declare("missing", passive=True)
