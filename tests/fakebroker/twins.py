"""Two brokers that play the same random operations, the state of one of which becomes that of the other on the way."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any, Final

from hutch.conformance.differential.operations import Advance, Call, Publish
from hutch.fakebroker import Broker, ManualClock, Snapshot
from hutch.fakebroker.engine.state.dumping import dump
from hutch.fakebroker.engine.state.loading import load
from hutch.fakebroker.engine.state.values import NodeState
from hutch.wire.methods import QueueDeclare
from hutch.wire.states import ConnectionState
from old_beside_new.adapters import Plain, Settings, Stream, TypedEvents
from old_beside_new.oddities import Due
from old_beside_new.playing import Pair, _read
from old_beside_new.scripts import Script, Scripts, Step

#: Times to live, and steps of time, ms.
TIMES: Final = (1, 3, 20, 999, 1000, 1001, 60_000, 3_600_000, 86_400_000)


class Twin(TypedEvents):
    """A broker whose state can be taken and given."""

    def __init__(self, settings: Settings) -> None:
        self._arguments: Final = vars(settings)
        self.broker: Final[list[Broker]] = []
        self._begin(ManualClock())

    def _begin(self, clock: ManualClock) -> None:
        self.broker[:] = [Broker(clock=clock, **self._arguments)]
        vars(self).update(_clock=clock, _broker=self.broker[0])

    @property
    def node(self) -> Any:
        return self.broker[0].hub.node

    def dumped(self) -> NodeState:
        """The state. Nothing is pending, and each timer is in the state."""
        with self.broker[0].hub.turn as node:
            assert not node.pending
            return dump(node)

    def load(self, state: NodeState) -> None:
        """Be a new broker with a state, on a clock of its own."""
        self.broker[0].close()
        clock = ManualClock(0)
        clock.advance(7.25)
        clock.set_time(state.moment)
        self._begin(clock)
        with self.broker[0].hub.turn as node:
            load(state, node)
            self.broker[0].hub.firehose.follow(node)
        self.events()

    def restore(self, snapshot: Snapshot) -> None:
        """Return to a state. What clients were told before is forgotten."""
        self.broker[0].restore(snapshot)

    def events(self) -> list[Plain]:
        """The events since the last call, with their moments as nanoseconds since 1970."""
        epoch = self.broker[0].clock.epoch()
        return [(epoch + round(at * 1e9), *rest) for at, *rest in super().events()]


class _Alone:
    """The streams of a client that one broker alone hears of."""

    def connect(self, deadline: float | None) -> None: ...
    def send(self, data: bytes) -> None: ...
    def receive(self) -> bytes:
        return b""

    def readable(self) -> bool:
        return False

    def close(self) -> None: ...
    def transport(self) -> "Stream":
        return self

    def events(self) -> list[Plain]:
        return []

    def upcoming(self) -> float | None:
        return None

    def advance(self, seconds: float) -> None: ...
    def operate(self, verb: str, arguments: dict[str, Any]) -> Plain: ...


class Twins(Pair):
    """Two brokers, and clients of both."""

    def __init__(self, script: Script) -> None:
        made = iter((Twin(script.world.settings(script.profile)), Twin(script.world.settings(script.profile))))

        class _Side:
            def emulator(self, _settings: Settings) -> Twin:
                return next(made)

        side: Any = _Side()
        super().__init__(side, side, script, Counter())

    @property
    def twins(self) -> tuple[Twin, Twin]:
        """The two brokers."""
        twins: Any = self._emulators
        return twins[0], twins[1]

    def play(self, step: Step) -> None:
        """Play a step, behind which nothing is pending."""
        super().play(step)
        for twin in self.twins:
            assert not twin.node.pending, f"pending behind {step}"

    def pause(self) -> None:
        """Write what is kept back, and run what is stopped."""
        self._flush()
        self._begin("a pause")
        self._on_both(lambda twin: twin.operate("start", {}))
        for twin in self.twins:  # a part of these names is drawn but once
            twin.node.names.reply_to()
        for resource in ("memory", "disk"):  # the end of a client that is blocked goes unnoticed
            self._on_both(partial(_clear, resource=resource))

    def end_clients(self) -> None:
        """Cut all connections, on both brokers."""
        self._begin("all connections end")
        for number in list(self._clients):
            self._gone(number)
        self._compare()

    def look(self) -> None:
        """Compare the queues."""
        self._begin("the queues are looked at")
        self._look()

    def end_disturbed(self) -> None:
        """Cut the clients that one broker has lost, or whose consumers have ended there, and those whose connection is
        not open, for how long they have is not in the state. Forget what others heard.
        """
        for number, client in list(self._clients.items()):
            ends = [_read(stream)[1] for stream in client.streams]
            one, other = map(_consumers, self.twins, client.streams)
            is_open = all(map(_is_open, self.twins, client.streams))
            if any(ends) or one != other or not is_open:
                self._gone(number)

    def restored(self) -> None:
        """Compare what old clients hear when the state was restored. Who hears something else, as of delivery tags, is
        cut.
        """
        self._begin("restored")
        for number, client in list(self._clients.items()):
            one, other = (_read(stream) for stream in client.streams)
            first, second = map(_last_tags, self.twins, client.streams)
            if one != other or first != second or client.take(one[0]) or one[1]:
                self._gone(number)
        for twin in self.twins:
            twin.events()
        self._compare()


class Aside(Pair):
    """Other clients of one broker, which come and go while the other broker stands still."""

    def __init__(self, twin: Twin, script: Script) -> None:
        class _Side:
            def __init__(self, emulator: Any) -> None:
                self.emulator: Callable[[Settings], Any] = lambda _settings: emulator

        one, other = _Side(twin), _Side(_Alone())
        super().__init__(one, other, script, Counter())  # type: ignore[arg-type]

    def _compare(self) -> None:
        """Let the clients read what they were told."""
        for number, client in list(self._clients.items()):
            data, end = _read(client.streams[0])
            if data and (client.take(data) or end):
                self._gone(number)

    def _look(self) -> None: ...

    def act(self, verb: str, **arguments: str) -> None:
        """Have the operator do something."""
        self._flush()
        self._emulators[0].operate(verb, arguments)

    def end(self) -> None:
        """Cut all connections."""
        for number in list(self._clients):
            self._gone(number)


def _is_open(twin: Twin, pipe: Any) -> bool:
    session = twin.broker[0].hub.pipes.get(pipe)
    return session is not None and session.state is ConnectionState.RUNNING


def _channels(twin: Twin, pipe: Any) -> list[Any]:
    session = twin.broker[0].hub.pipes.get(pipe)
    return list(session.connection.channels.values()) if session is not None and session.connection else []


def _last_tags(twin: Twin, pipe: Any) -> list[int]:
    return [channel.sink.last_tag for channel in _channels(twin, pipe)]


def _consumers(twin: Twin, pipe: Any) -> list[tuple[int, str, str]]:
    return sorted(
        (channel.number, consumer.tag, consumer.queue.name)
        for channel in _channels(twin, pipe)
        for consumer in channel.consumers.values()
    )


def _clear(emulator: Any, resource: str) -> None:
    emulator.operate("clear_alarm", {"resource": resource})


def draw(profile: str, seed: int) -> tuple[Script, list[Step]]:
    """A script with two halves of 50 operations or more; and other operations."""
    random, scripts = Random(seed), Scripts(profile)
    one, two, other = (scripts.draw(random) for _ in range(3))
    steps = [*_timed(one.steps, random), *_timed(two.steps[2:], random)]
    return replace(one, steps=steps), list(_timed(other.steps[2:], random))


def _with_times(operation: Any, random: Random) -> Any:
    """The operation with other times to live."""
    if isinstance(operation, Publish) and operation.properties.get("expiration") in ("150", "3600000"):
        return replace(operation, properties={**operation.properties, "expiration": str(random.choice(TIMES))})
    if isinstance(operation, Call) and isinstance(operation.method, QueueDeclare):
        fields = {name: getattr(operation.method, name) for name in operation.method.FIELDS}
        fields["arguments"] = {
            name: random.choice(TIMES) if name in {"x-message-ttl", "x-expires"} and value in (150, 3600000) else value
            for name, value in operation.method.arguments.items()
        }
        return replace(operation, method=QueueDeclare(**fields))
    return operation


def _timed(steps: list[Step], random: Random) -> list[Step]:
    """The steps, with times between them now and then."""
    timed = []
    for step in steps:
        timed.append(replace(step, operation=_with_times(step.operation, random)))
        if random.random() < 0.05:
            timed.append(Step(Advance(random.choice(TIMES))))
        if random.random() < 0.03:
            timed.append(Step(Due(0)))
    return timed
