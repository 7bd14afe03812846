"""3.x's credit for consumers, which its AMQP 1.0 plugin needs and any client may use: the argument x-credit and the
method basic.credit (CONSUME-26).
"""

from collections.abc import Mapping
from typing import NamedTuple

from hutch.fakebroker.amqp091.channel import Channel
from hutch.fakebroker.engine.errors import BrokerError, internal_error, precondition_failed
from hutch.fakebroker.engine.queues.queue import Queue
from hutch.fakebroker.erlang.terms import type_text
from hutch.wire.fields import FieldTable
from hutch.wire.methods import BasicCredit


class Credit(NamedTuple):
    """How many deliveries a consumer may have, and whether it wants to hear that there are no more."""

    amount: int
    drain: bool


def asked_credit(channel: Channel, queue: Queue, arguments: FieldTable) -> Credit | None:
    """What a consumer asks for with x-credit; incomplete, it is not looked at.

    Raises:
        BrokerError: 541, it is no table.
    """
    if not channel.connection.profile.has_consumer_credit or queue.type == "stream" or "x-credit" not in arguments:
        return None
    asked = arguments["x-credit"]
    if not isinstance(asked, Mapping):
        raise internal_error()
    amount, drain = asked.get("credit"), asked.get("drain")
    if isinstance(amount, int) and type_text(amount) == "long" and isinstance(drain, bool):
        return Credit(amount, drain)
    return None


def credit(channel: Channel, method: BasicCredit) -> None:
    """Grant a consumer so many deliveries; 4.x knows the method and has nothing to do for it."""
    if not channel.connection.profile.has_consumer_credit:
        raise BrokerError("COMMAND_INVALID", "unimplemented method")
    consumer = channel.consumers.get(method.consumer_tag)
    if consumer is None:
        raise precondition_failed(f"unknown consumer tag '{method.consumer_tag}'")
    consumer.queue.grant(consumer, method.credit, drain=method.drain)
