"""Transactions, on every target."""

from collections.abc import Callable

import pytest

from hutch.client import Channel, Message, PreconditionFailed
from tests.client.api.reference import shows
from tests.client.api.steps import bodies
from tests.targets import Target


def queue(channel: Channel, target: Target) -> str:
    name = target.name("tx")
    channel.queue_declare(name, exclusive=True, auto_delete=False)
    return name


@shows("Channel.tx_select", "Channel.tx_commit")
def test_what_is_published_counts_once_it_is_committed(target: Target) -> None:
    channel = target.connect().channel()
    name = queue(channel, target)
    channel.tx_select()
    channel.tx_select()
    for body in (b"1", b"2"):
        channel.basic_publish(Message(body), routing_key=name)
    assert bodies(channel, name) == []
    channel.tx_commit()
    assert bodies(channel, name) == [b"1", b"2"]


@shows("Channel.tx_rollback")
def test_what_is_rolled_back_never_was(target: Target) -> None:
    connection = target.connect()
    channel, other = connection.channel(), connection.channel()
    name = queue(channel, target)
    channel.basic_publish(Message(b"there"), routing_key=name)
    channel.tx_select()
    message = channel.basic_get(name)
    assert message is not None
    channel.basic_ack(message.delivery_tag)
    channel.basic_publish(Message(b"not there"), routing_key=name)
    channel.tx_rollback()
    assert bodies(other, name) == []
    channel.basic_ack(message.delivery_tag)  # the delivery tag is valid again
    channel.tx_commit()
    channel.close()
    assert bodies(other, name) == []


@pytest.mark.parametrize("call", [Channel.tx_commit, Channel.tx_rollback], ids=["commit", "rollback"])
def test_without_a_transaction(target: Target, call: Callable[[Channel], None]) -> None:
    channel = target.connect().channel()
    with pytest.raises(PreconditionFailed, match=r"PRECONDITION_FAILED - channel is not transactional"):
        call(channel)
    assert channel.is_open


def test_the_two_modes_exclude_each_other(target: Target) -> None:
    connection = target.connect()
    confirming, transactional = connection.channel(), connection.channel()
    confirming.confirm_select()
    with pytest.raises(PreconditionFailed, match=r"cannot switch from confirm to tx mode"):
        confirming.tx_select()
    transactional.tx_select()
    with pytest.raises(PreconditionFailed, match=r"cannot switch from tx to confirm mode"):
        transactional.confirm_select()
