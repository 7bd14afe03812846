"""What may become of a publish."""

from collections.abc import Callable, Sequence
from typing import Final

from hutch.fakebroker.amqp091.channel import Channel
from hutch.fakebroker.amqp091.commands.publish import return_unroutable
from hutch.fakebroker.amqp091.errors import AMQPError, in_amqp
from hutch.fakebroker.engine.errors import BrokerError
from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.publishing import accept, put
from hutch.fakebroker.engine.targets import Publisher, Target
from hutch.fakebroker.faults.confirms import HeldConfirms
from hutch.fakebroker.faults.fault import Fault
from hutch.fakebroker.faults.gate import Command, SessionGate
from hutch.wire.methods import BasicPublish


class _Refusing(Target):
    """Stands for a queue that refuses a message."""

    deleted = False

    def __init__(self, name: str) -> None:
        self.name = name

    def publish(self, message: Message, publisher: Publisher | None = None) -> bool:  # noqa: ARG002
        """Refuse it."""
        return False


def _publish(gate: SessionGate, command: Command, targets: Callable[[list[Target]], Sequence[Target]]) -> None:
    """Publish a message to other targets than those it is routed to."""
    method, content = command.method, command.content
    channel = gate.channel(command.number)
    if channel is None or content is None or not isinstance(method, BasicPublish):
        return
    actor = channel.actor
    try:
        properties = content.properties
        message, queues = accept(
            actor, method.exchange, method.routing_key, properties, content.body, channel.reply_queue
        )
        found = list(targets(queues))
        refusing = put(actor, message, found, channel)
        if method.mandatory and not found:
            return_unroutable(channel, message)
        if channel.confirms is not None:
            channel.confirms.add(found, refusing)
    except (AMQPError, BrokerError) as error:
        gate.refuse(command, in_amqp(error))


def nack(gate: SessionGate, command: Command, _: Fault) -> None:
    """Each queue refuses the message."""
    _publish(gate, command, lambda queues: [_Refusing(queue.name) for queue in queues] or [_Refusing("")])


def return_it(gate: SessionGate, command: Command, _: Fault) -> None:
    """No queue gets the message."""
    _publish(gate, command, lambda _: ())


def lose(gate: SessionGate, command: Command, _: Fault) -> None:
    """Nothing comes of the message, a confirm neither."""
    channel = gate.channel(command.number)
    if channel is not None and channel.confirms is not None:
        HeldConfirms.of(channel).lose_next()


def confirm_singly(gate: SessionGate, command: Command, _: Fault) -> None:
    """One confirm for this publish alone."""
    _confirms(gate, command).tell_next_at_once()
    gate.pass_on(command)


def never_confirm(gate: SessionGate, command: Command, _: Fault) -> None:
    """The message is there, and its confirm is not."""
    _confirms(gate, command).hold_next()
    gate.pass_on(command)


def confirm_late(seconds: float | None) -> Callable[[SessionGate, Command, Fault], None]:
    """The confirm comes later, or with ``None`` once the fault ends."""

    def act(gate: SessionGate, command: Command, fault: Fault) -> None:
        confirms, timers = _confirms(gate, command), gate.session.timers
        number = confirms.hold_next()
        gate.pass_on(command)
        fault.holds(timers, lambda: confirms.let_go([number]), seconds)

    return act


class Batches:
    """Confirms come ``size`` at a time, or what there is of them ``seconds`` after the first."""

    def __init__(self, size: int, seconds: float) -> None:
        self._size: Final = size
        self._seconds: Final = seconds
        self._batches: Final[dict[HeldConfirms, list[int]]] = {}

    def __call__(self, gate: SessionGate, command: Command, fault: Fault) -> None:
        """Gather the confirm of a publish."""
        confirms, timers = _confirms(gate, command), gate.session.timers
        batch = self._batches.get(confirms)
        if batch is None:
            batch = self._batches[confirms] = []
            fault.holds(timers, lambda: self._tell(confirms, batch), self._seconds)
        batch.append(confirms.hold_next())
        gate.pass_on(command)
        if len(batch) >= self._size:
            self._tell(confirms, batch)

    def _tell(self, confirms: HeldConfirms, batch: list[int]) -> None:
        if self._batches.get(confirms) is batch:
            del self._batches[confirms]
            confirms.let_go(batch)


def _confirms(gate: SessionGate, command: Command) -> HeldConfirms:
    channel = gate.channel(command.number)
    if channel is None:
        raise LookupError(f"channel {command.number} is not open")
    return HeldConfirms.of(channel)


def is_confirmed(channel: Channel | None) -> bool:
    """Whether a channel is in confirm mode."""
    return channel is not None and channel.confirms is not None


def is_not_transactional(channel: Channel | None) -> bool:
    """Whether a channel publishes at once."""
    return channel is not None and channel.transaction is None
